"""Episodes as a LeRobotDataset of version 3: each keyframe a frame, with all that LeRobot has no place for.

Nothing is lost: poses, joints, calibrations and stamps are float64, colours PNG, depth whole steps of 16 bits. Depth is
an array rather than an image, as LeRobot's loader reads 16 bit images as signed numbers, which end at 3.28 m, and
takes every image for something to look at in colour. docs/exchange.md describes the features.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.episodes import Episodes, StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.content import ContentDigest
from mini_diffuser_ros.data.exchange.lerobot_layout import (
    ACTION,
    DEPTH,
    DIGEST,
    EPISODE,
    EPISODE_VERSION,
    EXTRINSICS,
    GRIPPER_NAME,
    IMAGES,
    INTRINSICS,
    KEYFRAME,
    LENS,
    LENS_VALUES,
    POSE_NAMES,
    STAMP,
    STAMPS,
    STATE,
    TERMINATE_NAME,
)
from mini_diffuser_ros.data.exchange.lerobot_statistics import histogram_of
from mini_diffuser_ros.data.exchange.lerobot_writer import DatasetWriter, WrittenFrame
from mini_diffuser_ros.data.formats.episode_file import Origin, read_origin
from mini_diffuser_ros.data.formats.images import DEPTH_UNIT, depth_steps, encode_color
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.data.store.database import DatabaseEpisode
from mini_diffuser_ros.perception import PerceptionError, check_view
from mini_diffuser_ros.records import CameraView, Episode, Keyframe
from mini_diffuser_ros.support.files import flush_folder
from mini_diffuser_ros.support.holding import HeldError, Hold


@dataclass(frozen=True)
class DatasetKind:
    """What all episodes of a LeRobotDataset have in common.

    Attributes:
        robot: name of its description, None for none.
        joints: names, in their order.
        cameras: name and size (height, width) of each, in their order.
    """

    robot: str | None
    joints: tuple[str, ...]
    cameras: tuple[tuple[str, tuple[int, int]], ...]

    def __str__(self) -> str:
        cameras = ", ".join(f"{name} {width}x{height}" for name, (height, width) in self.cameras)
        return f"robot {self.robot or 'none'}, {len(self.joints)} joints, cameras {cameras}"


def export_lerobot(episodes: Episodes, destination: Path, fps: int) -> Iterator[str]:
    """Write episodes as a LeRobotDataset, which is there when all are, or not at all.

    Args:
        episodes: with camera views; of one robot, the same joints, cameras and sizes of images.
        destination: the folder, which is not there yet, or empty.
        fps: frames a second that the dataset declares. Keyframes have no rate: their true times are features.

    Yields:
        the name of each episode that has been written.

    Raises:
        DataError: if an episode lacks something or is of another kind than the first, the folder is not empty, or
            cannot be written.
    """
    if destination.exists() and not (destination.is_dir() and not any(destination.iterdir())):
        raise DataError(f"{destination} is there already; name a new or an empty folder")
    if not len(episodes):
        raise DataError("there is no episode to export")
    with _whole_folder(destination) as folder:
        writer = None
        for stored in episodes.stored:
            episode = stored.read()
            origin = origin_of(stored, episode)
            kind = kind_of(episode, origin)
            if writer is None:
                first, writer = kind, DatasetWriter(folder, fps, kind.robot, features_of(kind))
            elif kind != first:
                raise DataError(
                    f"{stored.source} has {kind}, the episodes before have {first}: LeRobot has one kind a dataset;"
                    " export them apart"
                )
            writer.add(_frames(episode, origin, kind), episode.sentences[0])
            yield stored.source
        if writer is not None:
            writer.close()


def features_of(kind: DatasetKind) -> dict[str, dict[str, Any]]:
    """The features of info.json, those that every LeRobotDataset has aside."""
    pose = [*POSE_NAMES, GRIPPER_NAME]
    features = {
        STATE: _numbers([*pose, *kind.joints]),
        ACTION: _numbers([*pose, TERMINATE_NAME]),
        STAMP: _feature("float64", (1,)),
        KEYFRAME: _feature("bool", (1,)),
        EPISODE: _feature("string", (1,)),
        DIGEST: _feature("string", (1,)),
    }
    for camera, (height, width) in kind.cameras:
        features[IMAGES + camera] = _feature("image", (height, width, 3), ["height", "width", "channels"])
        features[DEPTH + camera] = {
            **_feature("uint16", (height, width), ["height", "width"]),
            "info": {"unit_metres": DEPTH_UNIT, "no_measurement": 0, "along": "optical axis"},
        }
        features[INTRINSICS + camera] = _feature("float64", (3, 3))
        features[EXTRINSICS + camera] = _feature("float64", (4, 4))
        features[LENS + camera] = _feature("float64", (LENS_VALUES,))
        features[STAMPS + camera] = _feature("float64", (1,))
    return features


def _numbers(names: list[str]) -> dict[str, Any]:
    return _feature("float64", (len(names),), names)


def _feature(dtype: str, shape: tuple[int, ...], names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "names": names}


def origin_of(stored: StoredEpisode, episode: Episode) -> Origin:
    """What a recording says of itself, or what the cloud of another source does."""
    if not episode.keyframes[0].views:
        raise DataError(f"{stored.source} holds clouds without images: export what it was converted from")
    if isinstance(stored, (RecordedEpisode, DatabaseEpisode)):
        return read_origin(stored)
    return Origin(stored.source, None, episode.keyframes[0].cloud.frame)


def kind_of(episode: Episode, origin: Origin) -> DatasetKind:
    """The kind of dataset that an episode goes into."""
    first = episode.keyframes[0]
    cameras = tuple((view.name, (view.depth.shape[0], view.depth.shape[1])) for view in first.views)
    return DatasetKind(origin.robot, tuple(first.joint_positions), cameras)


def _frames(episode: Episode, origin: Origin, kind: DatasetKind) -> Iterator[WrittenFrame]:
    digest = ContentDigest(episode, origin.robot, origin.frame)
    about = _about(episode, origin)
    for number, keyframe in enumerate(episode.keyframes):
        place = f"{episode.source}: keyframe {number}"
        views = keyframe.views
        _check(keyframe, views, kind, place)
        following = episode.keyframes[min(number + 1, len(episode.keyframes) - 1)]
        ends = number + 2 >= len(episode.keyframes)
        joints = [keyframe.joint_positions[name] for name in kind.joints]
        numbers: dict[str, NDArray[Any]] = {
            STATE: np.array([*keyframe.pose, keyframe.gripper_open, *joints], np.float64),
            ACTION: np.array([*following.pose, following.gripper_open, ends], np.float64),
            STAMP: np.array(keyframe.stamp, np.float64),
            KEYFRAME: np.array(True),
        }
        for view in views:
            numbers.update(_numbers_of(view))
        yield WrittenFrame(
            numbers=numbers,
            images={IMAGES + view.name: encode_color(view.color) for view in views},
            texts={EPISODE: json.dumps({**about, "lenses": _lenses(views)}), DIGEST: digest.add(keyframe, views)},
            histograms={IMAGES + view.name: histogram_of(view.color) for view in views},
        )


def _numbers_of(view: CameraView) -> dict[str, NDArray[Any]]:
    """What a frame says of a camera, by feature."""
    coefficients = view.distortion.coefficients if view.distortion.bends else ()
    return {
        DEPTH + view.name: depth_steps(view.depth),
        INTRINSICS + view.name: np.asarray(view.intrinsics, np.float64),
        EXTRINSICS + view.name: np.asarray(view.base_from_camera, np.float64),
        LENS + view.name: np.pad(np.array(coefficients, np.float64), (0, LENS_VALUES - len(coefficients))),
        STAMPS + view.name: np.array(view.stamp, np.float64),
    }


def _about(episode: Episode, origin: Origin) -> dict[str, Any]:
    """What :data:`EPISODE` says of an episode, but for the lenses of each frame."""
    return {
        "version": EPISODE_VERSION,
        "name": episode.source,
        "task": episode.task,
        "variation": int(episode.variation),
        "sentences": list(episode.sentences),
        "source": origin.source,
        "world": asdict(episode.provenance),
        "robot": origin.robot,
        "base_frame": origin.frame,
        "depth_unit_metres": DEPTH_UNIT,
        "keyframes": len(episode.keyframes),
    }


def _lenses(views: tuple[CameraView, ...]) -> dict[str, Any]:
    """Model and number of coefficients of each lens that bends."""
    lenses = {view.name: view.distortion for view in views if view.distortion.bends}
    return {name: {"model": lens.model, "count": len(lens.coefficients)} for name, lens in lenses.items()}


def _check(keyframe: Keyframe, views: tuple[CameraView, ...], kind: DatasetKind, place: str) -> None:
    if set(keyframe.joint_positions) != set(kind.joints):
        raise DataError(f"{place}: has joints {sorted(keyframe.joint_positions)}, the first {sorted(kind.joints)}")
    cameras = tuple((view.name, view.depth.shape) for view in views)
    if cameras != kind.cameras:
        raise DataError(f"{place}: has cameras {cameras}, the first has {kind.cameras}")
    if not np.all(np.isfinite(keyframe.pose)):
        raise DataError(f"{place}: pose {np.asarray(keyframe.pose)} is not finite")
    for view in views:
        try:
            check_view(view)
        except PerceptionError as error:
            raise DataError(f"{place}: {error}") from error


@contextmanager
def _whole_folder(destination: Path) -> Iterator[Path]:
    """A new folder beside ``destination`` that takes its place when the block ends, and goes where the block raises.

    One exporter at a time has it; what one that was killed has left there is removed.
    """
    beside = destination.absolute().parent
    partial = beside / f".{destination.absolute().name}.partial"
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with Hold(partial.with_suffix(".exporter"), f"the dataset {destination}"):
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir()
                yield partial
                partial.replace(destination)
                flush_folder(beside)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except HeldError as error:
        raise DataError(str(error)) from None
    except OSError as error:
        raise DataError(f"cannot write {destination}: {error.strerror or error}") from error
