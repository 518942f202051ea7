"""What goes wrong with an arm and its drivers: each fault ends in a still arm or a completed task, by its own name.

The arm is a stand-in that behaves as a Franka Research 3 on franka_ros2, guard_node and motion_node are processes. The
rows of the tables are those of docs/results/franka.md.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest
from control_msgs.action import FollowJointTrajectory, GripperCommand
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from mini_diffuser_ros.bench.stand_in_arm import StandInArm
from mini_diffuser_ros.nodes.ros.messages import duration_from_seconds
from mini_diffuser_ros.sensing.rest import RestConfig

from .arm import GUARD_PATIENCE, LEFT, PATIENCE, RIGHT, keyframe
from .conftest import DISCOVERY, LATCHED, Peer, Process

SPACE = "/faults"
MOVE, STOP, RESUME = (f"{SPACE}/mini_diffuser/{name}" for name in ("move_to_keyframe", "stop", "resume"))
FAR = keyframe(3.0, 0.0, 0.2)
STILL = RestConfig().speed  # rad/s, as motion_node has it
Result = MoveToKeyframe.Result
# Somewhat patient, as tests share the processors, and slow, to leave time to interfere.
MOTION = {"max_joint_age": 0.8, "guard_timeout": 1.0, "feedback_timeout": 1.0, "watch.lag": 0.6, "client_timeout": 1.0}
GUARD = {"max_joint_age": 2.0, "motion_timeout": 1.0, "feedback_timeout": 3.0, "watch.lag": 1.5}


@pytest.fixture(scope="module")
def arm(peer: Peer) -> Iterator[StandInArm]:  # the peer's context is the arm's
    stand_in = StandInArm("fr3", SPACE)
    yield stand_in
    stand_in.close()


class Nodes:
    """guard_node and motion_node, which can be ended and started again."""

    def __init__(self, start: Callable[..., Process], arm: StandInArm) -> None:
        names = {"robot": "fr3", "arm_action": arm.arm_action, "gripper_action": arm.gripper_action}
        self._start = start
        self._parameters: dict[str, dict[str, Any]] = {
            "guard_node": {**names, **GUARD},
            "motion_node": {**names, **MOTION, "planner.velocity_scaling": 0.15, "planner.max_tool_speed": 0.8},
        }
        self.processes = {name: self.start(name) for name in self._parameters}

    def start(self, name: str) -> Process:
        """Start a node."""
        process = self._start(name, namespace=SPACE, **self._parameters[name])
        self.processes = {**getattr(self, "processes", {}), name: process}
        return process

    def said(self, name: str) -> str:
        """What a node has written since it was started last."""
        return self.processes[name].said()

    def mend(self) -> None:
        """Start what has ended, and let go on what is held: a test that failed is not to drag the next one with it."""
        for name, process in self.processes.items():
            if process.is_running():
                process.signal(signal.SIGCONT)
            else:
                self.start(name)


@pytest.fixture(scope="module")
def started(start: Callable[..., Process], arm: StandInArm, peer: Peer) -> Nodes:
    return Nodes(start, arm)


@pytest.fixture
def nodes(started: Nodes) -> Nodes:
    started.mend()
    return started


def is_still(arm: StandInArm) -> bool:
    """Whether neither the arm nor its reference moves."""
    return arm.speed() < STILL and arm.commanded_speed() < STILL


def has_rested(arm: StandInArm, seconds: float) -> bool:
    """Whether the arm has been still for so long."""
    now = time.monotonic()
    return all(speed < STILL for when, _, speed in list(arm.speeds) if now - when < seconds) and is_still(arm)


def begin(peer: Peer, arm: StandInArm, **fields: Any) -> Any:
    """Handle of a motion that has begun; of another one if a busy machine looks at it only when it is over."""

    def under_way() -> Any:
        peer.await_that(lambda: go(peer, LEFT).outcome == Result.REACHED)
        handle = peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT], **fields)
        ended = handle.get_result_async()
        peer.await_that(lambda: arm.speed() > 0.1 or ended.done())
        return None if ended.done() else handle

    return peer.await_that(under_way)


def go(peer: Peer, target: Any, space: str = SPACE) -> Any:
    """Result of a motion; what was stopped is resumed before."""
    peer.resume(f"{space}/mini_diffuser/resume")
    return peer.execute(MoveToKeyframe, f"{space}/mini_diffuser/move_to_keyframe", candidates=[target])


def resumed_or_told(peer: Peer) -> bool:
    """Whether a resume was followed, or answered with what stops the arm again."""
    answer = peer.call(Trigger, RESUME)
    return bool(answer.success) or answer.message.startswith("stopped again: ")


def await_unguarded(peer: Peer) -> Any:
    """Result of a motion that is refused for want of a guard, once its silence is noticed."""

    def refused() -> Any:
        result = peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
        return None if result.success else result

    return peer.await_that(refused)


def ended(peer: Peer, arm: StandInArm, handle: Any) -> Any:
    """Result of a motion, whose arm is at rest as soon as it is known, and stays so."""
    result = peer.result_of(handle.get_result_async()).result
    assert is_still(arm), (
        f"{result.message}: the arm moves at {arm.speed():.4f} rad/s, commanded {arm.commanded_speed():.4f}"
    )
    return result


@contextmanager
def beating(peer: Peer, kind: str) -> Iterator[None]:
    """A node of a kind that belongs to nobody here, while entered."""
    heart = peer.node.create_publisher(Heartbeat, f"{SPACE}/mini_diffuser/heartbeat/{kind}", 10)
    beat = Heartbeat(serving=True, sender=f"a foreign {kind}", instance=7)
    timer = peer.node.create_timer(0.05, lambda: heart.publish(beat))
    yield
    peer.node.destroy_timer(timer)


def stays(peer: Peer, arm: StandInArm, target: Any) -> bool:
    """Whether the arm stays where it is when it is sent somewhere."""
    before = arm.positions()
    result = peer.execute(MoveToKeyframe, MOVE, candidates=[target])
    return result.outcome != Result.REACHED and bool(np.allclose(arm.positions(), before, atol=0.02))


@pytest.mark.parametrize(
    ("fault", "outcome", "word"),
    [
        ("silent", Result.STALE, "s old"),
        ("frozen", Result.FROZEN, "do not change while the controller moves"),
        ("frozen_stamps", Result.STALE, "a stamp that stands still"),
        ("nan", Result.STALE, "s old"),
        ("doubled", Result.CONTRADICTED, "fr3_joint1"),
        ("aborts", Result.ABORTED, "cartesian_reflex"),
        ("never_ends", Result.OVERDUE, "no result within"),
        ("mute", Result.OVERDUE, "has said nothing"),
        ("blocked", Result.DEVIATED, "away from where its controller wants it"),
        ("dithers", Result.CONTRADICTED, "whether the arm rests is not known"),
        ("joint_frozen", Result.CONTRADICTED, "fr3_joint1 is at"),
        ("leaves", Result.ABORTED, "s early, and the arm moved on"),
        ("runs_on", Result.ABORTED, "lost"),
    ],
)
@pytest.mark.usefixtures("nodes")
def test_a_fault_in_a_motion_ends_it_and_the_arm_waits_for_a_resume(
    peer: Peer, arm: StandInArm, fault: str, outcome: int, word: str
) -> None:
    handle = begin(peer, arm)
    with arm.broken(fault):
        result = ended(peer, arm, handle)
        assert (result.outcome, result.success) == (outcome, False), result.message
        assert word in result.message
        assert "resume" in result.message
        # Somebody resumes although nothing was mended: what is wrong before a motion is seen before it.
        refused = peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
        assert refused.outcome == Result.STOPPED
        peer.await_that(lambda: resumed_or_told(peer))
        if fault not in ("aborts", "never_ends", "blocked", "leaves", "runs_on", "dithers", "joint_frozen"):
            assert stays(peer, arm, LEFT)
    peer.await_that(lambda: go(peer, LEFT).outcome == Result.REACHED)


@pytest.mark.usefixtures("nodes")
def test_success_half_way_is_not_believed_of_an_arm_that_stands(peer: Peer, arm: StandInArm) -> None:
    handle = begin(peer, arm)
    with arm.broken("stands"):
        result = ended(peer, arm, handle)
    assert result.outcome == Result.MISSED, result.message
    assert "rad from its goal" in result.message
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.parametrize("by", ["motion_node and guard_node", "guard_node"])
def test_a_stop_brings_an_arm_to_rest_that_does_not_obey_cancels(
    peer: Peer, arm: StandInArm, nodes: Nodes, by: str
) -> None:
    handle = begin(peer, arm)
    motion = nodes.processes["motion_node"]
    with arm.broken("deaf"):
        if by == "guard_node":
            motion.signal(signal.SIGSTOP)
        before = arm.positions()
        peer.call(Trigger, STOP)
        peer.await_that(lambda: is_still(arm))
        assert np.abs(arm.positions() - before).max() < 0.5  # of the 0.9 rad that it was still to go
        motion.signal(signal.SIGCONT)
        assert peer.result_of(handle.get_result_async()).result.outcome != Result.REACHED
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.usefixtures("nodes")
def test_an_arm_that_somebody_leads_without_a_goal_is_nobodys_to_stop(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    peer.await_that(lambda: has_rested(arm, 1.5))
    goals, before = arm.goals, arm.positions()
    arm.lead(-0.6 * np.eye(7)[0], 0.4)  # faster than the guard lets a controller be
    peer.await_that(lambda: arm.speed() > 0.5)
    peer.await_that(lambda: is_still(arm))
    assert arm.goals == goals
    assert np.abs(arm.positions() - before).max() > 0.55
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).success


@pytest.mark.usefixtures("nodes")
def test_what_rested_in_a_stop_and_is_led_on_is_braked(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    peer.call(Trigger, STOP)
    peer.await_that(lambda: has_rested(arm, 0.5))
    before, goals = arm.positions(), arm.goals
    arm.lead(-2.0 * np.eye(7)[0], 4.0)
    peer.await_that(lambda: arm.goals > goals)
    peer.await_that(lambda: has_rested(arm, 0.5))
    assert 0.001 < np.abs(arm.positions() - before).max() < 1.5
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.parametrize("fault", ["clock_forth", "clock_back"])
@pytest.mark.usefixtures("nodes")
def test_a_clock_that_is_set_in_a_motion_is_no_fault(peer: Peer, arm: StandInArm, fault: str) -> None:
    handle = begin(peer, arm)
    with arm.broken(fault):
        result = ended(peer, arm, handle)
        assert result.success, result.message
        assert peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success


@pytest.mark.usefixtures("nodes")
def test_a_publisher_that_is_a_little_beside_the_truth_is_named(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    with arm.broken("doubled_slightly"):
        result = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])
        assert result.outcome == Result.CONTRADICTED, result.message
        assert "rad at once" in result.message
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.parametrize("fault", ["nan_velocities", "split", "shuffled", "foreign"])
@pytest.mark.usefixtures("nodes")
def test_drivers_that_are_merely_strange_are_no_fault(peer: Peer, arm: StandInArm, fault: str) -> None:
    with arm.broken(fault):
        peer.await_that(lambda: go(peer, LEFT).outcome == Result.REACHED)
        result = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])
        assert result.success, result.message
        assert is_still(arm)


@pytest.mark.usefixtures("nodes")
def test_a_controller_that_rejects_the_trajectory_is_named(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).outcome == Result.REACHED)
    with arm.broken("rejects"):
        result = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])
    assert result.outcome == Result.REJECTED
    assert "fr3_arm_controller/follow_joint_trajectory rejected the goal" in result.message
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).success  # nothing moved, nothing is latched


@pytest.mark.usefixtures("nodes")
def test_a_controller_that_plays_a_trajectory_too_fast_is_ended_on_the_way(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).outcome == Result.REACHED)
    with arm.broken("hasty"):
        before = arm.positions()
        result = ended(peer, arm, peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT]))
    assert result.outcome == Result.OVERRIDDEN, result.message
    assert "ahead of where its trajectory may be by now" in result.message
    assert np.abs(arm.positions() - before).max() < 0.9  # of the 0.98 rad that it is to the goal
    assert stays(peer, arm, LEFT)
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.usefixtures("nodes")
def test_another_client_of_the_controller_ends_the_motion_and_is_ended(peer: Peer, arm: StandInArm) -> None:
    handle = begin(peer, arm)
    goal = arm.positions() + 0.3
    point = JointTrajectoryPoint(positions=goal.tolist(), time_from_start=duration_from_seconds(20.0))
    trajectory = JointTrajectory(joint_names=list(arm.robot.arm_joint_names), points=[point])
    peer.send(FollowJointTrajectory, f"{SPACE}/{arm.arm_action}", trajectory=trajectory)
    result = ended(peer, arm, handle)
    assert result.outcome == Result.OVERRIDDEN, result.message
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).outcome == Result.STOPPED


@pytest.mark.usefixtures("nodes")
def test_whoever_leads_the_arm_too_fast_is_ended_by_the_guard(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    begin = arm.positions()
    point = JointTrajectoryPoint(positions=(begin - 1.5 * np.eye(7)[0]).tolist())
    point.time_from_start = duration_from_seconds(0.8)
    trajectory = JointTrajectory(joint_names=list(arm.robot.arm_joint_names), points=[point])
    other = peer.send(FollowJointTrajectory, f"{SPACE}/{arm.arm_action}", trajectory=trajectory)
    peer.result_of(other.get_result_async())
    peer.await_that(lambda: is_still(arm))
    assert np.abs(arm.positions() - begin).max() < 1.0
    refused = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])
    assert refused.outcome == Result.STOPPED
    assert "the tool moves at" in refused.message
    assert "allowed are 0.80 m/s" in refused.message
    peer.await_that(lambda: go(peer, LEFT).success)


def test_a_guard_and_a_motion_node_that_allow_different_speeds_do_not_move(
    peer: Peer, start: Callable[..., Process]
) -> None:
    start("guard_node", namespace="/odd", robot="fr3", max_tool_speed=0.25)
    start("motion_node", namespace="/odd", robot="fr3", **{"planner.max_tool_speed": 0.4})
    beats = peer.collect(Heartbeat, "/odd/mini_diffuser/heartbeat/guard")
    peer.await_that(lambda: [beat for beat in beats if beat.stop])
    different = "plans with up to 0.40 m/s at the tool, guard_node allows 0.25 m/s"
    assert different in beats[-1].reason
    # Nothing was mended: who resumes is told that it holds again, not that the arm may move.
    peer.await_that(lambda: peer.call(Trigger, "/odd/mini_diffuser/resume").message.startswith("stopped again: "))
    again = peer.call(Trigger, "/odd/mini_diffuser/resume")
    assert not again.success, again.message
    assert different in again.message


@pytest.mark.usefixtures("nodes")
def test_a_client_that_dies_ends_its_motion_whoever_else_beats(peer: Peer, arm: StandInArm) -> None:
    with beating(peer, "policy"):
        result = ended(peer, arm, begin(peer, arm, with_heartbeat=True))
    assert result.outcome == Result.CLIENT_LOST
    assert "no heartbeat of the policy" in result.message
    peer.await_that(lambda: go(peer, LEFT).success, 40.0)


@pytest.mark.parametrize("state", ["planning", "moving"])
@pytest.mark.usefixtures("nodes")
def test_a_stop_is_held_until_a_resume(peer: Peer, arm: StandInArm, state: str) -> None:
    if state == "moving":
        handle = begin(peer, arm)
    else:
        phases: list[str] = []
        handle = peer.send(MoveToKeyframe, MOVE, lambda f: phases.append(f.phase), candidates=[FAR] * 90 + [RIGHT])
    peer.call(Trigger, STOP)
    result = ended(peer, arm, handle)
    assert result.outcome == Result.STOPPED, result.message
    assert stays(peer, arm, LEFT)
    peer.await_that(lambda: go(peer, LEFT).success, 40.0)


@pytest.mark.parametrize("state", ["idle", "moving", "stopped"])
def test_a_guard_that_stands_still_ends_the_motion_and_blames_nobody_when_it_wakes(
    peer: Peer, arm: StandInArm, nodes: Nodes, state: str
) -> None:
    guard = nodes.processes["guard_node"]
    if state == "moving":
        handle = begin(peer, arm)
        guard.signal(signal.SIGSTOP)
        result = ended(peer, arm, handle)
    else:
        peer.await_that(lambda: go(peer, RIGHT).success)
        if state == "stopped":
            peer.call(Trigger, STOP)
        guard.signal(signal.SIGSTOP)
        peer.resume(RESUME)
        result = await_unguarded(peer)
    assert result.outcome == Result.UNGUARDED, result.message
    assert "guard_node has been silent" in result.message
    guard.signal(signal.SIGCONT)

    def guarded() -> Any:
        result = peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
        return None if result.outcome == Result.UNGUARDED else result

    result = peer.await_that(guarded)
    assert result.outcome != Result.STOPPED, result.message  # nobody has to resume
    assert "motion_node has been silent" not in guard.said()
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.usefixtures("nodes")
def test_a_second_guard_is_named_and_nothing_moves(peer: Peer, arm: StandInArm) -> None:
    handle = begin(peer, arm)
    with beating(peer, "guard"):
        result = ended(peer, arm, handle)
        assert result.outcome == Result.DUPLICATE, result.message
        assert "and a foreign guard: end one of the two" in result.message
        assert stays(peer, arm, LEFT)
    peer.await_that(lambda: go(peer, LEFT).success)


def test_a_guard_that_dies_with_its_stop_is_missed_and_not_obeyed(peer: Peer, arm: StandInArm, nodes: Nodes) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    peer.call(Trigger, STOP)
    nodes.processes["guard_node"].kill()
    assert stays(peer, arm, RIGHT)
    peer.resume(RESUME)
    assert "guard_node has been silent" in await_unguarded(peer).message
    nodes.start("guard_node")
    results: list[Any] = []

    def guarded() -> bool:
        results.append(peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]))
        return results[-1].outcome != Result.UNGUARDED

    peer.await_that(guarded)
    assert results[-1].success, results[-1].message  # nobody has to resume the stop of one that is gone


def test_nothing_moves_by_a_motion_node_that_the_guard_does_not_hear(
    peer: Peer, arm: StandInArm, start: Callable[..., Process]
) -> None:
    space, beat = "/one_way", "mini_diffuser/heartbeat/motion"
    names = {
        "robot": "fr3",
        "arm_action": f"{SPACE}/{arm.arm_action}",
        "gripper_action": f"{SPACE}/{arm.gripper_action}",
    }
    joints = {"joint_states": f"{SPACE}/joint_states"}
    deaf = start("guard_node", namespace=space, remaps={**joints, beat: "not_heard"}, **names, **GUARD)
    motion = start("motion_node", namespace=space, remaps=joints, **names, **MOTION)
    before = arm.positions()
    said: list[str] = []

    def not_heard() -> bool:  # rather than that the two have not met yet
        result = peer.execute(MoveToKeyframe, f"{space}/mini_diffuser/move_to_keyframe", candidates=[LEFT])
        said.append(result.message)
        return result.outcome == Result.UNGUARDED and "does not hear this motion_node" in result.message

    peer.await_that(not_heard)
    assert not any("reached" in message for message in said)
    assert peer.call(Trigger, f"{space}/mini_diffuser/stop").success
    refused = peer.call(Trigger, f"{space}/mini_diffuser/resume")
    assert not refused.success
    assert "does not hear this motion_node" in refused.message
    assert np.allclose(arm.positions(), before, atol=0.01)
    for node in (motion, deaf):
        node.signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_motion_node_that_hangs_or_dies_has_its_motion_ended_by_the_guard(
    peer: Peer, arm: StandInArm, nodes: Nodes, number: signal.Signals
) -> None:
    handle = begin(peer, arm)
    motion = nodes.processes["motion_node"]
    if number == signal.SIGSTOP:
        motion.signal(number)
    else:
        motion.kill()
    with beating(peer, "motion"):  # another's, which does not make up for it
        peer.await_that(lambda: "motion_node has been silent" in nodes.said("guard_node"))
    peer.await_that(lambda: is_still(arm))
    before = arm.positions()
    assert peer.call(Trigger, STOP).success  # which the guard serves alone
    if number == signal.SIGSTOP:
        motion.signal(signal.SIGCONT)
        assert peer.result_of(handle.get_result_async()).result.outcome != Result.REACHED
    else:
        nodes.start("motion_node")
    stopped = peer.collect(Bool, f"{SPACE}/mini_diffuser/stopped", LATCHED)
    peer.await_that(lambda: stopped[-1:] == [Bool(data=True)])  # the guard's stop is the node's, too
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).outcome == Result.STOPPED
    assert np.allclose(arm.positions(), before, atol=0.01)
    peer.await_that(lambda: go(peer, LEFT).success)


@contextmanager
def served(peer: Peer, name: str, ended: list[str]) -> Iterator[None]:
    """Somebody's gripper action, whose goals last until they are canceled, while entered."""

    def close(goal: Any) -> GripperCommand.Result:
        while not goal.is_cancel_requested:
            time.sleep(0.02)
        ended.append(name)
        goal.canceled()
        return GripperCommand.Result()

    accept, group = (lambda _: CancelResponse.ACCEPT), ReentrantCallbackGroup()
    server = ActionServer(peer.node, GripperCommand, name, close, cancel_callback=accept, callback_group=group)
    yield
    server.destroy()


