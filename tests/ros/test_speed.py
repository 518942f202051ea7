"""Another speed while the arm moves: slower, held and on again, by people and by their distance, always on its path.

The arm is a stand-in that behaves as a Franka Research 3 on franka_ros2, guard_node and motion_node are processes.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat, SpeedState
from mini_diffuser_msgs.srv import SetSpeed
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float32
from std_srvs.srv import Trigger

from mini_diffuser_ros.bench.stand_in_arm import StandInArm
from mini_diffuser_ros.motion.braking import HEARD_WITHIN

from .arm import GUARD_PATIENCE, LEFT, PATIENCE, RIGHT
from .conftest import LATCHED, Peer, Process

SPACE = "/speed"
MOVE, STOP, RESUME, SET_SPEED, SPEED, STATE = (
    f"{SPACE}/mini_diffuser/{name}"
    for name in ("move_to_keyframe", "stop", "resume", "set_speed", "speed", "speed_state")
)
DISTANCE = f"{SPACE}/distance"
FAR, STILL = 9.0, 1e-3  # metres, rad/s
Result = MoveToKeyframe.Result


class People:
    """Their distance, published until it is None, with a little noise."""

    def __init__(self, peer: Peer) -> None:
        self.distance: float | None = FAR
        self._publisher = peer.node.create_publisher(Float32, DISTANCE, qos_profile_sensor_data)
        self._timer = peer.node.create_timer(0.05, self._publish)

    def _publish(self) -> None:
        if self.distance is not None:
            self._publisher.publish(Float32(data=self.distance + random.uniform(-1e-3, 1e-3)))


@contextmanager
def second_publisher(peer: Peer) -> Iterator[None]:
    """Somebody else who publishes distances while entered, and says nothing yet."""
    other = peer.node.create_publisher(Float32, DISTANCE, qos_profile_sensor_data)
    try:
        yield
    finally:
        peer.node.destroy_publisher(other)


@pytest.fixture(scope="module")
def people(peer: Peer) -> People:
    return People(peer)


class Nodes:
    """guard_node and motion_node, which can be killed and started again."""

    def __init__(self, arm: StandInArm, start: Callable[..., Process]) -> None:
        names = {"robot": "fr3", "arm_action": arm.arm_action, "gripper_action": arm.gripper_action}
        separation = {"separation.topic": "distance", "separation.max_age": 1.0}
        limits = {"planner.velocity_scaling": 0.08, "planner.max_tool_speed": 1.0}
        self._start, self._names, self._motion = start, names, {**names, **PATIENCE, **separation, **limits}
        self.start_guard()
        self.start_motion()

    def start_guard(self) -> None:
        self.guard = self._start("guard_node", namespace=SPACE, **self._names, **GUARD_PATIENCE)

    def start_motion(self) -> None:
        self.motion = self._start("motion_node", namespace=SPACE, **self._motion)


@pytest.fixture(scope="module")
def arm() -> Iterator[StandInArm]:
    stand_in = StandInArm("fr3", SPACE)
    yield stand_in
    stand_in.close()


@pytest.fixture(scope="module")
def nodes(peer: Peer, people: People, arm: StandInArm, start: Callable[..., Process]) -> Nodes:
    return Nodes(arm, start)


@pytest.fixture
def moving(peer: Peer, nodes: Nodes, arm: StandInArm, people: People) -> Iterator[Callable[..., Any]]:
    """Begins a motion at full speed from the left; afterwards the commanded accelerations have kept their limits."""
    people.distance = FAR
    set_speed(peer, 100.0)

    def is_left() -> bool:
        peer.resume(RESUME)
        return bool(peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).outcome == Result.REACHED)

    peer.await_that(is_left)

    def begin(**options: Any) -> Any:
        arm.commanded.clear()
        handle = peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT], **options)
        peer.await_that(lambda: arm.commanded_speed() > 0.2, 20.0)
        return handle

    yield begin
    accelerations = np.array([acceleration for _, _, acceleration in list(arm.commanded)])
    assert np.all(np.abs(accelerations) <= arm.robot.acceleration_limits)


def set_speed(peer: Peer, percent: float) -> SetSpeed.Response:
    return peer.call(SetSpeed, SET_SPEED, percent=percent)


def holds(peer: Peer, arm: StandInArm, seconds: float = 0.5) -> bool:
    """Whether the controller comes to command no velocity, and goes on doing so."""
    peer.await_that(lambda: arm.commanded_speed() < STILL, 5.0)
    place, until = arm.positions(), time.monotonic() + seconds
    peer.await_that(lambda: time.monotonic() > until)
    return arm.commanded_speed() < STILL and bool(np.allclose(arm.positions(), place, atol=0.01))


def begin_at_zero(peer: Peer, arm: StandInArm) -> Any:
    """Handle of a motion that waits; None if there is none: of the two that serve a stop, one may do so after a
    resume."""
    peer.resume(RESUME)
    handle = peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT])
    result = handle.get_result_async()
    assert holds(peer, arm)
    return None if result.done() else handle


def ends(peer: Peer, handle: Any, outcome: int) -> bool:
    """Whether a motion ends so; fails with what it says if not."""
    result = peer.result_of(handle.get_result_async(), 60.0).result
    assert result.outcome == outcome, result.message
    return True


def test_it_slows_down_holds_and_goes_on_to_its_goal(peer: Peer, arm: StandInArm, moving: Callable[..., Any]) -> None:
    states = peer.collect(SpeedState, STATE, LATCHED)
    phases: list[str] = []
    handle = moving(on_feedback=lambda feedback: phases.append(feedback.phase))

    assert set_speed(peer, 20.0).success
    peer.await_that(lambda: arm.commanded_speed() < 0.12, 5.0)
    assert arm.commanded_speed() > STILL
    set_speed(peer, 0.0)
    assert holds(peer, arm)
    assert phases[-1] == "held"
    refused = set_speed(peer, 130.0)
    assert not refused.success
    assert "the speed is 130 %, expected are 0 (hold) or 1 to 100" in refused.message
    assert not set_speed(peer, 0.5).success  # of one, not of a hundred
    assert holds(peer, arm, 0.1)
    wanted = peer.node.create_publisher(Float32, SPEED, 10)
    peer.await_that(wanted.get_subscription_count)
    wanted.publish(Float32(data=100.0))

    assert ends(peer, handle, Result.REACHED)
    assert [round(state.percent) for state in states][-4:] == [100, 20, 0, 100]


def test_a_stop_and_a_cancel_end_a_motion_that_is_held_or_slow(
    peer: Peer, arm: StandInArm, moving: Callable[..., Any]
) -> None:
    handle = moving()
    set_speed(peer, 0.0)
    assert holds(peer, arm, 0.1)
    assert peer.call(Trigger, STOP).success
    assert ends(peer, handle, Result.STOPPED)
    # At 0 another motion waits, and begins slowly.
    waiting = peer.await_that(lambda: begin_at_zero(peer, arm))
    set_speed(peer, 30.0)
    peer.await_that(lambda: arm.commanded_speed() > 0.01, 10.0)
    peer.result_of(waiting.cancel_goal_async())
    assert ends(peer, waiting, Result.CANCELED)
    assert arm.commanded_speed() < STILL


def test_it_slows_down_for_who_comes_near_and_holds_when_nobody_looks(
    peer: Peer, arm: StandInArm, people: People, moving: Callable[..., Any]
) -> None:
    states = peer.collect(SpeedState, STATE, LATCHED)
    handle = moving()
    people.distance = 1.0
    assert holds(peer, arm)
    assert "somebody was 1.00 m away" in states[-1].reason
    people.distance = FAR
    peer.await_that(lambda: arm.commanded_speed() > 0.05, 10.0)
    people.distance = None
    assert holds(peer, arm)
    assert "no distance to people on distance for more than 1 s" in states[-1].reason
    people.distance = 400.0  # millimetres
    peer.await_that(lambda: "m, expected are 0 to 10" in states[-1].reason, 5.0)
    assert holds(peer, arm)
    people.distance = float("inf")
    peer.await_that(lambda: arm.commanded_speed() > 0.05, 10.0)
    with second_publisher(peer):
        peer.await_that(
            lambda: "distance has 2 publishers, /test_peer, /test_peer: end all but one" in states[-1].reason
        )
        assert holds(peer, arm)
    assert ends(peer, handle, Result.REACHED)


def test_a_controller_that_does_not_say_where_it_is_is_held_and_goes_on_slower(
    peer: Peer, arm: StandInArm, moving: Callable[..., Any]
) -> None:
    handle = moving()
    fastest, begun = arm.commanded_speed(), time.monotonic()
    with arm.broken("mute"):
        peer.await_that(lambda: time.monotonic() > begun + 1.5 * HEARD_WITHIN)
        assert set_speed(peer, 20.0).success
        peer.await_that(lambda: arm.held_at > begun, 10.0)
    peer.await_that(lambda: arm.commanded_speed() > 0.1 * fastest, 10.0)
    after = [np.abs(velocities).max() for at, velocities, _ in list(arm.commanded) if at > arm.held_at]
    assert max(after) < 0.5 * fastest
    set_speed(peer, 100.0)
    ended = peer.result_of(handle.get_result_async()).result
    assert ended.outcome == Result.REACHED, ended.message


def test_who_takes_over_from_a_killed_motion_node_is_as_slow_and_as_stopped(
    peer: Peer, nodes: Nodes, arm: StandInArm, moving: Callable[..., Any]
) -> None:
    states = peer.collect(SpeedState, STATE, LATCHED)
    reports = peer.collect(DiagnosticArray, "/diagnostics")
    guard = peer.collect(Heartbeat, f"{SPACE}/mini_diffuser/heartbeat/guard")
    set_speed(peer, 20.0)
    nodes.guard.kill()
    guard.clear()
    nodes.start_guard()
    peer.await_that(lambda: guard and guard[-1].serving and guard[-1].speed == 20.0)
    nodes.motion.kill()
    nodes.start_motion()
    peer.await_that(lambda: states[-1].wanted == 20.0 and "as before motion_node was" in states[-1].reason)
    peer.await_that(lambda: "20 % are wanted, as before motion_node was started again" in said_of_speed(reports))

    set_speed(peer, 100.0)
    # The guard hears the new one once it has given up the one that died; nothing was stopped, so nobody resumes.
    peer.execute_until(Result.REACHED, MoveToKeyframe, MOVE, candidates=[LEFT])
    moving()
    set_speed(peer, 0.0)
    assert holds(peer, arm)
    peer.await_that(lambda: guard[-1].latched and guard[-1].speed == 0.0)
    nodes.motion.kill()
    states.clear()
    nodes.start_motion()
    peer.await_that(lambda: states and states[-1].wanted == 0.0)
    refused = peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])
    assert (refused.outcome, arm.commanded_speed() < STILL) == (Result.STOPPED, True)
    assert "motion_node ended while the arm was moving" in refused.message
    # Refused for as long as the guard waits for the one that died, by its patience.
    resumed = peer.await_that(lambda: (answer := peer.call(Trigger, RESUME)).success and answer)
    assert resumed.message == "resumed; the arm holds: 0 % are wanted, as before motion_node was started again"
    phases: list[str] = []
    waiting = peer.send(MoveToKeyframe, MOVE, lambda told: phases.append(told.phase), candidates=[RIGHT])
    peer.await_that(lambda: "held" in phases)
    assert holds(peer, arm)
    peer.result_of(waiting.cancel_goal_async())
    assert "it was held: 0 % are wanted" in peer.result_of(waiting.get_result_async()).result.message
    set_speed(peer, 100.0)
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).outcome == Result.REACHED


@pytest.mark.parametrize("order", [(STOP, RESUME), (RESUME, STOP)], ids=["stop_first", "resume_first"])
def test_of_a_stop_and_a_resume_that_wait_for_motion_node_the_stop_counts(
    peer: Peer, nodes: Nodes, moving: Callable[..., Any], order: tuple[str, str]
) -> None:
    guard = peer.collect(Heartbeat, f"{SPACE}/mini_diffuser/heartbeat/guard")
    nodes.motion.signal(signal.SIGSTOP)
    begun = time.monotonic()
    resumed = [peer.begin_call(Trigger, name) for name in order][order.index(RESUME)]
    peer.await_that(lambda: guard and guard[-1].stop and time.monotonic() > begun + 0.8)
    nodes.motion.signal(signal.SIGCONT)
    peer.result_of(resumed)
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).outcome == Result.STOPPED
    peer.await_that(lambda: peer.call(Trigger, RESUME).message == "resumed", 5.0)
    assert peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT]).outcome == Result.REACHED


def test_a_speed_that_waited_for_a_motion_node_that_hung_makes_nothing_faster(peer: Peer, nodes: Nodes) -> None:
    """Whoever asked may stand beside the arm by now. A lower one counts, however late."""
    for before, asked, counts in ((0.0, 100.0, False), (60.0, 20.0, True)):
        set_speed(peer, before)
        nodes.motion.signal(signal.SIGSTOP)
        begun = time.monotonic()
        call = peer.begin_call(SetSpeed, SET_SPEED, percent=asked)
        peer.await_that(lambda begun=begun: time.monotonic() > begun + 2.5)
        nodes.motion.signal(signal.SIGCONT)
        answer = peer.result_of(call)
        assert answer.success is counts, answer.message
        assert counts or "100 % waited while motion_node stood still for" in answer.message
        peer.await_that(lambda: peer.call(SetSpeed, SET_SPEED, percent=100.0).success)


def said_of_speed(reports: list[DiagnosticArray]) -> str:
    """The newest line about the speed on /diagnostics."""
    lines = [status.message for report in reports for status in report.status if status.name.endswith("speed")]
    return str(lines[-1]) if lines else ""
