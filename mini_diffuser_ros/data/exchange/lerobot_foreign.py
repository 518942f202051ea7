"""Episodes of somebody else's LeRobotDataset: the frames that are keyframes, with what a mapping says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.exchange.incoming import IncomingEpisode, no_cloud
from mini_diffuser_ros.data.exchange.lerobot_folder import EpisodePlace, LeRobotFolder
from mini_diffuser_ros.data.exchange.lerobot_mapping import (
    NORM_TOLERANCE,
    TIMESTAMP,
    CameraMapping,
    LeRobotMapping,
    ToolMapping,
)
from mini_diffuser_ros.data.exchange.video import video_frames
from mini_diffuser_ros.data.formats.episode_file import MAX_KEYFRAMES
from mini_diffuser_ros.data.formats.images import decode_color, decode_depth
from mini_diffuser_ros.data.keyframes import STOPPED_SPEED, discover_keyframes
from mini_diffuser_ros.data.task_names import task_of
from mini_diffuser_ros.geometry import axis_angle_matrix, matrix_from_pose, matrix_from_rpy, quaternion_from_matrix
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import UNSAID, CameraView, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot

FARTHEST = 5.0
"""Metres from the base that no tool reaches: beyond, the unit is another."""

STOPPED_TOOL = 0.01
"""Metres a second: a slower tool has stopped, where there are no joints to tell it."""

_FARTHEST_TURN = 4.0 * np.pi  # radians that no wrist turns, nor does anybody write: beyond, they are degrees
_ROUNDING = 1e-12  # of the norm of a quaternion in float64
_MOST_VIDEO_PIXELS = 2**27  # of the keyframes of one episode and camera, which are decoded together

Floats = NDArray[np.float64]
Colors = Callable[[int], NDArray[np.uint8]]


def foreign_episode(folder: LeRobotFolder, place: EpisodePlace, mapping: LeRobotMapping) -> IncomingEpisode:
    """One episode, of its keyframes alone.

    Args:
        folder: of the dataset.
        place: where the episode is.
        mapping: a complete one.

    Raises:
        DataError: if something is not what the mapping says, naming it.
    """
    if len(place.sentences) != 1:
        raise EpisodeFileError(place.file, f"episode {place.index} has {len(place.sentences)} tasks, expected one")
    frames = _Frames(folder, place, mapping)
    numbers = frames.keyframes()
    if not 2 <= len(numbers) <= MAX_KEYFRAMES:
        raise EpisodeFileError(
            place.file, f"episode {place.index} has {len(numbers)} keyframes, expected 2 to {MAX_KEYFRAMES}"
        )
    cameras = [_Camera(folder, place, name, camera, frames.poses, numbers) for name, camera in mapping.cameras.items()]
    robot = mapping.robot
    episode = Episode(
        task=mapping.task or task_of(place.sentences[0]),
        variation=0,
        sentences=place.sentences,
        keyframes=tuple(frames.keyframe(number, cameras) for number in numbers),
        source=f"{folder.info.root.resolve().name} episode {place.index}",
        provenance=UNSAID,
    )
    frame = FusionConfig().frame if robot is None else load_robot(robot).base_frame
    return IncomingEpisode(episode, robot, frame)


class _Frames:
    """What all frames of an episode say, images aside."""

    def __init__(self, folder: LeRobotFolder, place: EpisodePlace, mapping: LeRobotMapping) -> None:
        if mapping.tool is None or mapping.gripper is None:
            raise DataError(f"{folder.info.root}: the mapping is not complete")
        self._folder, self._place, self._mapping = folder, place, mapping
        gripper = mapping.gripper
        values = _columns(folder, place, gripper.feature, (gripper.column,))[:, 0]
        self.poses = _poses(folder, place, mapping.tool)
        self.gripper_open = (values > gripper.threshold) == gripper.open_above
        self.stamps = _stamps(folder, place, mapping.stamps)
        self.joint_names, self.joints = self._joints()

    def _joints(self) -> tuple[tuple[str, ...], Floats]:
        """Names of the robot's joints, and (T, J) radians; none of either without a robot."""
        mapping, place = self._mapping, self._place
        if mapping.robot is None or mapping.joints is None:
            return (), np.zeros((place.length, 0))
        names = load_robot(mapping.robot).arm_joint_names
        columns = tuple(range(len(names))) if mapping.joints.columns is None else mapping.joints.columns
        if len(columns) != len(names):
            raise DataError(f"joints.columns has {len(columns)} numbers, expected those of {', '.join(names)}")
        return names, _columns(self._folder, place, mapping.joints.feature, columns)

    def keyframes(self) -> list[int]:
        """Numbers of the frames that are keyframes."""
        if self._mapping.keyframes is not None:
            marks = self._folder.numbers(self._place, self._mapping.keyframes).reshape(self._place.length, -1)
            return np.flatnonzero(marks.any(axis=1)).tolist()
        if self._place.length < 3:
            return list(range(self._place.length))
        return discover_keyframes(self.gripper_open.astype(float), self._speeds())

    def _speeds(self) -> Floats:
        """(T, J) rad/s of the joints, or what the tool's speed is in those terms."""
        if self.joints.shape[1]:
            return np.gradient(self.joints, self.stamps, axis=0)
        moved = np.gradient(self.poses[:, :3], self.stamps, axis=0) * STOPPED_SPEED / STOPPED_TOOL
        turned = 2.0 * np.gradient(_continuous(self.poses[:, 3:]), self.stamps, axis=0)
        return np.hstack([moved, turned])

    def keyframe(self, number: int, cameras: Sequence[_Camera]) -> Keyframe:
        """The keyframe that a frame is."""
        stamp = float(self.stamps[number])
        return Keyframe(
            pose=self.poses[number],
            gripper_open=bool(self.gripper_open[number]),
            stamp=stamp,
            load_cloud=no_cloud,
            load_views=partial(_views, self._folder, self._place, number, stamp, cameras),
            joint_positions=dict(zip(self.joint_names, self.joints[number].tolist(), strict=True)),
        )