@pytest.mark.parametrize("name", ["grasp", "move"])
@pytest.mark.usefixtures("nodes")
def test_a_stop_ends_what_a_franka_hand_was_told_by_others(peer: Peer, arm: StandInArm, name: str) -> None:
    """Their type is Franka's own, whose package nobody needs to cancel a goal: here another one stands in."""
    ended: list[str] = []
    action = f"{SPACE}/{arm.gripper_action.rpartition('/')[0]}/{name}"
    with served(peer, action, ended):
        handle = peer.send(GripperCommand, action)
        peer.await_that(lambda: peer.call(Trigger, STOP).success)
        peer.result_of(handle.get_result_async())
    assert ended == [action]
    peer.await_that(lambda: go(peer, LEFT).success)


@pytest.mark.usefixtures("nodes")
def test_a_gripper_that_is_served_twice_lets_nothing_move(peer: Peer, arm: StandInArm) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    with served(peer, f"{SPACE}/{arm.gripper_action}", []):
        result = peer.await_that(
            lambda: None if (end := peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])).success else end
        )
    assert result.outcome == Result.DUPLICATE
    assert f"{arm.gripper_action} is served more than once, by " in result.message
    peer.await_that(lambda: go(peer, LEFT).success)


def test_a_goal_that_waited_for_a_motion_node_that_hung_is_not_carried_out(
    peer: Peer, arm: StandInArm, nodes: Nodes
) -> None:
    peer.await_that(lambda: go(peer, LEFT).success)
    motion, before, goals = nodes.processes["motion_node"], arm.positions(), arm.goals
    client = ActionClient(peer.node, MoveToKeyframe, MOVE)
    assert client.wait_for_server(DISCOVERY)
    motion.signal(signal.SIGSTOP)
    waiting = client.send_goal_async(MoveToKeyframe.Goal(home=True))
    held = time.monotonic()
    peer.await_that(lambda: time.monotonic() - held > 3.0)
    motion.signal(signal.SIGCONT)
    result = peer.result_of(peer.result_of(waiting).get_result_async()).result
    assert result.outcome == Result.UNGUARDED
    assert "this goal waited while motion_node stood still for" in result.message
    assert arm.goals == goals
    assert np.allclose(arm.positions(), before, atol=0.01)
    peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).success)  # asked again


