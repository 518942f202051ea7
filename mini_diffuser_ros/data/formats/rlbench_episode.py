"""One demonstration as RLBench stores it: a pickle of what was measured and a folder of PNGs for each camera."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.fields import read_bounded
from mini_diffuser_ros.data.formats.arm_boxes import ArmBox, arm_boxes
from mini_diffuser_ros.data.formats.described_arm import JOINTS, ArmPosture
from mini_diffuser_ros.data.formats.images import MAX_BYTES, decode_color
from mini_diffuser_ros.data.formats.restricted_pickle import MAX_FILE_BYTES, Attributes, read_pickle
from mini_diffuser_ros.data.formats.rlbench_camera import camera_view, decode_mask, decode_rgb_depth, rlbench_cloud
from mini_diffuser_ros.data.keyframes import discover_keyframes
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import RLBENCH, CameraView, Cloud, Episode, Keyframe, Provenance

CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "wrist", "front")

SECONDS_PER_FRAME = 0.05
"""The simulator's step; demonstrations carry no time of their own."""

_DEMO = "low_dim_obs.pkl"
_KINDS = ("rgb", "depth")  # of images


@dataclass(frozen=True)
class RlbenchEpisode:
    """A demonstration on disk, not yet read.

    Attributes:
        source: its name within the data set, e.g. ``close_jar/variation3/episode12``.
        folder: of the pickle and the cameras.
        task: task name.
        variation_file: pickle of the variation's number; None where ``variation`` is known.
        variation: number of the variation.
        sentences_file: pickle of the sentences.
        fusion: how the views of a keyframe become its cloud.
    """

    source: str
    folder: Path
    task: str
    variation: int
    variation_file: Path | None
    sentences_file: Path
    fusion: FusionConfig

    def digest(self) -> bytes:
        """A digest of task, variation and sentences, of the measurements, and of the images of the keyframes.

        Of hundreds of images a demonstration only those of few keyframes are ever read.
        """
        measured = _hash(self.folder / _DEMO, MAX_FILE_BYTES)
        frames = self._keyframes(_observations(self.folder / _DEMO))
        images = {
            f"{camera}_{kind}/{frame}": _hash(self.folder / f"{camera}_{kind}" / f"{frame}.png", MAX_BYTES)
            for camera in self._cameras()
            for kind in _KINDS
            for frame in frames
        }
        about = [self.task, self._read_variation(), _read_sentences(self.sentences_file), measured, images]
        return hashlib.sha256(json.dumps(["RLBench 2", *about]).encode()).digest()

    def pictures(self) -> frozenset[int]:
        """See :class:`StoredEpisode`; calibrations are those of one simulator."""
        frames = self._keyframes(_observations(self.folder / _DEMO))
        return frozenset(
            int("".join(_hash(self.folder / f"{camera}_{kind}" / f"{frame}.png", MAX_BYTES)[:8] for kind in _KINDS), 16)
            for camera in self._cameras()
            for frame in frames
        )

    def read(self) -> Episode:
        """Read the pickle and find the keyframes; images are read when a keyframe's views or cloud are asked for.

        Raises:
            EpisodeFileError: naming the file and what is wrong with it.
        """
        file = self.folder / _DEMO
        observations = _observations(file)
        frames, cameras = self._keyframes(observations), self._cameras()
        return Episode(
            task=self.task,
            variation=self._read_variation(),
            sentences=_read_sentences(self.sentences_file),
            keyframes=tuple(self._keyframe(file, frame, observations[frame], cameras) for frame in frames),
            source=self.source,
            provenance=Provenance((RLBENCH,), ("panda",), (), tuple(sorted(cameras))),
        )

    def _keyframes(self, observations: list[Attributes]) -> list[int]:
        """Frames of the keyframes, at least two."""
        file = self.folder / _DEMO
        grippers = np.array([_array(file, i, o, "gripper_open", ()) for i, o in enumerate(observations)])
        velocities = np.array([_array(file, i, o, "joint_velocities", (7,)) for i, o in enumerate(observations)])
        frames = discover_keyframes(grippers, velocities)
        if len(frames) < 2:
            raise EpisodeFileError(file, f"has {len(frames)} keyframe, expected at least two")
        return frames

    def _cameras(self) -> tuple[str, ...]:
        """Names of the cameras that have images, at least one."""
        cameras = tuple(camera for camera in CAMERAS if (self.folder / f"{camera}_depth").is_dir())
        if not cameras:
            raise EpisodeFileError(self.folder, f"has no depth images, expected folders like {CAMERAS[-1]}_depth")
        return cameras

    def _read_variation(self) -> int:
        if self.variation_file is None:
            return self.variation
        number = read_pickle(self.variation_file)
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise EpisodeFileError(
                self.variation_file, f"holds a {type(number).__name__}, expected a whole number of at least 0"
            )
        return int(number)

    def _keyframe(self, file: Path, frame: int, observation: Attributes, cameras: tuple[str, ...]) -> Keyframe:
        information = _attribute(file, frame, observation, "misc")
        if not isinstance(information, dict):
            raise EpisodeFileError(file, f"observation {frame}: misc is no dictionary")
        stored = tuple(_stored_camera(file, frame, information, camera) for camera in cameras)
        try:
            boxes = arm_boxes(information)
        except ValueError as error:
            raise EpisodeFileError(file, f"observation {frame}: {error}") from error
        pose, joints = (
            _array(file, frame, observation, "gripper_pose", (7,)),
            _joint_positions(file, frame, observation),
        )
        posture = ArmPosture(np.array([*joints.values()]), pose) if joints else None
        return Keyframe(
            pose=pose,
            gripper_open=bool(_array(file, frame, observation, "gripper_open", ()) > 0.5),
            stamp=frame * SECONDS_PER_FRAME,
            load_cloud=partial(_load_cloud, self.folder, frame, stored, boxes, self.fusion, posture),
            load_views=partial(_load_views, self.folder, frame, stored),
            joint_positions=joints,
        )