class _Camera:
    """Where the images of a camera are, and its calibration in each frame."""

    def __init__(
        self,
        folder: LeRobotFolder,
        place: EpisodePlace,
        name: str,
        mapping: CameraMapping,
        poses: Floats,
        numbers: Sequence[int],
    ) -> None:
        self.name, self.mapping = name, mapping
        self.intrinsics = _intrinsics(folder, place, mapping)
        self.base_from_camera = _extrinsics(folder, place, mapping, poses)
        self.depth = str(mapping.depth)
        if folder.feature(self.depth).dtype == "video":
            raise EpisodeFileError(
                folder.info.root,
                f"{self.depth} is a video, in which depth is not what was measured: record it as uint16 or 16 bit PNG",
            )
        self.color = str(mapping.color)
        self._decoded: dict[int, NDArray[np.uint8]] = {}
        feature = folder.feature(self.color)
        if feature.dtype == "video":
            if len(numbers) * int(np.prod(feature.shape)) > 3 * _MOST_VIDEO_PIXELS:
                raise EpisodeFileError(place.file, f"{self.color}: {len(numbers)} keyframes of {feature} are too many")
            file, start = place.videos[self.color]
            frames = video_frames(file, start, folder.info.fps, numbers)
            self._decoded = dict(zip(numbers, frames, strict=True))
        elif feature.dtype != "image":
            raise EpisodeFileError(folder.info.root, f"{feature} is no image or video")

    @property
    def features(self) -> tuple[str, ...]:
        """Those that are in the file of frames."""
        return (self.depth,) if self._decoded else (self.color, self.depth)

    def view(self, number: int, stamp: float, frame: dict[str, Any]) -> CameraView:
        """What the camera saw in a frame.

        Raises:
            ValueError: if an image is none.
        """
        color = self._decoded[number] if self._decoded else decode_color(frame[self.color])
        return CameraView(
            name=self.name,
            color=color,
            depth=self._metres(frame[self.depth]),
            intrinsics=self.intrinsics[number],
            base_from_camera=self.base_from_camera[number],
            stamp=stamp,
            distortion=self.mapping.distortion,
        )

    def _metres(self, value: Any) -> NDArray[np.float32]:
        unit = 1.0 if self.mapping.depth_metres is None else self.mapping.depth_metres
        if isinstance(value, bytes):
            return decode_depth(value, unit)
        flat = np.squeeze(value)
        if flat.ndim != 2:
            raise ValueError(f"depth is of shape {value.shape}, expected (height, width)")
        return (flat * unit).astype(np.float32)


def _views(
    folder: LeRobotFolder, place: EpisodePlace, number: int, stamp: float, cameras: Sequence[_Camera]
) -> tuple[CameraView, ...]:
    frame = folder.frame(place, number, [name for camera in cameras for name in camera.features])
    views = []
    for camera in cameras:
        try:
            views.append(camera.view(number, stamp, frame))
        except ValueError as error:
            raise EpisodeFileError(place.file, f"camera {camera.name}, frame {number}: {error}") from error
    return tuple(views)


def _stamps(folder: LeRobotFolder, place: EpisodePlace, name: str) -> Floats:
    """(T,) seconds."""
    stamps = folder.numbers(place, name)
    if stamps.ndim != 1:
        raise DataError(f"stamps: {folder.feature(name)} is not one number a frame")
    back = np.flatnonzero(np.diff(stamps) <= 0.0)
    if len(back):
        raise EpisodeFileError(
            place.file,
            f"{name} of episode {place.index} goes from {stamps[back[0]]:g} to {stamps[back[0] + 1]:g} s at frame"
            f" {back[0] + 1}, expected later and later ones: --mapping names another feature as stamps",
        )
    step = float(np.median(np.diff(stamps))) if place.length > 1 else 1.0 / folder.info.fps
    if name == TIMESTAMP and not 0.5 < step * folder.info.fps < 2.0:
        raise EpisodeFileError(
            place.file,
            f"{name} of episode {place.index} goes on by {step:g} s a frame, info.json says fps {folder.info.fps:g}:"
            " is it in seconds? --mapping names another feature as stamps",
        )
    return stamps