@pytest.mark.parametrize("kind", ["motion", "guard"])
def test_a_second_one_of_a_node_does_not_start_and_the_motion_goes_on(
    peer: Peer, arm: StandInArm, nodes: Nodes, kind: str
) -> None:
    handle = begin(peer, arm)
    first, second = nodes.processes[f"{kind}_node"], nodes.start(f"{kind}_node")
    assert second.wait(DISCOVERY) == 1
    assert f"there is a {kind} node already, /faults/{kind}_node (process" in second.said()
    result = peer.result_of(handle.get_result_async()).result
    assert result.success, result.message
    assert first.is_running()
    nodes.processes[f"{kind}_node"] = first


def test_a_thousand_joint_states_a_second_with_trembling_stamps_stop_no_motion(
    peer: Peer, start: Callable[..., Process]
) -> None:
    """Of a tool at the speed that it may have, as fast as a driver may be."""
    space = "/kilohertz"
    with closing(StandInArm("fr3", space, rate=1000.0, jitter=0.002)) as arm:
        names = {"robot": "fr3", "arm_action": arm.arm_action, "gripper_action": arm.gripper_action}
        guard = start("guard_node", namespace=space, **names, **GUARD_PATIENCE)
        motion = start("motion_node", namespace=space, **names, **PATIENCE, **{"planner.max_tool_speed": 0.25})
        # The driver lives in this process: where a busy machine holds that, the controller falls silent.
        for target in (LEFT, RIGHT):
            peer.await_that(lambda target=target: go(peer, target, space).success)
        ended = [line for line in guard.said().splitlines() if "stopped the arm:" in line]
        silence = "says nothing of it", "has been silent for", "s old, allowed are"
        assert all(any(words in line for words in silence) for line in ended), ended
        for node in (motion, guard):
            node.end()


