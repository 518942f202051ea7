"""Between ROS messages and the records of the package."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from mini_diffuser_msgs.msg import KeyframeMode as KeyframeModeMessage
from mini_diffuser_msgs.msg import ModeSureness as ModeSurenessMessage
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMessage
from trajectory_msgs.msg import JointTrajectoryPoint

from mini_diffuser_ros.geometry import evenly_spread, matrix_from_pose, pose_from_matrix
from mini_diffuser_ros.records import Cloud, Distortion, JointTrajectory, KeyframeMode, ModeSureness
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

NANOSECONDS = 1_000_000_000
COLOR_CHANNELS = {
    "rgb8": (3, slice(0, 3)),
    "bgr8": (3, slice(2, None, -1)),
    "rgba8": (4, slice(0, 3)),
    "bgra8": (4, slice(2, None, -1)),
}
"""Bytes a pixel, and where red, green and blue are among them, for each colour encoding."""
DEPTH_TYPES: dict[str, tuple[np.dtype[Any], float]] = {
    "16UC1": (np.dtype("u2"), 1e-3),
    "mono16": (np.dtype("u2"), 1e-3),
    "32FC1": (np.dtype("f4"), 1.0),
}
"""Sample type and metres per unit of each depth encoding (REP 118)."""
POINT_DTYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
REMEMBERED = "remembered"
"""Field of a cloud's points: 1 of those that it does not show, which earlier ones did. It may be left out."""


class MalformedMessageError(UserError, RuntimeError):
    """A received message contradicts itself or has a layout that is not understood."""


def seconds(stamp: Time) -> float:
    """Seconds of a stamp or a duration."""
    return stamp.sec + stamp.nanosec / NANOSECONDS


def in_order(names: Sequence[str], values: Sequence[float], wanted: Sequence[str]) -> Array:
    """(J,) values of the wanted names, in their order; NaN where there is none."""
    by_name = dict(zip(names, values, strict=False))
    return np.array([by_name.get(name, np.nan) for name in wanted])


def stamp_from_seconds(value: float) -> Time:
    """Stamp of seconds."""
    whole, nanoseconds = divmod(round(value * NANOSECONDS), NANOSECONDS)
    return Time(sec=int(whole), nanosec=int(nanoseconds))


def duration_from_seconds(value: float) -> Duration:
    """Duration of seconds."""
    whole, nanoseconds = divmod(round(value * NANOSECONDS), NANOSECONDS)
    return Duration(sec=int(whole), nanosec=int(nanoseconds))


