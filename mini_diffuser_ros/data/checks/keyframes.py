"""What can be wrong with one keyframe: a pose, a camera or an image that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.geometry import (
    gripper_symmetric_pose,
    matrix_from_pose,
    quaternion_angle,
    quaternion_from_matrix,
)
from mini_diffuser_ros.perception import InvalidViewError, check_view
from mini_diffuser_ros.perception.content import ContentConfig, check_measures, check_pose, check_unit
from mini_diffuser_ros.records import CameraView, Keyframe, Workspace
from mini_diffuser_ros.robots import RobotDescription

LONGEST_REACH = 3.0
"""Metres from the origin of the frame within which a tool is where nobody says which arm it is."""

_NORM_TOLERANCE = 1e-3  # of quaternions
_BEYOND_REACH = 0.03  # metres: an arm that was calibrated, and a tool a little longer than the description's
_DIFFERS = (0.01, 0.05)  # metres and radians between pose and joint positions that are worth a look
_CONTRADICTS = (0.05, 0.2)  # that no other tool explains
_FOCAL_LENGTHS = (0.1, 50.0)  # in widths of the image: a lens of 157 degrees, and one of one degree
_SKEWED = 0.01  # of the focal length: half a degree between rows and columns, which no sensor has
_CONTENT = ContentConfig()
_ANYWHERE = Workspace((-1e3, -1e3, -1e3), (1e3, 1e3, 1e3))


def check_keyframe(keyframe: Keyframe, views: Sequence[CameraView], robot: RobotDescription | None, place: str) -> None:
    """Refuse a keyframe that cannot be trained on, or that cannot be.

    Args:
        keyframe: its images are not asked for.
        views: its images.
        robot: whose tool it is, in whose base frame all is given; None if that is not known.
        place: what it is called in a message.

    Raises:
        DataError: naming what it is and what was expected.
    """
    for fault in keyframe_faults(keyframe, views, robot):
        if fault.is_error:
            raise DataError(f"{place}: {fault.problem}")


def keyframe_faults(keyframe: Keyframe, views: Sequence[CameraView], robot: RobotDescription | None) -> Iterator[Fault]:
    """What is wrong with a keyframe; arguments as of :func:`check_keyframe`."""
    pose = np.asarray(keyframe.pose, dtype=np.float64)
    broken = [*_pose_faults(pose, robot)]
    yield from broken
    if robot is not None and not broken:
        yield from _joint_faults(pose, keyframe.joint_positions, robot)
    for view in views:
        yield from view_faults(view)


def view_faults(view: CameraView) -> Iterator[Fault]:
    """What is wrong with a calibrated image, whatever the others show."""
    try:
        check_view(view)
    except InvalidViewError as error:
        yield Fault("a camera that cannot be", str(error))
        return
    yield from calibration_faults(
        view.name, np.asarray(view.intrinsics), np.asarray(view.base_from_camera), view.depth.shape
    )
    try:
        check_measures(view, _CONTENT)
        check_unit(view, _CONTENT)
    except InvalidViewError as error:
        yield Fault("depth that measures nothing, or in another unit", str(error))
    if not np.any(view.color != view.color[0, 0]):
        yield Fault("a picture of one colour", f"camera {view.name}: every pixel is {view.color[0, 0].tolist()}")


@lru_cache(maxsize=16)
def reach(robot: RobotDescription) -> tuple[NDArray[np.float64], float]:
    """Where the second joint is that turns the arm, (3,) metres, and how far from it the tool can be at the most."""
    joints, tool = robot.turns_to_tcp()
    links = [float(np.linalg.norm(pose[:3, 3])) for pose in (*joints[1:], tool)]
    return joints[0][:3, 3], float(sum(links))


def _pose_faults(pose: NDArray[np.float64], robot: RobotDescription | None) -> Iterator[Fault]:
    if not np.isfinite(pose).all():
        yield Fault("a pose that is not finite", f"pose {pose.tolist()} is not finite")
        return
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(pose[3:]))
    if not abs(norm - 1.0) <= _NORM_TOLERANCE:
        yield Fault("a quaternion that is none", f"quaternion of norm {norm:.4g}, expected 1")
    origin, farthest = (np.zeros(3), LONGEST_REACH) if robot is None else reach(robot)
    with np.errstate(over="ignore"):
        distance = float(np.linalg.norm(pose[:3] - origin))
    if distance > farthest + _BEYOND_REACH:
        x, y, z = pose[:3]
        whose = "an arm" if robot is None else f"a {robot.name}"
        yield Fault(
            "a pose out of reach",
            f"the tool is at ({x:.4g}, {y:.4g}, {z:.4g}) m, {whose} reaches {farthest:.2f} m from "
            f"({origin[0]:.4g}, {origin[1]:.4g}, {origin[2]:.4g}): is it in metres, in the base frame?",
        )


def _joint_faults(
    pose: NDArray[np.float64], positions: Mapping[str, float], robot: RobotDescription
) -> Iterator[Fault]:
    """Where the tool is by the joints' own measurements, against where the pose says that it is."""
    measured = tool_by_joints(positions, robot)
    if measured is None:
        return
    moved = float(np.linalg.norm(measured[:3, 3] - pose[:3]))
    there = quaternion_from_matrix(measured)
    turned = min(quaternion_angle(there, same[3:]) for same in (pose, gripper_symmetric_pose(pose)))
    if moved > _DIFFERS[0] or turned > _DIFFERS[1]:
        is_error = moved > _CONTRADICTS[0] or turned > _CONTRADICTS[1]
        yield Fault(
            "joint positions that contradict the pose" if is_error else "joint positions beside the pose",
            f"the joint positions of a {robot.name} put the tool {1000 * moved:.0f} mm and {np.degrees(turned):.1f} "
            "degrees from the pose: another tool or robot, or a pose of another time?",
            is_error,
        )


