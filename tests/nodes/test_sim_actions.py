"""What a FollowJointTrajectory goal asks of the simulated controller."""

from __future__ import annotations

import pytest
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMessage
from trajectory_msgs.msg import JointTrajectoryPoint

from mini_diffuser_ros.nodes.simulation.sim_actions import degree_of
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import CUBIC, LINEAR, QUINTIC


@pytest.mark.parametrize(
    ("given_fields", "degree"),
    [({}, LINEAR), ({"velocities": [0.0]}, CUBIC), ({"velocities": [0.0], "accelerations": [0.0]}, QUINTIC)],
)
def test_what_the_points_give_decides_the_degree(given_fields: dict[str, list[float]], degree: int) -> None:
    point = JointTrajectoryPoint(positions=[1.0], **given_fields)
    assert degree_of(JointTrajectoryMessage(joint_names=["a"], points=[point, point])) == degree