def color_from_image(message: Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, a view of the message's own bytes.

    Raises:
        MalformedMessageError: on an encoding that is not one of COLOR_CHANNELS, or a step or size that does not fit.
    """
    if message.encoding not in COLOR_CHANNELS:
        raise MalformedMessageError(
            f"colour encoding '{message.encoding}', expected one of {', '.join(COLOR_CHANNELS)}"
        )
    pixel_bytes, channels = COLOR_CHANNELS[message.encoding]
    pixels = _rows(message, pixel_bytes).reshape(message.height, message.width, pixel_bytes)
    return pixels[:, :, channels]


def depth_from_image(message: Image) -> NDArray[np.float32]:
    """(H, W) float32 metres, a view of the message's own bytes if they are such; "no measurement" stays 0 or NaN.

    Raises:
        MalformedMessageError: on an encoding that is not one of DEPTH_TYPES, or a step or size that does not fit.
    """
    if message.encoding not in DEPTH_TYPES:
        raise MalformedMessageError(f"depth encoding '{message.encoding}', expected one of {', '.join(DEPTH_TYPES)}")
    kind, scale = DEPTH_TYPES[message.encoding]
    samples = _rows(message, kind.itemsize).view(kind.newbyteorder(">" if message.is_bigendian else "<"))
    if scale == 1.0:
        return samples.astype(np.float32, copy=False)
    return np.multiply(samples, np.float32(scale), dtype=np.float32)


def _rows(message: Image, pixel_bytes: int) -> NDArray[np.uint8]:
    """(H, W * pixel_bytes) bytes without the padding at the end of the rows."""
    width = message.width * pixel_bytes
    data = np.frombuffer(message.data, dtype=np.uint8)
    if not 0 < width <= message.step or data.size != message.step * message.height or data.size == 0:
        raise MalformedMessageError(
            f"{message.encoding} image of {message.width}x{message.height} pixels, step {message.step}, holds "
            f"{data.size} bytes; expected a step of at least {width} and step * height bytes"
        )
    return data.reshape(message.height, message.step)[:, :width]


def image_from_color(color: NDArray[np.uint8], header: Header) -> Image:
    """rgb8 image of (H, W, 3) uint8."""
    height, width = color.shape[:2]
    return _image(header, height, width, "rgb8", width * 3, np.ascontiguousarray(color).tobytes())


def image_from_depth(depth: NDArray[np.floating], header: Header) -> Image:
    """32FC1 image of (H, W) metres."""
    height, width = depth.shape
    return _image(header, height, width, "32FC1", width * 4, np.ascontiguousarray(depth, "<f4").tobytes())


def image_from_millimetres(depth: NDArray[np.uint16], header: Header) -> Image:
    """16UC1 image of (H, W) millimetres."""
    height, width = depth.shape
    return _image(header, height, width, "16UC1", width * 2, np.ascontiguousarray(depth, "<u2").tobytes())


def _image(header: Header, height: int, width: int, encoding: str, step: int, data: bytes) -> Image:
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0, step=step)
    # An array is stored as it is; genuine rclpy checks any other sequence byte by byte.
    message.data = array("B", data)
    return message


def intrinsics_from_info(message: CameraInfo) -> Array:
    """(3, 3) pinhole matrix of a camera_info message.

    Raises:
        MalformedMessageError: if the camera is not calibrated.
    """
    intrinsics = np.asarray(message.k, dtype=np.float64).reshape(3, 3)
    if not np.all(np.isfinite(intrinsics)) or intrinsics[0, 0] == 0.0 or intrinsics[1, 1] == 0.0:
        raise MalformedMessageError(
            f"camera_info with K = {intrinsics.ravel().tolist()}: the camera is not calibrated, its focal lengths K[0] "
            "and K[4] must not be 0"
        )
    return intrinsics


def distortion_from_info(message: CameraInfo) -> Distortion:
    """The lens of a camera_info message, unchecked: perception refuses what it cannot undo."""
    return Distortion(message.distortion_model, tuple(float(value) for value in message.d))


def info_from_intrinsics(
    intrinsics: NDArray[np.floating], size: tuple[int, int], header: Header, distortion: Distortion | None = None
) -> CameraInfo:
    """camera_info of a camera, without distortion unless it is given; ``size`` is (height, width) in pixels."""
    lens = distortion or Distortion(coefficients=(0.0,) * 5)
    matrix = np.asarray(intrinsics, dtype=np.float64)
    message = CameraInfo(header=header, height=size[0], width=size[1], distortion_model=lens.model)
    message.d = list(lens.coefficients)
    message.k = matrix.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([matrix, np.zeros((3, 1))]).ravel()
    return message


def cloud_to_message(cloud: Cloud, remembered: NDArray[np.float32] | None = None) -> PointCloud2:
    """PointCloud2 with the fields x y z rgb, as PCL and RViz read them.

    Args:
        cloud: to be sent.
        remembered: (M, 3) metres, places that it does not show and that are not to be taken for free. If there are any,
            they follow in black, told by the field :data:`REMEMBERED`.
    """
    extra = 0 if remembered is None else len(remembered)
    layout = np.dtype([*POINT_DTYPE.descr, (REMEMBERED, "<u4")]) if extra else POINT_DTYPE
    points = np.zeros(len(cloud) + extra, dtype=layout)
    for axis, name in enumerate("xyz"):
        points[name][: len(cloud)] = cloud.points[:, axis]
        if remembered is not None and extra:
            points[name][len(cloud) :] = remembered[:, axis]
    if extra:
        points[REMEMBERED][len(cloud) :] = 1
    red, green, blue = (cloud.colors[:, channel].astype(np.uint32) for channel in range(3))
    points["rgb"][: len(cloud)] = (red << 16) | (green << 8) | blue
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(POINT_DTYPE.names or ())
    ]
    if extra:
        fields.append(PointField(name=REMEMBERED, offset=16, datatype=PointField.UINT32, count=1))
    message = PointCloud2(
        header=Header(frame_id=cloud.frame, stamp=stamp_from_seconds(cloud.stamp)),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=layout.itemsize,
        row_step=layout.itemsize * len(points),
        is_dense=True,
    )
    message.data = array("B", points.tobytes())
    return message


def cloud_from_message(message: PointCloud2, *, with_remembered: bool = False, most_points: int | None = None) -> Cloud:
    """Cloud of a PointCloud2 with float32 x y z and packed rgb, at any offsets. Points that are not finite go.

    Args:
        message: the cloud.
        with_remembered: whether points that it only remembers are wanted as well.
        most_points: of a larger one this many, evenly spread, are looked at; None for all.

    Raises:
        MalformedMessageError: if a field is missing or of another type, or the size does not fit.
    """
    offsets: dict[str, int] = {}
    for entry in message.fields:
        allowed = (PointField.FLOAT32, PointField.UINT32) if entry.name == "rgb" else (PointField.FLOAT32,)
        if entry.name == REMEMBERED:
            allowed = (PointField.UINT32,)
        if entry.name in (*POINT_DTYPE.names, REMEMBERED) and entry.datatype in allowed:  # type: ignore[misc]
            offsets[entry.name] = entry.offset
    missing = [name for name in ("x", "y", "z", "rgb") if name not in offsets]
    if missing:
        raise MalformedMessageError(f"point cloud without 32 bit fields {', '.join(missing)}")
    count = message.width * message.height
    data = np.frombuffer(message.data, dtype=np.uint8)
    fits = max(offsets.values()) + 4 <= message.point_step and data.size == message.row_step * message.height
    if not fits or message.row_step != message.point_step * message.width or message.is_bigendian:
        raise MalformedMessageError(
            f"point cloud of {message.width}x{message.height} points, point step {message.point_step}, "
            f"row step {message.row_step}, big-endian {bool(message.is_bigendian)}, holds {data.size} bytes"
        )
    layout = np.dtype(
        {
            "names": list(offsets),
            "formats": ["<u4" if name in ("rgb", REMEMBERED) else "<f4" for name in offsets],
            "offsets": list(offsets.values()),
            "itemsize": message.point_step,
        }
    )
    records = data.view(layout) if count else np.empty(0, layout)
    if most_points is not None and count > most_points:
        records = records[evenly_spread(count, most_points)]
    points = np.stack([records["x"], records["y"], records["z"]], axis=1).astype(np.float32)
    packed = records["rgb"]
    colors = np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)
    wanted = np.all(np.isfinite(points), axis=1)
    if REMEMBERED in offsets and not with_remembered:
        wanted &= records[REMEMBERED] == 0
    return Cloud(points[wanted], colors[wanted], message.header.frame_id, seconds(message.header.stamp))


def pose_to_message(pose: NDArray[np.floating]) -> Pose:
    """Pose message of (7,) xyz + xyzw."""
    x, y, z, qx, qy, qz, qw = (float(value) for value in pose)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_from_message(message: Pose) -> Array:
    """(7,) xyz + xyzw of a pose message, whatever its values."""
    p, q = message.position, message.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w], dtype=np.float64)


def matrix_from_transform(message: Transform) -> Array:
    """(4, 4) ``parent_from_child`` of a transform message."""
    t, q = message.translation, message.rotation
    return matrix_from_pose([t.x, t.y, t.z, q.x, q.y, q.z, q.w])


def transform_from_matrix(parent_from_child: NDArray[np.floating]) -> Transform:
    """Transform message of a (4, 4) matrix."""
    x, y, z, qx, qy, qz, qw = (float(value) for value in pose_from_matrix(parent_from_child))
    return Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def mode_to_message(mode: KeyframeMode) -> KeyframeModeMessage:
    """Message of a mode."""
    return KeyframeModeMessage(
        pose=pose_to_message(mode.pose),
        gripper_open=bool(mode.gripper_open),
        terminate=bool(mode.terminate),
        share=float(mode.share),
        spread=float(mode.spread),
    )


def sureness_to_message(sureness: ModeSureness) -> ModeSurenessMessage:
    """Message of how sure the policy is of a mode."""
    return ModeSurenessMessage(**asdict(sureness))


def mode_from_message(message: KeyframeModeMessage) -> KeyframeMode:
    """Mode of a message, unchecked: motion refuses what it cannot do."""
    return KeyframeMode(
        pose_from_message(message.pose),
        bool(message.gripper_open),
        bool(message.terminate),
        float(message.share),
        float(message.spread),
    )


def trajectory_to_message(trajectory: JointTrajectory, start: float = 0.0) -> JointTrajectoryMessage:
    """Message whose times count from ``start``, seconds of the controller's clock; 0: from when it is received."""
    samples = zip(trajectory.times, trajectory.positions, trajectory.velocities, trajectory.accelerations, strict=True)
    points = [
        JointTrajectoryPoint(
            positions=positions.tolist(),
            velocities=velocities.tolist(),
            accelerations=accelerations.tolist(),
            time_from_start=duration_from_seconds(float(time)),
        )
        for time, positions, velocities, accelerations in samples
    ]
    header = Header(stamp=stamp_from_seconds(start))
    return JointTrajectoryMessage(header=header, joint_names=list(trajectory.joint_names), points=points)


def trajectory_from_message(
    message: JointTrajectoryMessage, joint_names: Sequence[str], now: float | None = None
) -> JointTrajectory:
    """Trajectory of the named joints, in their order; absent velocities and accelerations are zero.

    Args:
        message: as a client sends it.
        joint_names: J names.
        now: seconds of the clock by which a stamp of the message counts: times are from now then, also where the stamp
            says when they begin. None to leave the stamp alone.

    Raises:
        MalformedMessageError: if the joints are others, a point is incomplete or not finite, or time does not increase.
    """
    if sorted(message.joint_names) != sorted(joint_names):
        raise MalformedMessageError(
            f"trajectory of the joints {', '.join(message.joint_names)}; the arm has {', '.join(joint_names)}"
        )
    if not message.points:
        raise MalformedMessageError("trajectory without points")
    order = [list(message.joint_names).index(name) for name in joint_names]
    columns: dict[str, Array] = {}
    for name in ("positions", "velocities", "accelerations"):
        rows = [list(getattr(point, name)) or _absent(name, len(order)) for point in message.points]
        if any(len(row) != len(order) for row in rows):
            raise MalformedMessageError(f"trajectory with a point that has not {len(order)} {name}")
        columns[name] = np.asarray(rows, dtype=np.float64)[:, order]
    times = np.array([seconds(point.time_from_start) for point in message.points])
    if not all(np.all(np.isfinite(values)) for values in columns.values()):
        raise MalformedMessageError("trajectory with a value that is not finite")
    if times[0] < 0.0 or np.any(np.diff(times) <= 0.0):
        raise MalformedMessageError("trajectory whose points do not increase in time")
    start = seconds(message.header.stamp)
    if now is not None and start > 0.0:
        times = times + (start - now)
    return JointTrajectory(
        tuple(joint_names), times, columns["positions"], columns["velocities"], columns["accelerations"]
    )


def _absent(name: str, count: int) -> list[float]:
    return [] if name == "positions" else [0.0] * count
