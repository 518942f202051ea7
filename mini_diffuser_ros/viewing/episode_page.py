"""Demonstrations on one page that opens offline: images, clouds, grippers, sentences, joints and gripper over time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
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
from mini_diffuser_ros.robots import UnknownRobotError, load_robot
from mini_diffuser_ros.viewing.offline_page import write_page
from mini_diffuser_ros.viewing.scene import scene_values

SCRIPTS = ("scene.js", "chart.js", "episodes.js")

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
        "sentences": list(episode.sentences),
        "keyframes": [_keyframe_values(episode, number) for number in range(len(episode.keyframes))],
        "chart": _chart_values(episode),
        "fault": "",
    }


def _keyframe_values(episode: Episode, number: int) -> dict[str, Any]:
    keyframe = episode.keyframes[number]
    cloud = keyframe.cloud
    x, y, z = map(float, keyframe.pose[:3])
    where = f"end effector at {x:.3f} {y:.3f} {z:.3f} m in {cloud.frame}; {len(cloud)} points"
    return {
        "about": f"{keyframe_title(episode, number)} ({where})",
        "scene": scene_values(cloud, keyframe_glyphs(episode, number)),
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
    times = _times(episode.keyframes)
    names = _joint_names(episode)
    if names:
        unit, curves = (
            "rad",
            [(name, [frame.joint_positions.get(name) for frame in episode.keyframes]) for name in names],
        )
    else:
        unit, curves = "m", [(axis, [float(f.pose[i]) for f in episode.keyframes]) for i, axis in enumerate("xyz")]
    return {
        "times": times,
        "marks": [[time, f"keyframe {number}"] for number, time in enumerate(times)],
        "curves": [{"name": name, "values": values} for name, values in curves],
        "open": [bool(keyframe.gripper_open) for keyframe in episode.keyframes],
        "unit": unit,
    }


def _times(keyframes: Iterable[Keyframe]) -> list[float]:
    """Seconds since the first keyframe; their numbers where stamps do not run forward, which a chart could not show."""
    stamps = np.array([keyframe.stamp for keyframe in keyframes], dtype=np.float64)
    forward = np.isfinite(stamps).all() and bool((np.diff(stamps) > 0.0).all())
    values: list[float] = (stamps - stamps[0] if forward else np.arange(len(stamps), dtype=np.float64)).tolist()
    return values


def _joint_names(episode: Episode) -> list[str]:
    """Joints that are known, in their order; without fingers, whose metres are no angles, where the robot is known."""
    fingers: frozenset[str] = frozenset()
    for robot in episode.provenance.robots:
        try:
            fingers |= frozenset(load_robot(robot).finger_joint_names)
        except UnknownRobotError:
            continue
    return [
        name for name in dict.fromkeys(n for k in episode.keyframes for n in k.joint_positions) if name not in fingers
    ]
