"""motion_node and the simulated arm: refusals, stops from any state, silence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat, KeyframeMode
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.nodes.ros.action_goal import actions_of_kind
from mini_diffuser_ros.robots import load_robot

from .arm import GUARD_PATIENCE, LEFT, MOVE, PATIENCE, RIGHT, finger_width, is_moving, keyframe, stays_at_rest
from .conftest import DISCOVERY, LATCHED, Peer, Process

ARM = "/panda_arm_controller/follow_joint_trajectory"
BAD_GOALS = [sys.executable, "-m", "mini_diffuser_ros", "bench", "ros-bad-goals", "--json"]
FAR = keyframe(3.0, 0.0, 0.2)
Result = MoveToKeyframe.Result


@pytest.fixture(scope="module")
def simulation(start: Callable[..., Process]) -> Process:
    return start("sim_node", image_size=64)


@pytest.fixture(scope="module")
def joints(peer: Peer, simulation: Process) -> list[Any]:
    states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
    peer.await_that(lambda: states)
    return states


@pytest.fixture(scope="module")
def left_behind(peer: Peer, joints: list[Any]) -> Any:
    """The result to come of a motion of five minutes that somebody has begun and nobody looks after."""
    names = load_robot("panda").arm_joint_names
    positions = dict(zip(joints[-1].name, joints[-1].position, strict=True))
    goal = [positions[name] for name in names]
    goal[0] += 1.0
    point = JointTrajectoryPoint(positions=goal, time_from_start=Duration(sec=300))
    trajectory = JointTrajectory(joint_names=list(names), points=[point])
    # Asked for at once: results of goals that have ended are kept for a while only.
    return peer.send(FollowJointTrajectory, ARM, trajectory=trajectory).get_result_async()


@pytest.fixture(scope="module")
def motion(start: Callable[..., Process], peer: Peer, left_behind: Any) -> Process:
    # Slow motions leave time to interfere; generous ages, since these tests share the processors with others.
    start("guard_node", **GUARD_PATIENCE)
    # Silent joint states are to be noticed before the controller's silence, which comes with theirs.
    ages = {**PATIENCE, "client_timeout": 1.0, "feedback_timeout": 8.0}
    box = {"planner.boxes": "[0.65, 0.0, 0.05, 0.03, 0.03, 0.05, 0.0]"}
    process = start("motion_node", **ages, **box, **{"planner.velocity_scaling": 0.2})
    # The first goals may come before the joint states do.
    peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).success)
    return process


def send_and_await(peer: Peer, phase: str, *candidates: KeyframeMode) -> Any:
    """Handle of a goal that has come to a phase, or has ended unnoticed."""
    phases: list[str] = []
    handle = peer.send(MoveToKeyframe, MOVE, lambda f: phases.append(f.phase), candidates=list(candidates))
    ended = handle.get_result_async()
    peer.await_that(lambda: phase in phases or ended.done())
    return handle


def send_and_await_motion(peer: Peer, joints: list[Any], target: KeyframeMode) -> Any:
    """Handle of a goal whose motion has begun, or has ended unnoticed."""
    known = len(joints)
    handle = send_and_await(peer, "moving", target)
    ended = handle.get_result_async()
    peer.await_that(lambda: ended.done() or any(is_moving([state]) for state in joints[known:]))
    return handle


def stop(peer: Peer) -> None:
    """Stop the arm; it may take a busy machine longer to bring it to rest than the service waits."""
    peer.await_that(lambda: peer.call(Trigger, "/mini_diffuser/stop").success)


def free(peer: Peer) -> None:
    """Resume and go to where the tests begin, again where a node hears of a stop only after the resume."""

    def is_there() -> bool:
        peer.resume()
        return bool(peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success)

    peer.await_that(is_there)


def interrupted(peer: Peer, interrupt: Callable[[], Any]) -> Any:
    """Result of a goal that was under way when it was interrupted.

    Args:
        peer: that sends.
        interrupt: sends the goal, interrupts it and returns its handle; again if the goal had ended before.
    """

    def attempt() -> Any:
        result = peer.result_of(interrupt().get_result_async()).result
        return None if result.outcome == Result.REACHED else result

    return peer.await_that(attempt)


@pytest.mark.usefixtures("motion")
def test_what_another_process_left_under_way_is_canceled_at_the_start(peer: Peer, left_behind: Any) -> None:
    assert peer.result_of(left_behind).status == GoalStatus.STATUS_CANCELED


@pytest.mark.usefixtures("motion")
def test_candidates_are_tried_in_order_and_refusals_name_the_limit(peer: Peer) -> None:
    in_the_box = keyframe(0.65, 0.0, 0.05)
    candidates = [keyframe(0.5, float("nan"), 0.2), FAR, keyframe(0.5, 0.0, -0.1), in_the_box, LEFT]
    result = peer.execute(MoveToKeyframe, MOVE, candidates=candidates)
    assert (result.outcome, result.success, result.chosen) == (Result.REACHED, True, 4)
    not_finite, outside, below, blocked = result.refusals
    assert "finite" in not_finite
    assert "workspace" in outside
    assert "z = -0.1" in below
    assert "box_1" in blocked


@pytest.mark.usefixtures("motion")
def test_when_every_candidate_is_refused_the_goal_is_and_the_arm_stays(peer: Peer, joints: list[Any]) -> None:
    peer.await_that(lambda: stays_at_rest(joints))
    before = list(joints[-1].position)
    result = peer.execute(MoveToKeyframe, MOVE, candidates=[FAR, keyframe(-2.0, 0.0, 0.2)])
    assert (result.outcome, result.success, result.chosen, len(result.refusals)) == (Result.UNREACHABLE, False, -1, 2)
    assert np.allclose(joints[-1].position, before, atol=1e-3)
    in_the_box = keyframe(0.65, 0.0, 0.05)
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[in_the_box]).outcome == Result.IN_COLLISION
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[in_the_box, FAR]).outcome == Result.REFUSED
    assert np.allclose(joints[-1].position, before, atol=1e-3)


@pytest.mark.usefixtures("motion")
def test_malformed_goals_are_refused_with_the_reason_and_the_next_valid_one_works() -> None:
    words = [*BAD_GOALS, "--count", "100", "--node", "motion_node"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=3 * DISCOVERY)
    assert told.returncode == 0, told.stdout + told.stderr
    figures = json.loads(told.stdout)
    assert (figures["refused"], figures["valid_goal_afterwards"]) == (100, True)


@pytest.mark.usefixtures("motion")
def test_the_gripper_acts_after_arrival_when_its_state_differs(peer: Peer, joints: list[Any]) -> None:
    phases: list[str] = []
    for gripper_open in (False, True):
        target = keyframe(0.45, 0.25 if gripper_open else 0.2, 0.3, gripper_open)
        result = peer.execute(MoveToKeyframe, MOVE, lambda f: phases.append(f.phase), candidates=[target])
        assert result.success, result.message
        # Joint states, feedback and the result come in any order.
        peer.await_that(lambda wanted=gripper_open: (finger_width(joints) > 0.07) is wanted)
    peer.await_that(lambda: "gripper" in phases)


@pytest.mark.parametrize("state", ["idle", "planning", "moving", "gripper", "stopped"])
@pytest.mark.usefixtures("motion")
def test_a_stop_works_from_any_state_and_latches_until_resumed(peer: Peer, joints: list[Any], state: str) -> None:
    goals: dict[str, Callable[[], Any]] = {
        "planning": lambda: send_and_await(peer, "planning", *[FAR] * 90, RIGHT),
        "moving": lambda: send_and_await_motion(peer, joints, RIGHT),
        "gripper": lambda: send_and_await(peer, "gripper", keyframe(0.45, 0.24, 0.3, gripper_open=False)),
    }

    def begin_and_stop() -> Any:
        free(peer)
        handle = goals[state]()
        stop(peer)
        return handle

    if state in goals:
        assert interrupted(peer, begin_and_stop).outcome == Result.STOPPED
    else:
        for _ in range(1 if state == "idle" else 2):
            stop(peer)
    peer.await_that(lambda: stays_at_rest(joints))
    refused = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])
    assert refused.outcome == Result.STOPPED
    assert "resume" in refused.message

    free(peer)


@pytest.mark.usefixtures("motion")
def test_whichever_of_stop_and_resume_comes_last_holds(peer: Peer) -> None:
    clients = [peer.node.create_client(Trigger, f"/mini_diffuser/{name}") for name in ("resume", "stop")]
    for client in clients:
        assert client.wait_for_service(DISCOVERY)
    for answer in [client.call_async(Trigger.Request()) for _ in range(3) for client in clients]:
        peer.result_of(answer)
    # Latched: who asks now hears what holds.
    told = peer.collect(Bool, "/mini_diffuser/stopped", LATCHED)
    peer.await_that(lambda: told)
    outcome = peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).outcome
    assert (outcome == Result.STOPPED) is told[-1].data
    free(peer)


@pytest.mark.usefixtures("motion")
def test_a_canceled_goal_leaves_the_arm_at_rest(peer: Peer, joints: list[Any]) -> None:
    def begin_and_cancel() -> Any:
        free(peer)
        handle = send_and_await_motion(peer, joints, RIGHT)
        peer.result_of(handle.cancel_goal_async())
        return handle

    assert interrupted(peer, begin_and_cancel).outcome == Result.CANCELED
    peer.await_that(lambda: stays_at_rest(joints))


@pytest.mark.usefixtures("motion")
def test_a_second_goal_is_told_that_the_arm_is_under_way(peer: Peer, joints: list[Any]) -> None:
    def send_another() -> Any:
        free(peer)
        first = send_and_await_motion(peer, joints, RIGHT)
        second = peer.send(MoveToKeyframe, MOVE, candidates=[LEFT])
        assert peer.result_of(first.get_result_async()).result.success
        return second

    second = interrupted(peer, send_another)
    assert second.outcome == Result.FAILED
    assert "under way" in second.message


@pytest.mark.usefixtures("motion")
def test_when_the_policys_heart_stops_so_does_the_arm(peer: Peer, joints: list[Any]) -> None:
    heart = peer.node.create_publisher(Heartbeat, "/mini_diffuser/heartbeat/policy", 10)
    peer.await_that(lambda: heart.get_subscription_count() >= 1)
    own, other = Heartbeat(serving=True), Heartbeat(serving=True)
    other.goal_id = UUID(uuid=list(range(16)))

    def ended() -> Any:
        """How a motion ends whose policy falls silent in it, while another beats for a goal of its own."""
        others = peer.node.create_timer(0.05, lambda: heart.publish(other))
        free(peer)
        handle = peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT], with_heartbeat=True)
        own.goal_id = handle.goal_id
        beats = peer.node.create_timer(0.05, lambda: heart.publish(own))
        ended = handle.get_result_async()
        peer.await_that(lambda: ended.done() or is_moving(joints))
        peer.node.destroy_timer(beats)
        result = peer.result_of(ended).result
        peer.node.destroy_timer(others)
        return result

    # On a busy machine the motion may end before it is noticed, or the first beat may come late.
    result = peer.await_that(lambda: next((r for r in [ended()] if r.outcome == Result.CLIENT_LOST), None))
    assert "heartbeat" in result.message
    peer.await_that(lambda: stays_at_rest(joints))


@pytest.mark.usefixtures("motion")
def test_the_controllers_that_exist_are_found_for_those_who_ask_for_another(peer: Peer) -> None:
    def grippers() -> list[str]:
        return actions_of_kind(peer.node, "control_msgs/action/GripperCommand")

    peer.await_that(lambda: grippers() == ["/panda_gripper/gripper_action"])


@pytest.mark.usefixtures("motion")
def test_diagnostics_tell_of_joint_states_controllers_and_the_last_goal(peer: Peer) -> None:
    arrays = peer.collect(DiagnosticArray, "/diagnostics")

    def newest() -> dict[str, Any]:
        return {status.name: status for array in arrays for status in array.status}

    free(peer)
    arrays.clear()
    peer.await_that(lambda: {"motion_node: motion", "sim_node: physics", "sim_node: cameras"} <= set(newest()))

    def values(part: str) -> dict[str, str]:
        return {value.key: value.value for value in newest()[f"motion_node: {part}"].values}

    peer.await_that(lambda: values("motion")["last goal"] == "reached candidate 1 of 1")
    assert values("motion")["stopped"] == "no"
    peer.await_that(lambda: float(values("motion").get("planning p50 (ms)", 0.0)) > 0.0)
    peer.await_that(lambda: float(values("joint states")["rate (Hz)"]) > 0.0)
    peer.await_that(lambda: newest()["motion_node: controllers"].level == DiagnosticStatus.OK)


@pytest.mark.usefixtures("motion")
def test_without_a_gripper_action_keyframes_that_need_none_are_executed(
    peer: Peer, joints: list[Any], start: Callable[..., Process]
) -> None:
    # The joint states come from a reliable publisher here and from a best-effort one next.
    names = {"arm_action": ARM, "gripper_action": "nowhere/gripper_action"}
    start("guard_node", namespace="/fake_hardware", **names, **GUARD_PATIENCE)
    start("motion_node", namespace="/fake_hardware", **names, **PATIENCE)
    move = f"/fake_hardware{MOVE}"
    for reliability, target in ((ReliabilityPolicy.RELIABLE, LEFT), (ReliabilityPolicy.BEST_EFFORT, RIGHT)):
        qos = QoSProfile(depth=5, reliability=reliability)
        publisher = peer.node.create_publisher(JointState, "/fake_hardware/joint_states", qos)
        relay = peer.node.create_subscription(JointState, "/joint_states", publisher.publish, qos_profile_sensor_data)
        peer.await_that(lambda goal=target: peer.execute(MoveToKeyframe, move, candidates=[goal]).success)
        if reliability == ReliabilityPolicy.RELIABLE:
            peer.node.destroy_subscription(relay)
            peer.node.destroy_publisher(publisher)
    peer.await_that(lambda: stays_at_rest(joints))
    known = len(joints)
    closing = peer.execute(MoveToKeyframe, move, candidates=[keyframe(0.45, 0.25, 0.3, gripper_open=False)])
    assert closing.outcome == Result.GRIPPER_MISSING
    assert "no action server on nowhere/gripper_action" in closing.message
    assert "grippers found: /panda_gripper/gripper_action" in closing.message
    assert not any(is_moving([state]) for state in joints[known:])


def test_silent_joint_states_end_the_motion(
    peer: Peer, joints: list[Any], motion: Process, simulation: Process
) -> None:
    def begin_and_halt() -> Any:
        peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success)
        handle = send_and_await_motion(peer, joints, RIGHT)
        simulation.signal(signal.SIGSTOP)
        try:
            peer.result_of(handle.get_result_async())
        finally:
            simulation.signal(signal.SIGCONT)
        return handle

    result = interrupted(peer, begin_and_halt)
    assert result.outcome == Result.STALE
    assert "joint states" in result.message
    assert motion.is_running()
    peer.await_that(lambda: stays_at_rest(joints))
