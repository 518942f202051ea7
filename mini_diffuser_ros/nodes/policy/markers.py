"""The modes of a decision as RViz markers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from mini_diffuser_ros.geometry import matrix_from_pose, pose_from_matrix
from mini_diffuser_ros.nodes.ros.messages import pose_to_message
from mini_diffuser_ros.records import KeyframeMode

ARROW_LENGTH = 0.10  # metres


def mode_markers(modes: Sequence[KeyframeMode], header: Header) -> MarkerArray:
    """For each mode an arrow along the approach axis that ends at the tool centre point, and a line of text.

    The most probable mode is opaque, the others fade with their share. Open grippers are green, closed ones red.
    Markers of earlier decisions are deleted.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for index, mode in enumerate(modes):
        markers.append(_arrow(index, mode, header))
        markers.append(_label(index, mode, header))
    return MarkerArray(markers=markers)


def _arrow(index: int, mode: KeyframeMode, header: Header) -> Marker:
    marker = Marker(header=header, ns="approach", id=index, type=Marker.ARROW, action=Marker.ADD)
    marker.pose = pose_to_message(arrow_pose(mode.pose))
    marker.scale = Vector3(x=ARROW_LENGTH, y=0.01, z=0.01)
    opacity = 1.0 if index == 0 else 0.2 + 0.6 * float(mode.share)
    marker.color = ColorRGBA(r=float(not mode.gripper_open), g=float(mode.gripper_open), b=0.1, a=opacity)
    return marker


def _label(index: int, mode: KeyframeMode, header: Header) -> Marker:
    marker = Marker(header=header, ns="share", id=index, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD)
    tail = matrix_from_pose(arrow_pose(mode.pose))
    tail[2, 3] += 0.02
    marker.pose = pose_to_message(pose_from_matrix(tail))
    marker.scale = Vector3(x=0.0, y=0.0, z=0.025)
    marker.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    marker.text = f"{mode.share:.0%}{' end' if mode.terminate else ''}"
    return marker


def arrow_pose(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pose (7,) of an RViz arrow, which starts at its origin and points along x, for a tool pose (7,)."""
    base_from_tool = matrix_from_pose(pose)
    approach = base_from_tool[:3, 2]
    arrow = base_from_tool.copy()
    arrow[:3, :3] = np.stack([approach, base_from_tool[:3, 1], -base_from_tool[:3, 0]], axis=1)
    arrow[:3, 3] -= ARROW_LENGTH * approach
    return pose_from_matrix(arrow)
