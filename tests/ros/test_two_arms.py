"""Two simulated arms in one graph, each in a namespace: neither touches the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from mini_diffuser_ros.bringup.plan import moved_topics
from mini_diffuser_ros.robots import load_robot, with_limits_of_urdf

from .arm import GUARD_PATIENCE, LEFT, MOVE, PATIENCE, RIGHT, is_moving, speed_of, stays_at_rest
from .conftest import LATCHED, Peer, Process

ARMS = ("left", "right")


@pytest.fixture(scope="module")
def states(peer: Peer, start: Callable[..., Process]) -> dict[str, list[Any]]:
    """Joint states of both arms, once both have moved to a keyframe of their own."""
    for arm in ARMS:
        common = {"namespace": f"/{arm}", "remaps": dict(moved_topics(arm, simulated=True))}
        start("sim_node", **common, image_size=64, camera_rate=1.0)
        start("guard_node", **common, **GUARD_PATIENCE)
        start("motion_node", **common, **PATIENCE, **{"planner.velocity_scaling": 0.2})
    heard = {arm: peer.collect(JointState, f"/{arm}/joint_states", qos_profile_sensor_data) for arm in ARMS}
    for arm in ARMS:
        peer.await_that(lambda arm=arm: heard[arm])
        peer.await_that(lambda arm=arm: peer.execute(MoveToKeyframe, f"/{arm}{MOVE}", candidates=[RIGHT]).success)
    return heard


@contextmanager
def moving(peer: Peer, states: dict[str, list[Any]], arm: str) -> Iterator[Any]:
    """The handle of a goal, while its arm moves; the arm is back where it began afterwards."""

    def under_way() -> Any:
        go_right(peer, arm)
        known = len(states[arm])
        handle = peer.send(MoveToKeyframe, f"/{arm}{MOVE}", candidates=[LEFT])
        ended = handle.get_result_async()
        peer.await_that(lambda: ended.done() or any(is_moving([state]) for state in states[arm][known:]))
        return None if ended.done() else handle  # a busy machine may look at it only when it is over

    handle = peer.await_that(under_way)
    yield handle
    peer.result_of(handle.get_result_async())
    go_right(peer, arm)


def go_right(peer: Peer, arm: str) -> None:
    """Resume and go to where a motion begins, again where a node hears of a stop only after the resume."""

    def is_there() -> bool:
        peer.resume(f"/{arm}/mini_diffuser/resume")
        return bool(peer.execute(MoveToKeyframe, f"/{arm}{MOVE}", candidates=[RIGHT]).success)

    peer.await_that(is_there)


def first(peer: Peer, kind: type, topic: str, qos: Any = 10) -> Any:
    """The first message of a topic."""
    received = peer.collect(kind, topic, qos)
    return peer.await_that(lambda: received)[0]


def test_a_goal_moves_one_arm_alone(peer: Peer, states: dict[str, list[Any]]) -> None:
    for arm, other in (ARMS, ARMS[::-1]):
        before = len(states[other])

        def arrives(arm: str = arm) -> bool:  # again where a busy machine lets a controller fall silent
            with moving(peer, states, arm) as handle:
                return bool(peer.result_of(handle.get_result_async()).result.success)

        peer.await_that(arrives)
        assert max(map(speed_of, states[other][before:])) < 0.02


def test_a_stop_of_one_arm_leaves_the_other_going(peer: Peer, states: dict[str, list[Any]]) -> None:

    def goes_on() -> bool:
        with moving(peer, states, "left") as handle:
            peer.await_that(lambda: peer.call(Trigger, "/right/mini_diffuser/stop").success)
            result = peer.result_of(handle.get_result_async()).result
            assert result.outcome != MoveToKeyframe.Result.STOPPED, result.message
            return bool(result.success)

    peer.await_that(goes_on)
    assert stays_at_rest(states["right"])
    refused = peer.execute(MoveToKeyframe, f"/right{MOVE}", candidates=[LEFT])
    assert not refused.success
    go_right(peer, "right")


def test_each_arm_has_its_own_frames_topics_and_description(peer: Peer, states: dict[str, list[Any]]) -> None:
    node, robot = peer.node, load_robot("panda")
    names = {name for name, _ in node.get_topic_names_and_types() if node.count_publishers(name)}
    ours = {name for name in names if not name.startswith(("/left/", "/right/"))}
    assert ours <= {"/diagnostics", "/rosout", "/parameter_events"}
    assert {name.removeprefix("/left") for name in names if name.startswith("/left/")} == {
        name.removeprefix("/right") for name in names if name.startswith("/right/")
    }
    for arm in ARMS:
        urdf = first(peer, String, f"/{arm}/robot_description", LATCHED).data
        with_limits_of_urdf(robot, urdf, "robot_description")
        moving_frames = first(peer, TFMessage, f"/{arm}/tf").transforms
        fixed = first(peer, TFMessage, f"/{arm}/tf_static", LATCHED).transforms
        frames = {one.child_frame_id for one in (*moving_frames, *fixed)}
        assert {link.name for link in robot.links} - {robot.base_frame} <= frames
        image = first(peer, Image, f"/{arm}/front/color/image_raw", qos_profile_sensor_data)
        assert image.header.frame_id in frames
