"""One episode in one file: a plain zip of ``episode.json`` and PNG images. docs/recordings.md describes the format."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.fields import Fields
from mini_diffuser_ros.data.images import DEPTH_UNIT, decode_color, decode_depth, encode_color, encode_depth
from mini_diffuser_ros.perception import FusionConfig, PerceptionError, check_view, fuse_views
from mini_diffuser_ros.records import CameraView, Cloud, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot

FORMAT = "mini_diffuser_ros episode"
FORMAT_VERSION = 1

_INDEX = "episode.json"
_MAX_MEMBER_BYTES = 256 * 2**20  # No honest image is larger; a crafted file must not fill the memory.
_MEMBER_DATE = (1980, 1, 1, 0, 0, 0)  # Constant, so that recording the same thing twice gives the same bytes.


def write_episode(stream: BinaryIO, episode: Episode, robot: str | None) -> None:
    """Write an episode with all its images.

    Args:
        stream: where the zip goes, opened for binary writing.
        episode: at least two keyframes, each with camera views.
        robot: name of the robot description whose points are to be taken out of the clouds; None for none.

    Raises:
        DataError: if something is missing that a reader would need, naming it.
    """
    _check_episode(episode)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        keyframes = [_write_keyframe(archive, i, keyframe, episode) for i, keyframe in enumerate(episode.keyframes)]
        index = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "task": episode.task,
            "variation": int(episode.variation),
            "sentences": list(episode.sentences),
            "source": episode.source,
            "robot": robot,
            "base_frame": FusionConfig().frame if robot is None else load_robot(robot).base_frame,
            "depth_unit_metres": DEPTH_UNIT,
            "keyframes": keyframes,
        }
        _add(archive, _INDEX, json.dumps(index, ensure_ascii=False, allow_nan=False).encode())


def read_episode(file: Path, fusion: FusionConfig) -> Episode:
    """Read an episode's index; images are read when a keyframe's views or cloud are asked for.

    Args:
        file: the zip.
        fusion: how views become clouds.

    Raises:
        EpisodeFileError: naming the file, the field and what was expected.
    """
    try:
        index = json.loads(_members(file, (_INDEX,))[_INDEX])
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EpisodeFileError(file, f"{_INDEX} is not JSON ({error})") from error
    fields = Fields(file, index)
    if fields.text("format") != FORMAT:
        raise fields.fault("format", repr(FORMAT))
    if fields.integer("format_version") != FORMAT_VERSION:
        raise fields.fault("format_version", f"{FORMAT_VERSION}, the version that this program reads")
    depth_unit = fields.number("depth_unit_metres")
    if depth_unit <= 0.0:
        raise fields.fault("depth_unit_metres", "a positive length")
    recording = _Recording(file, depth_unit, fields.optional_text("robot"), fusion)
    return Episode(
        task=fields.text("task"),
        variation=fields.integer("variation"),
        sentences=fields.texts("sentences"),
        keyframes=tuple(_read_keyframe(recording, child) for child in fields.children("keyframes", 2)),
        source=str(file),
    )


@dataclass(frozen=True)
class _Recording:
    """What the images of all keyframes of a file have in common."""

    file: Path
    depth_unit: float
    robot: str | None
    fusion: FusionConfig


@dataclass(frozen=True, eq=False)
class _StoredView:
    """A camera view whose images are still in the file."""

    name: str
    stamp: float
    intrinsics: NDArray[np.float64]
    base_from_camera: NDArray[np.float64]
    color: str
    depth: str


def _check_episode(episode: Episode) -> None:
    if len(episode.keyframes) < 2:
        raise DataError(f"episode {episode.source}: {len(episode.keyframes)} keyframes, expected at least two")
    if not episode.sentences or not all(sentence.strip() for sentence in episode.sentences):
        raise DataError(f"episode {episode.source}: expected at least one sentence and none that is empty")


def _write_keyframe(archive: zipfile.ZipFile, number: int, keyframe: Keyframe, episode: Episode) -> dict[str, Any]:
    """Add a keyframe's images to the archive; returns its entry of the index."""
    place = f"episode {episode.source}: keyframe {number}"
    if not np.all(np.isfinite(keyframe.pose)):
        raise DataError(f"{place}: pose {np.asarray(keyframe.pose)} is not finite")
    views = keyframe.views
    if not views:
        raise DataError(f"{place}: has no camera views")
    if len({view.name for view in views}) != len(views):
        raise DataError(f"{place}: camera names {[view.name for view in views]} are not unique")
    return {
        "stamp": float(keyframe.stamp),
        "pose": np.asarray(keyframe.pose, dtype=np.float64).tolist(),
        "gripper_open": bool(keyframe.gripper_open),
        "joint_positions": {name: float(value) for name, value in keyframe.joint_positions.items()},
        "cameras": [_write_view(archive, number, view, place) for view in views],
    }


