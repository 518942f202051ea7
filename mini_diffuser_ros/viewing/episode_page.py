"""Demonstrations on one page that opens offline: images, clouds, grippers, sentences, joints and gripper over time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mini_diffuser_ros.data.episodes import StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.summary import keyframe_glyphs, keyframe_title
from mini_diffuser_ros.records import CameraView, Episode, Keyframe
from mini_diffuser_ros.robots import UnknownRobotError, robot_of_data
from mini_diffuser_ros.support.drawing import shown_metres
from mini_diffuser_ros.viewing.offline_page import write_page
from mini_diffuser_ros.viewing.scene import scene_values

SCRIPTS = ("elements.js", "scene.js", "chart.js", "episodes.js")

_MOST_SENTENCES = 200  # of an episode
_MOST_CHARACTERS = 1000  # of each
_MOST_CURVES = 32  # that a chart can still tell apart
_MOST_TOLD = 3  # values that have no place in a chart, each with its own words
_LARGEST = 1000.0  # radians or metres; beyond, a value is a mistake, and would press the rest to a line
_LONGEST = 1e8  # seconds of an episode, three years; beyond, its stamps are a mistake
_WIDTH = 400  # pixels of a picture; the data themselves are for looking closer
_QUALITY = 85
# From near to far; what was not measured is black.
_NEAR_TO_FAR = np.array([[253, 231, 37], [94, 201, 98], [33, 145, 140], [59, 82, 139], [68, 1, 84]], np.float64)


def write_episode_page(
    path: Path, title: str, episodes: Iterable[StoredEpisode], failed: Callable[[str], None] = lambda fault: None
) -> int:
    """Write a page of some episodes; one that cannot be read is shown with what is wrong with it.

    Args:
        path: of the page; its folder exists.
        title: of its window.
        episodes: shown in this order.
        failed: is told what is wrong with each episode that cannot be read.

    Returns:
        how many could be read.

    Raises:
        OSError: if the page cannot be written.
    """
    shown, readable = [], 0
    for stored in episodes:
        try:
            shown.append(_episode_values(stored.read()))
            readable += 1
        except DataError as error:
            failed(str(error))
            shown.append({"source": stored.source, "label": "cannot be read", "sentences": [], "keyframes": []})
            shown[-1]["fault"] = str(error)
    write_page(path, title, SCRIPTS, {"episodes": shown})
    return readable


def _episode_values(episode: Episode) -> dict[str, Any]:
    return {
        "source": episode.source,
        "label": f"{episode.task}, {len(episode.keyframes)} keyframes; {episode.provenance}",
        "sentences": _sentences(episode),
        "keyframes": [_keyframe_values(episode, number) for number in range(len(episode.keyframes))],
        "no_views": _why_no_views(episode),
        "chart": _chart_values(episode),
        "fault": "",
    }


def _sentences(episode: Episode) -> list[str]:
    told = [f"{sentence:.{_MOST_CHARACTERS}}" for sentence in episode.sentences[:_MOST_SENTENCES]]
    more = len(episode.sentences) - len(told)
    return [*told, f"and {more} more"] if more else told


def _why_no_views(episode: Episode) -> str:
    """What stands in place of images where there are none."""
    cameras = ", ".join(episode.provenance.cameras)
    of = f"; its images, of {cameras}, were not converted with it" if cameras else ""
    return f"No images: this episode is stored as clouds alone{of}."


def _keyframe_values(episode: Episode, number: int) -> dict[str, Any]:
    keyframe = episode.keyframes[number]
    cloud = keyframe.cloud
    place = " ".join(map(shown_metres, keyframe.pose[:3]))
    scene = scene_values(cloud, keyframe_glyphs(episode, number))
    where = f"end effector at {place} m in {cloud.frame}; {len(cloud)} points"
    return {
        "about": f"{keyframe_title(episode, number)} ({'; '.join(filter(None, (where, scene['left_out'])))})",
        "scene": scene,
        "views": [_view_values(view) for view in keyframe.views],
    }


def _view_values(view: CameraView) -> dict[str, str]:
    measured = view.depth[np.isfinite(view.depth) & (view.depth > 0.0)]
    share = measured.size / view.depth.size
    height, width = view.depth.shape
    if measured.size:
        low, high = np.quantile(measured, (0.02, 0.98))
        extent = f"depth {low:.2f} to {high:.2f} m at {100.0 * share:.0f} % of its pixels"
    else:
        low, high, extent = 0.0, 1.0, "no depth at all"
    return {
        "name": view.name,
        "color": _picture(view.color),
        "depth": _picture(_depth_colors(view.depth, float(low), float(high))),
        "about": f"{view.name}, {width} x {height}: {extent}",
    }


def _depth_colors(depth: NDArray[np.floating], near: float, far: float) -> NDArray[np.uint8]:
    """Colours (H, W, 3) of planar depth (H, W), metres."""
    known = np.isfinite(depth) & (depth > 0.0)
    place = np.clip((np.where(known, depth, near) - near) / max(far - near, 1e-6), 0.0, 1.0) * (len(_NEAR_TO_FAR) - 1)
    steps = np.arange(len(_NEAR_TO_FAR))
    colors = np.stack([np.interp(place, steps, _NEAR_TO_FAR[:, channel]) for channel in range(3)], axis=-1)
    return np.where(known[..., None], colors, 0.0).astype(np.uint8)


def _picture(pixels: NDArray[np.uint8]) -> str:
    """An address that holds the picture itself, made small."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((_WIDTH, _WIDTH), Image.Resampling.BOX)
    stream = BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _chart_values(episode: Episode) -> dict[str, Any]:
    """Curves of the arm's joints, or of the end effector where no joints are known."""
    times, in_seconds = _times(episode.keyframes)
    names = _joint_names(episode)
    if names:
        unit, curves = (
            "rad",
            {name: [frame.joint_positions.get(name) for frame in episode.keyframes] for name in names[:_MOST_CURVES]},
        )
    else:
        unit, curves = "m", {axis: [float(f.pose[i]) for f in episode.keyframes] for i, axis in enumerate("xyz")}
    return {
        "times": times,
        "in_seconds": in_seconds,
        "marks": [[time, f"keyframe {number}"] for number, time in enumerate(times)],
        "curves": [{"name": name, "values": list(map(_drawn, values))} for name, values in curves.items()],
        "open": [bool(keyframe.gripper_open) for keyframe in episode.keyframes],
        "unit": unit,
        "left_out": _left_out(curves, unit, len(names)),
    }