@dataclass(frozen=True, eq=False)
class _StoredCamera:
    """Calibration of a camera at one frame, in RLBench's conventions."""

    name: str
    intrinsics: NDArray[np.float64]
    extrinsics: NDArray[np.float64]
    near: float
    far: float


def read_masks(folder: Path, frame: int) -> dict[str, NDArray[np.int32]]:
    """Camera to the simulator's object handles (H, W) at a frame, of the cameras that have masks.

    Raises:
        EpisodeFileError: if an image is damaged.
    """
    files = {camera: folder / f"{camera}_mask" / f"{frame}.png" for camera in CAMERAS}
    return {camera: _image(file, decode_mask) for camera, file in files.items() if file.exists()}


def _hash(file: Path, most: int) -> str:
    return hashlib.sha256(read_bounded(file, most)).hexdigest()


def _observations(file: Path) -> list[Attributes]:
    demo = read_pickle(file)
    observations = getattr(demo, "_observations", None)
    if not isinstance(observations, list) or not observations:
        raise EpisodeFileError(file, "holds no rlbench.demo.Demo with observations")
    if not all(isinstance(observation, Attributes) for observation in observations):
        raise EpisodeFileError(file, "holds something else than observations in its demonstration")
    return observations


def _read_sentences(file: Path) -> tuple[str, ...]:
    sentences = read_pickle(file)
    valid = isinstance(sentences, list) and sentences and all(isinstance(s, str) and s.strip() for s in sentences)
    if not valid:
        raise EpisodeFileError(file, f"holds a {type(sentences).__name__}, expected a list of at least one sentence")
    return tuple(sentences)


def _stored_camera(file: Path, frame: int, information: Mapping[str, Any], camera: str) -> _StoredCamera:
    def entry(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        key = f"{camera}_{name}"
        if key not in information:
            raise EpisodeFileError(file, f"observation {frame}: misc has no {key}, but there are images")
        return _checked(file, f"observation {frame}: {key}", information[key], shape)

    near, far = float(entry("camera_near", ())), float(entry("camera_far", ()))
    return _StoredCamera(camera, entry("camera_intrinsics", (3, 3)), entry("camera_extrinsics", (4, 4)), near, far)


def _joint_positions(file: Path, frame: int, observation: Attributes) -> dict[str, float]:
    if getattr(observation, "joint_positions", None) is None:
        return {}
    arm = _array(file, frame, observation, "joint_positions", (7,))
    return dict(zip(JOINTS, arm.tolist(), strict=True))


def _attribute(file: Path, frame: int, observation: Attributes, name: str) -> Any:
    value = getattr(observation, name, None)
    if value is None:
        raise EpisodeFileError(file, f"observation {frame} has no {name}")
    return value


def _array(file: Path, frame: int, observation: Attributes, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return _checked(file, f"observation {frame}: {name}", _attribute(file, frame, observation, name), shape)


def _checked(file: Path, what: str, value: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full((0,), np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        raise EpisodeFileError(
            file, f"{what} is a {type(value).__name__} of shape {array.shape}, expected finite {shape}"
        )
    return array


def _load_views(folder: Path, frame: int, cameras: tuple[_StoredCamera, ...]) -> tuple[CameraView, ...]:
    return tuple(_load_view(folder, frame, camera) for camera in cameras)


def _load_view(folder: Path, frame: int, camera: _StoredCamera) -> CameraView:
    color = _image(folder / f"{camera.name}_rgb" / f"{frame}.png", decode_color)
    depth_file = folder / f"{camera.name}_depth" / f"{frame}.png"
    depth = _image(depth_file, partial(decode_rgb_depth, near=camera.near, far=camera.far))
    try:
        return camera_view(camera.name, color, depth, camera.intrinsics, camera.extrinsics, frame * SECONDS_PER_FRAME)
    except ValueError as error:
        raise EpisodeFileError(depth_file, str(error)) from error


def _load_cloud(
    folder: Path,
    frame: int,
    cameras: tuple[_StoredCamera, ...],
    boxes: tuple[ArmBox, ...],
    fusion: FusionConfig,
    posture: ArmPosture | None,
) -> Cloud:
    try:
        return rlbench_cloud(_load_views(folder, frame, cameras), boxes, fusion, posture)
    except EpisodeFileError:
        raise
    except ValueError as error:
        raise EpisodeFileError(folder, f"frame {frame}: {error}") from error


def _image(file: Path, decode: Any) -> NDArray[Any]:
    data = read_bounded(file, MAX_BYTES)
    try:
        return decode(data)
    except ValueError as error:
        raise EpisodeFileError(file, str(error)) from error