def calibration_faults(
    camera: str,
    intrinsics: NDArray[np.floating],
    base_from_camera: NDArray[np.floating],
    size: tuple[int, ...] | None,
) -> Iterator[Fault]:
    """Calibrations that are no fault of arithmetic, and of no camera.

    Args:
        camera: its name.
        intrinsics: (3, 3) pixels.
        base_from_camera: (4, 4).
        size: (height, width) of its images; None where they have not been read, and then less is asked for.
    """
    matrix = np.asarray(intrinsics, dtype=np.float64)
    focal, center = np.diag(matrix)[:2], matrix[:2, 2]
    if size is None:
        least, most, of_images = 0.0, float("inf"), ""
    else:
        least, most = (share * max(size) for share in _FOCAL_LENGTHS)
        of_images = f" for images of {size[1]}x{size[0]}"
    if not ((focal > least) & (focal < most)).all():
        expected = "above 0" if size is None else f"{least:.4g} to {most:.4g}{of_images}"
        yield Fault(
            "focal lengths that cannot be",
            f"camera {camera}: focal lengths {focal[0]:.4g}, {focal[1]:.4g} pixels, expected {expected}",
        )
    if abs(matrix[0, 1]) > _SKEWED * focal[0]:
        yield Fault("a lens that is skewed", f"camera {camera}: skew {matrix[0, 1]:.4g}, expected 0 as of any camera")
    if size is not None and not (np.abs(center / size[::-1] - 0.5) < 1.0).all():
        yield Fault(
            "a principal point that cannot be",
            f"camera {camera}: principal point ({center[0]:.4g}, {center[1]:.4g}), expected in or near the image of "
            f"{size[1]}x{size[0]}",
        )
    try:
        check_pose(camera, np.asarray(base_from_camera), _ANYWHERE, "the base frame", _CONTENT)
    except InvalidViewError as error:
        yield Fault("a camera out of reach", str(error))


def tool_by_joints(positions: Mapping[str, float], robot: RobotDescription) -> NDArray[np.float64] | None:
    """(4, 4) base_from_tool by measured joint positions, radians; None where one of the arm's is missing."""
    arm = np.array([positions.get(name, np.nan) for name in robot.arm_joint_names])
    return robot.tcp_pose(arm) if np.isfinite(arm).all() else None


def seen_at_tool(pose: NDArray[np.floating], view: CameraView, around: float = 0.05) -> float:
    """Depth at the tool over that which pose and calibration give it; NaN where the tool is not in the image.

    The nearest measurement within ``around`` metres of the tool counts: that is the hand itself, or what hides it.
    """
    camera_from_base = np.linalg.inv(view.base_from_camera)
    place = camera_from_base[:3, :3] @ np.asarray(pose)[:3] + camera_from_base[:3, 3]
    if place[2] <= 0.05:
        return float("nan")
    matrix = np.asarray(view.intrinsics, dtype=np.float64)
    u, v = (matrix[:2, :2] @ place[:2]) / place[2] + matrix[:2, 2]
    radius = max(1.0, around * matrix[0, 0] / place[2])
    height, width = view.depth.shape
    if not (0 <= u < width and 0 <= v < height):
        return float("nan")
    rows = slice(max(0, int(v - radius)), int(v + radius) + 1)
    columns = slice(max(0, int(u - radius)), int(u + radius) + 1)
    seen = view.depth[rows, columns]
    seen = seen[np.isfinite(seen) & (seen > 0)]
    return float(seen.min() / place[2]) if seen.size else float("nan")


def tool_from_camera(pose: NDArray[np.floating], base_from_camera: NDArray[np.floating]) -> NDArray[np.float64]:
    """(4, 4) pose of a camera in the tool's frame."""
    return np.asarray(np.linalg.solve(matrix_from_pose(pose), base_from_camera), dtype=np.float64)