def _drawn(value: float | None) -> float | None:
    """A value that a chart has a place for."""
    return value if value is not None and abs(value) <= _LARGEST else None


def _left_out(curves: Mapping[str, Sequence[float | None]], unit: str, count: int) -> str:
    """In words what a chart does not draw; empty if it draws all."""
    absurd = [
        f"{name} {value:.4g} {unit} at keyframe {number}"
        for name, values in curves.items()
        for number, value in enumerate(values)
        if value is not None and _drawn(value) is None
    ]
    told = absurd[:_MOST_TOLD] + ([f"{len(absurd) - _MOST_TOLD} more"] if len(absurd) > _MOST_TOLD else [])
    told += [f"{count - _MOST_CURVES} more joints"] if count > _MOST_CURVES else []
    return f"not drawn: {', '.join(told)}" if told else ""


def _times(keyframes: Iterable[Keyframe]) -> tuple[list[float], bool]:
    """Seconds since the first keyframe, and True; numbers of the keyframes, and False, where stamps are no such time.

    Stamps that do not run forward, or over years, are none that a chart could show.
    """
    stamps = np.array([keyframe.stamp for keyframe in keyframes], dtype=np.float64)
    with np.errstate(all="ignore"):
        since = stamps - stamps[0]
        forward = bool((np.diff(stamps) > 0.0).all() and (np.abs(since) <= _LONGEST).all())
    values: list[float] = (since if forward else np.arange(len(stamps), dtype=np.float64)).tolist()
    return values, forward


def _joint_names(episode: Episode) -> list[str]:
    """Joints that are known, in their order; without fingers, whose metres are no angles, where the robot is known."""
    fingers: frozenset[str] = frozenset()
    for robot in episode.provenance.robots:
        try:
            fingers |= frozenset(robot_of_data(robot).finger_joint_names)
        except UnknownRobotError:
            continue
    return [
        name for name in dict.fromkeys(n for k in episode.keyframes for n in k.joint_positions) if name not in fingers
    ]
