"""The URDF of a description says what the description says."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, matrix_from_rpy
from mini_diffuser_ros.robots import ROBOTS, load_robot, robot_urdf, with_limits_of_urdf


def numbers(element: ElementTree.Element | None, name: str) -> NDArray[np.float64]:
    assert element is not None
    return np.array([float(word) for word in element.attrib[name].split()])


def origin(element: ElementTree.Element) -> NDArray[np.float64]:
    found = element.find("origin")
    made = np.eye(4)
    made[:3, :3] = matrix_from_rpy(numbers(found, "rpy"))
    made[:3, 3] = numbers(found, "xyz")
    return made


@pytest.mark.parametrize("name", ROBOTS)
@settings(max_examples=20)
@given(fractions=st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7))
def test_its_links_are_where_the_description_has_them(name: str, fractions: list[float]) -> None:
    robot = load_robot(name)
    share = np.resize(np.array(fractions), len(robot.home))
    row = robot.position_limits[:, 0] + share * np.ptp(robot.position_limits, axis=1)
    at = dict(zip(robot.arm_joint_names, row, strict=True))
    poses = {robot.base_frame: np.eye(4)}
    for joint in ElementTree.fromstring(robot_urdf(robot)).iter("joint"):
        parent, child = joint.find("parent"), joint.find("child")
        assert parent is not None
        assert child is not None
        pose = poses[parent.attrib["link"]] @ origin(joint)
        if joint.attrib["type"] == "revolute":
            pose = pose @ axis_angle_matrix(numbers(joint.find("axis"), "xyz"), at[joint.attrib["name"]])
        poses[child.attrib["link"]] = pose
    np.testing.assert_allclose(poses[robot.tcp_frame], robot.tcp_pose(row), atol=1e-9)
    assert set(poses) == {link.name for link in robot.links}


@pytest.mark.parametrize("name", ROBOTS)
def test_its_limits_are_those_of_the_description(name: str) -> None:
    robot = load_robot(name)
    own = with_limits_of_urdf(robot, robot_urdf(robot), "robot_description")
    np.testing.assert_array_equal(own.position_limits, robot.position_limits)
    np.testing.assert_array_equal(own.velocity_limits, robot.velocity_limits)


@pytest.mark.parametrize("name", ROBOTS)
def test_every_shape_can_be_seen(name: str) -> None:
    robot = load_robot(name)
    links = {link.attrib["name"]: link for link in ElementTree.fromstring(robot_urdf(robot)).iter("link")}
    for link in robot.links:
        seen = links[link.name].findall("visual")
        assert bool(seen) == bool(link.geoms)
        assert len(seen) == len(links[link.name].findall("collision"))