def _write_view(archive: zipfile.ZipFile, number: int, view: CameraView, place: str) -> dict[str, Any]:
    try:
        check_view(view)
    except PerceptionError as error:
        raise DataError(f"{place}: {error}") from error
    color, depth = f"{number}/{view.name}.color.png", f"{number}/{view.name}.depth.png"
    _add(archive, color, encode_color(view.color))
    _add(archive, depth, encode_depth(view.depth))
    return {
        "name": view.name,
        "stamp": float(view.stamp),
        "intrinsics": np.asarray(view.intrinsics, dtype=np.float64).tolist(),
        "base_from_camera": np.asarray(view.base_from_camera, dtype=np.float64).tolist(),
        "color": color,
        "depth": depth,
    }


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _MEMBER_DATE), data)


def _read_keyframe(recording: _Recording, fields: Fields) -> Keyframe:
    cameras = tuple(_read_camera(camera) for camera in fields.children("cameras", 1))
    joint_positions = fields.numbers("joint_positions")
    return Keyframe(
        pose=fields.array("pose", (7,)),
        gripper_open=fields.flag("gripper_open"),
        stamp=fields.number("stamp"),
        # Partials of module functions rather than closures: they can be sent to worker processes.
        load_cloud=partial(_load_cloud, recording, cameras, joint_positions),
        load_views=partial(_load_views, recording, cameras),
        joint_positions=joint_positions,
    )


def _read_camera(fields: Fields) -> _StoredView:
    return _StoredView(
        name=fields.text("name"),
        stamp=fields.number("stamp"),
        intrinsics=fields.array("intrinsics", (3, 3)),
        base_from_camera=fields.array("base_from_camera", (4, 4)),
        color=fields.text("color"),
        depth=fields.text("depth"),
    )


def _load_views(recording: _Recording, cameras: tuple[_StoredView, ...]) -> tuple[CameraView, ...]:
    names = [name for camera in cameras for name in (camera.color, camera.depth)]
    data = _members(recording.file, names)
    return tuple(
        CameraView(
            name=camera.name,
            color=_decoded(recording.file, camera.color, decode_color, data),
            depth=_decoded(recording.file, camera.depth, partial(decode_depth, unit=recording.depth_unit), data),
            intrinsics=camera.intrinsics,
            base_from_camera=camera.base_from_camera,
            stamp=camera.stamp,
        )
        for camera in cameras
    )


def _load_cloud(recording: _Recording, cameras: tuple[_StoredView, ...], joint_positions: Mapping[str, float]) -> Cloud:
    views = _load_views(recording, cameras)
    try:
        robot = None if recording.robot is None else load_robot(recording.robot)
        return fuse_views(views, recording.fusion, robot, joint_positions)
    except ValueError as error:
        raise EpisodeFileError(recording.file, str(error)) from error


def _decoded(file: Path, name: str, decode: Callable[[bytes], Any], data: Mapping[str, bytes]) -> NDArray[Any]:
    try:
        return decode(data[name])
    except ValueError as error:
        raise EpisodeFileError(file, f"member {name}: {error}") from error


def _members(file: Path, names: tuple[str, ...] | list[str]) -> dict[str, bytes]:
    """The bytes of some members; their checksums are verified."""
    try:
        with zipfile.ZipFile(file) as archive:
            present = {info.filename: info for info in archive.infolist()}
            for name in names:
                if name not in present:
                    raise EpisodeFileError(file, f"member {name} is missing")
                if present[name].file_size > _MAX_MEMBER_BYTES:
                    raise EpisodeFileError(file, f"member {name} claims {present[name].file_size} bytes, too many")
            return {name: archive.read(name) for name in names}
    # zipfile has no common base for what damaged archives raise.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise EpisodeFileError(file, f"not a complete zip archive ({error})") from error
    except OSError as error:
        raise EpisodeFileError(file, f"cannot be read ({error.strerror or error})") from error
