"""motion_node and the simulated arm: refusals, stops, silence."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeMode
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.action_goal import actions_of_kind
from mini_diffuser_ros.nodes.messages import pose_to_message

from .conftest import Peer, Process

MOVE = "/mini_diffuser/move_to_keyframe"
Result = MoveToKeyframe.Result


def keyframe(x: float, y: float, z: float, gripper_open: bool = True) -> KeyframeMode:
    """A keyframe whose gripper points straight down."""
    pose = pose_to_message(np.array([x, y, z, 1.0, 0.0, 0.0, 0.0]))
    return KeyframeMode(pose=pose, gripper_open=gripper_open, share=1.0)


LEFT, RIGHT = keyframe(0.45, 0.25, 0.3), keyframe(0.45, -0.25, 0.3)


@pytest.fixture(scope="module")
def simulation(start: Callable[..., Process]) -> Process:
    return start("sim_node", image_size=64)


@pytest.fixture(scope="module")
def joints(peer: Peer, simulation: Process) -> list[Any]:
    states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
    peer.await_that(lambda: states)
    return states


@pytest.fixture(scope="module")
def motion(start: Callable[..., Process], peer: Peer, joints: list[Any]) -> Process:
    # Slow motions leave time to interfere; generous ages, since these tests share the processors with others.
    ages = {"max_joint_age": 1.5, "client_timeout": 1.0}
    process = start("motion_node", **ages, **{"planner.velocity_scaling": 0.2})
    # The first goals may come before the joint states do.
    peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).success)
    return process


def speed(joints: list[Any]) -> float:
    """Largest joint velocity in the newest joint state."""
    return max(abs(velocity) for velocity in joints[-1].velocity)


def send_and_await_motion(peer: Peer, joints: list[Any], target: KeyframeMode) -> Any:
    """Handle of a goal whose motion has begun."""
    handle = peer.send(MoveToKeyframe, MOVE, candidates=[target])
    peer.await_that(lambda: speed(joints) > 0.1, timeout=10.0)
    return handle


@pytest.mark.usefixtures("motion")
def test_candidates_are_tried_in_order_and_refusals_name_the_limit(peer: Peer) -> None:
    candidates = [keyframe(0.5, float("nan"), 0.2), keyframe(3.0, 0.0, 0.2), keyframe(0.5, 0.0, -0.1), LEFT]
    result = peer.execute(MoveToKeyframe, MOVE, candidates=candidates)
    assert (result.outcome, result.success, result.chosen) == (Result.REACHED, True, 3)
    not_finite, outside, below = result.refusals
    assert "finite" in not_finite
    assert "workspace" in outside
    assert "z = -0.1" in below


@pytest.mark.usefixtures("motion")
def test_when_every_candidate_is_refused_the_goal_is_and_the_arm_stays(peer: Peer, joints: list[Any]) -> None:
    before = list(joints[-1].position)
    result = peer.execute(MoveToKeyframe, MOVE, candidates=[keyframe(3.0, 0.0, 0.2), keyframe(-2.0, 0.0, 0.2)])
    assert (result.outcome, result.success, result.chosen, len(result.refusals)) == (Result.REFUSED, False, -1, 2)
    assert np.allclose(joints[-1].position, before, atol=1e-3)
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[]).outcome == Result.REFUSED


@pytest.mark.usefixtures("motion")
def test_candidates_in_another_frame_are_refused(peer: Peer) -> None:
    goal = MoveToKeyframe.Goal(candidates=[LEFT])
    goal.header.frame_id = "map"
    result = peer.execute(MoveToKeyframe, MOVE, header=goal.header, candidates=goal.candidates)
    assert result.outcome == Result.REFUSED
    assert "'map'" in result.message


@pytest.mark.usefixtures("motion")
def test_the_gripper_acts_after_arrival_when_its_state_differs(peer: Peer, joints: list[Any]) -> None:
    def width() -> float:
        return sum(p for n, p in zip(joints[-1].name, joints[-1].position, strict=True) if "finger" in n)

    phases: list[str] = []
    for gripper_open in (False, True):
        target = keyframe(0.45, 0.25 if gripper_open else 0.2, 0.3, gripper_open)
        result = peer.execute(MoveToKeyframe, MOVE, lambda f: phases.append(f.phase), candidates=[target])
        assert result.success
        assert (width() > 0.07) is gripper_open
    assert phases[-1] == "gripper"


@pytest.mark.usefixtures("motion")
def test_a_stop_ends_the_motion_and_latches_until_resumed(peer: Peer, joints: list[Any]) -> None:
    peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
    handle = send_and_await_motion(peer, joints, RIGHT)
    assert peer.call(Trigger, "/mini_diffuser/stop").success
    assert peer.result_of(handle.get_result_async()).result.outcome == Result.STOPPED
    peer.await_that(lambda: speed(joints) < 0.01, timeout=2.0)
    refused = peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
    assert refused.outcome == Result.STOPPED
    assert "resume" in refused.message
    assert peer.call(Trigger, "/mini_diffuser/resume").success
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success


@pytest.mark.usefixtures("motion")
def test_a_stop_at_rest_latches_too_and_may_be_repeated(peer: Peer) -> None:
    for _ in range(2):
        assert peer.call(Trigger, "/mini_diffuser/stop").success
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).outcome == Result.STOPPED
    for _ in range(2):
        assert peer.call(Trigger, "/mini_diffuser/resume").success
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).success


@pytest.mark.usefixtures("motion")
def test_a_canceled_goal_leaves_the_arm_at_rest(peer: Peer, joints: list[Any]) -> None:
    peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
    handle = send_and_await_motion(peer, joints, RIGHT)
    peer.result_of(handle.cancel_goal_async())
    assert peer.result_of(handle.get_result_async()).result.outcome == Result.CANCELED
    peer.await_that(lambda: speed(joints) < 0.01, timeout=2.0)


@pytest.mark.usefixtures("motion")
def test_when_the_policys_heart_stops_so_does_the_arm(peer: Peer, joints: list[Any]) -> None:
    peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
    heart = peer.node.create_publisher(Empty, "/mini_diffuser/heartbeat", 1)
    peer.await_that(lambda: heart.get_subscription_count() == 1)
    beats = peer.node.create_timer(0.05, lambda: heart.publish(Empty()))
    # Until motion has heard it, goals count as sent by hand.
    for _ in range(5):
        peer.execute(MoveToKeyframe, MOVE, candidates=[keyframe(3.0, 0.0, 0.2)])
    handle = send_and_await_motion(peer, joints, RIGHT)
    peer.node.destroy_timer(beats)
    result = peer.result_of(handle.get_result_async()).result
    assert result.outcome == Result.STALE
    assert "heartbeat" in result.message
    peer.await_that(lambda: speed(joints) < 0.01, timeout=2.0)


@pytest.mark.usefixtures("motion")
def test_the_controllers_that_exist_are_found_for_those_who_ask_for_another(peer: Peer) -> None:
    def grippers() -> list[str]:
        return actions_of_kind(peer.node, "control_msgs/action/GripperCommand")

    peer.await_that(lambda: grippers() == ["/panda_gripper/gripper_action"])


def test_silent_joint_states_end_the_motion(
    peer: Peer, joints: list[Any], motion: Process, simulation: Process
) -> None:
    peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success)
    handle = send_and_await_motion(peer, joints, RIGHT)
    simulation.signal(signal.SIGSTOP)
    try:
        result = peer.result_of(handle.get_result_async()).result
    finally:
        simulation.signal(signal.SIGCONT)
    assert result.outcome == Result.STALE
    assert "joint states" in result.message
    assert motion.is_running()