def test_without_a_running_clock_nothing_moves_and_one_line_says_why(
    peer: Peer, arm: StandInArm, start: Callable[..., Process]
) -> None:
    names = {
        "robot": "fr3",
        "arm_action": f"{SPACE}/{arm.arm_action}",
        "gripper_action": f"{SPACE}/{arm.gripper_action}",
    }
    motion = start("motion_node", namespace="/unclocked", use_sim_time=True, **names)
    before = arm.positions()
    move = "/unclocked/mini_diffuser/move_to_keyframe"
    result = peer.execute_until(Result.NO_CLOCK, MoveToKeyframe, move, candidates=[LEFT])
    assert "use_sim_time is true and nobody publishes /clock" in result.message
    peer.await_that(lambda: "use_sim_time is true and nobody publishes /clock" in motion.said())
    assert np.allclose(arm.positions(), before, atol=0.01)
    motion.signal(signal.SIGINT)


def test_of_two_that_start_at_once_one_stays(peer: Peer, start: Callable[..., Process]) -> None:
    guards = [start("guard_node", namespace="/race") for _ in range(2)]
    peer.await_that(lambda: not all(guard.is_running() for guard in guards))
    (stays,) = (guard for guard in guards if guard.is_running())
    (goes,) = (guard for guard in guards if guard is not stays)
    assert goes.wait(DISCOVERY) == 1
    assert "there is a guard node already, /race/guard_node (process" in goes.said()
    beats = peer.collect(Heartbeat, "/race/mini_diffuser/heartbeat/guard")
    peer.await_that(lambda: [beat for beat in beats if beat.serving])
    assert stays.is_running()
    stays.signal(signal.SIGINT)