def _columns(folder: LeRobotFolder, place: EpisodePlace, name: str, columns: Sequence[int]) -> Floats:
    """(T, len(columns)) some entries of a feature."""
    values = folder.numbers(place, name).reshape(place.length, -1)
    if max(columns) >= values.shape[1]:
        raise DataError(f"{folder.feature(name)} has no entry {max(columns)}, they are counted from 0")
    return values[:, list(columns)]


def _poses(folder: LeRobotFolder, place: EpisodePlace, tool: ToolMapping) -> Floats:
    """(T, 7) xyz + xyzw."""
    values = _columns(folder, place, tool.feature, tool.places)
    positions, rotations = values[:, :3] * tool.metres, values[:, 3:]
    farthest = float(np.abs(positions).max())
    if farthest > FARTHEST:
        raise EpisodeFileError(
            place.file, f"the tool of episode {place.index} is {farthest:g} m away: is tool.metres 0.001, or another?"
        )
    if tool.rotation in ("rpy", "rotation_vector"):
        turned = float(np.abs(rotations).max())
        if turned > _FARTHEST_TURN:
            raise EpisodeFileError(
                place.file,
                f"the tool of episode {place.index} is turned by {turned:g}, expected radians: are tool.columns"
                " right, and are they degrees?",
            )
        turn = _quaternion_of_rpy if tool.rotation == "rpy" else _quaternion_of
        return np.hstack([positions, [turn(rotation) for rotation in rotations]])
    quaternions = rotations if tool.rotation == "xyzw" else np.roll(rotations, -1, axis=1)
    return np.hstack([positions, _unit(place, quaternions, "tool.columns and tool.rotation")])


def _unit(place: EpisodePlace, quaternions: Floats, fields: str) -> Floats:
    """Quaternions (T, 4) that are such, of norm 1."""
    norms = np.linalg.norm(quaternions, axis=1)
    if np.abs(norms - 1.0).max() > NORM_TOLERANCE:
        worst = norms[np.abs(norms - 1.0).argmax()]
        raise EpisodeFileError(
            place.file, f"a quaternion of episode {place.index} has norm {worst:.3g}: are {fields} right?"
        )
    norms[np.abs(norms - 1.0) < _ROUNDING] = 1.0  # as it was written, to the bit
    return quaternions / norms[:, None]


def _quaternion_of_rpy(rpy: Floats) -> Floats:
    return quaternion_from_matrix(matrix_from_rpy(rpy))


def _quaternion_of(vector: Floats) -> Floats:
    angle = float(np.linalg.norm(vector))
    return quaternion_from_matrix(axis_angle_matrix(vector, angle)) if angle > 0.0 else np.array([0.0, 0.0, 0.0, 1.0])


def _continuous(quaternions: Floats) -> Floats:
    """The same rotations, with signs that do not jump from one to the next."""
    signs = np.sign((quaternions[1:] * quaternions[:-1]).sum(axis=1))
    return quaternions * np.concatenate([[1.0], np.cumprod(np.where(signs == 0.0, 1.0, signs))])[:, None]


def _intrinsics(folder: LeRobotFolder, place: EpisodePlace, mapping: CameraMapping) -> Floats:
    """(T, 3, 3)"""
    if mapping.intrinsics is not None:
        fx, fy, cx, cy = mapping.intrinsics
        return np.broadcast_to(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), (place.length, 3, 3))
    return _reshaped(folder, place, str(mapping.intrinsics_feature), (3, 3))


def _extrinsics(folder: LeRobotFolder, place: EpisodePlace, mapping: CameraMapping, poses: Floats) -> Floats:
    """(T, 4, 4)"""
    if mapping.base_from_camera is not None:
        return np.broadcast_to(matrix_from_pose(mapping.base_from_camera), (place.length, 4, 4))
    if mapping.tool_from_camera is not None:
        tool_from_camera = matrix_from_pose(mapping.tool_from_camera)
        return np.stack([matrix_from_pose(pose) @ tool_from_camera for pose in poses])
    name = str(mapping.base_from_camera_feature)
    if folder.feature(name).shape == (7,):
        places = folder.numbers(place, name)
        _unit(place, places[:, 3:], f"the entries of {name}")
        return np.stack([matrix_from_pose(pose) for pose in places])
    return _reshaped(folder, place, name, (4, 4))


def _reshaped(folder: LeRobotFolder, place: EpisodePlace, name: str, shape: tuple[int, int]) -> Floats:
    values = folder.numbers(place, name).reshape(place.length, -1)
    if values.shape[1] != shape[0] * shape[1]:
        raise DataError(f"{folder.feature(name)} is no matrix {shape}")
    return values.reshape(place.length, *shape)
