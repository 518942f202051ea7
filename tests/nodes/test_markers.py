"""Modes as RViz shows them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.nodes.policy.markers import mode_markers
from mini_diffuser_ros.nodes.ros.messages import pose_from_message
from mini_diffuser_ros.records import KeyframeMode

unit = st.floats(-1.0, 1.0).filter(lambda value: abs(value) > 1e-3)


@given(st.tuples(unit, unit, unit, unit))
def test_arrows_end_at_the_tool_centre_point(quaternion: tuple[float, ...]) -> None:
    pose = np.array([0.5, 0.1, 0.2, *quaternion])
    header = Header(frame_id="panda_link0")
    markers = mode_markers([KeyframeMode(pose, True, False, 0.5, 0.01)], header).markers
    assert markers[0].action == Marker.DELETEALL
    arrow = next(marker for marker in markers if marker.type == Marker.ARROW and marker.action == Marker.ADD)
    tail = matrix_from_pose(pose_from_message(arrow.pose))
    assert np.allclose(tail[:3, 3] + tail[:3, 0] * arrow.scale.x, pose[:3])
    assert np.allclose(tail[:3, 0], matrix_from_pose(pose)[:3, 2])
