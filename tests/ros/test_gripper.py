"""A Franka hand under motion_node: what is held, lost or never moved is told from the measured fingers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control_msgs.action import GripperCommand
from control_msgs.msg import GripperCommand as GripperCommandMessage
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from .arm import GUARD_PATIENCE, MOVE, PATIENCE, finger_width, is_moving, keyframe, stays_at_rest
from .conftest import FRANKA_INTERFACES, Peer, Process

Result = MoveToKeyframe.Result
ARM = "/fr3_arm_controller/follow_joint_trajectory"
HERE, THERE = (0.45, 0.05, 0.4), (0.45, -0.1, 0.4)
FAR_LEFT, FAR_RIGHT = (0.4, 0.3, 0.4), (0.4, -0.3, 0.4)


class Cell:
    """Franka's drivers, a motion_node, and what lies between the fingers."""

    def __init__(
        self, peer: Peer, start: Callable[..., Process], options: tuple[str, ...], gripper: str, franka_msgs: bool
    ) -> None:
        self._peer = peer
        self.states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
        self.drivers = start("franka", "--gripper", gripper, *options)
        names = {"robot": "fr3", "arm_action": ARM, "gripper_action": f"/{gripper}/gripper_action"}
        self.guard = start("guard_node", **names, **GUARD_PATIENCE)
        self.motion = start(
            "motion_node",
            environment=FRANKA_INTERFACES if franka_msgs else {},
            **names,
            **PATIENCE,
        )
        self._object = peer.node.create_publisher(Float64, f"/{gripper}/object", 1)
        self._slips = peer.node.create_publisher(Float64, f"/{gripper}/slips_after", 1)
        peer.await_that(lambda: self.states and self._object.get_subscription_count())

    def put(self, width: float, slips_after: float = float("inf")) -> None:
        """Put something between the fingers, 0.0 takes it away."""
        self._slips.publish(Float64(data=slips_after))
        self._object.publish(Float64(data=width))

    def goal(self, place: tuple[float, float, float], gripper_open: bool, held: float = 0.0) -> Any:
        """Result of a keyframe."""
        return self._peer.execute(MoveToKeyframe, MOVE, candidates=[keyframe(*place, gripper_open)], held=held)

    def prepare(self, width: float = 0.0, slips_after: float = float("inf")) -> None:
        """An open gripper, and something in it."""
        self.put(0.0)

        def is_there() -> bool:  # also after a motion that a busy machine has ended
            self._peer.resume()
            return bool(self.goal(HERE, True).success)

        self._peer.await_that(is_there)
        self.put(width, slips_after)

    def carry(self, then: Callable[[], None], held: float) -> Any:
        """Result of a long motion with something in the hand to which something happens meanwhile."""
        known = len(self.states)
        handle = self._peer.send(MoveToKeyframe, MOVE, candidates=[keyframe(*FAR_RIGHT, False)], held=held)
        self._peer.await_that(lambda: any(is_moving([state]) for state in self.states[known:]))
        then()
        result = self._peer.result_of(handle.get_result_async()).result
        self._peer.await_that(lambda: stays_at_rest(self.states, 15))
        return result

    def end(self) -> None:
        """End both, so that the next may have their names."""
        for process in (self.motion, self.guard, self.drivers):
            process.end()


@pytest.fixture(scope="module")
def cell(peer: Peer, start: Callable[..., Process]) -> Any:
    """A homed hand whose grasp and move are used."""
    cell = Cell(peer, start, (), "franka_gripper", franka_msgs=True)
    yield cell
    cell.end()


@pytest.fixture
def begin(peer: Peer, start: Callable[..., Process]) -> Iterator[Callable[..., Cell]]:
    """Makes others, which end with the test however it ends."""
    made: list[Cell] = []

    def make(options: tuple[str, ...], gripper: str, franka_msgs: bool) -> Cell:
        made.append(Cell(peer, start, options, gripper, franka_msgs))
        return made[-1]

    yield make
    for cell in made:
        cell.end()


def test_a_grasp_is_told_by_the_width_that_the_fingers_keep(peer: Peer, cell: Cell) -> None:
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    cell.prepare(0.04)
    closed = cell.goal(HERE, False)
    assert closed.success, closed.message
    assert closed.held == pytest.approx(0.04, abs=1e-3)
    carried = cell.goal(THERE, False, closed.held)
    assert (carried.success, carried.held) == (True, pytest.approx(0.04, abs=1e-3))

    def gripper() -> dict[str, str]:
        found = [one for array in diagnostics for one in array.status if one.name == "motion_node: gripper"]
        return {value.key: value.value for value in found[-1].values} if found else {}

    peer.await_that(lambda: gripper().get("last command") == "closed, holds 40.0 mm")
    assert gripper()["homed"].startswith("yes")
    assert gripper()["driver"] == "franka_gripper/grasp" or gripper()["driver"].endswith("/grasp")
    opened = cell.goal(THERE, True)
    assert (opened.success, opened.held) == (True, 0.0)


def test_a_gripper_that_closes_on_nothing_is_closed(cell: Cell) -> None:
    cell.prepare()
    closed = cell.goal(HERE, False)
    assert (closed.outcome, closed.held) == (Result.REACHED, 0.0)


def test_what_is_almost_as_wide_as_the_open_hand_is_held_and_let_go(peer: Peer, cell: Cell) -> None:
    cell.prepare(0.075)
    closed = cell.goal(HERE, False)
    assert (closed.outcome, closed.held) == (Result.REACHED, pytest.approx(0.075, abs=1e-3))
    assert cell.goal(THERE, False, closed.held).success
    assert cell.goal(THERE, True, closed.held).success
    peer.await_that(lambda: finger_width(cell.states) > 0.077)


def test_what_is_lost_on_the_way_ends_the_motion_and_is_said_where(cell: Cell) -> None:
    cell.prepare(0.04)
    assert cell.goal(FAR_LEFT, False).held > 0.03
    lost = cell.carry(lambda: cell.put(0.0), 0.04)
    assert lost.outcome == Result.OBJECT_LOST
    assert "40.0 mm wide is lost" in lost.message
    assert "on the way at (" in lost.message


def test_what_slips_between_the_fingers_ends_the_motion(cell: Cell) -> None:
    cell.prepare(0.05)
    assert cell.goal(FAR_LEFT, False).held > 0.03
    slipped = cell.carry(lambda: cell.put(0.03), 0.05)
    assert slipped.outcome == Result.OBJECT_SLIPPED
    assert "50.0 mm wide has slipped" in slipped.message


def test_what_slips_out_of_the_closing_fingers_is_no_grasp(cell: Cell) -> None:
    cell.prepare(0.04, slips_after=0.3)
    slipped = cell.goal(HERE, False)
    assert slipped.outcome == Result.OBJECT_SLIPPED
    assert "closed to 40.0 mm and then to 0.0 mm" in slipped.message


def test_what_is_gone_before_the_motion_leaves_the_arm_where_it_is(peer: Peer, cell: Cell) -> None:
    cell.prepare(0.04)
    held = cell.goal(HERE, False).held
    cell.put(0.0)
    peer.await_that(lambda: finger_width(cell.states) < 0.001)
    known = len(cell.states)
    lost = cell.goal(FAR_RIGHT, False, held)
    assert lost.outcome == Result.OBJECT_LOST
    assert "before this motion" in lost.message
    assert not any(is_moving([state]) for state in cell.states[known:])


def test_what_somebody_else_has_taken_out_of_the_hand_is_not_missed_in_a_motion_that_expects_nothing(
    peer: Peer, cell: Cell
) -> None:
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    cell.prepare(0.04)
    assert cell.goal(HERE, False).held > 0.03
    opening = GripperCommandMessage(position=0.04, max_effort=20.0)  # of one finger
    peer.execute(GripperCommand, "/franka_gripper/gripper_action", command=opening)
    peer.await_that(lambda: finger_width(cell.states) > 0.077)
    cell.put(0.0)
    diagnostics.clear()

    def newest() -> list[Any]:
        return [one for array in diagnostics for one in array.status if one.name == "motion_node: gripper"][-1:]

    peer.await_that(newest)
    assert "held (mm)" not in {value.key for value in newest()[0].values}

    def is_there() -> bool:  # again where a busy machine ends a motion: what is missed must not be what ends it
        moved = cell.goal(THERE, True)
        assert moved.outcome not in (Result.OBJECT_LOST, Result.OBJECT_SLIPPED), moved.message
        peer.resume()
        return bool((moved.outcome, moved.held) == (Result.REACHED, 0.0))

    peer.await_that(is_there)


def test_a_good_grasp_that_gripper_action_aborts_is_a_grasp(begin: Callable[..., Cell], cell: Cell) -> None:
    cell.end()
    plain = begin((), "fr3_gripper", franka_msgs=False)
    plain.prepare(0.04)
    closed = plain.goal(HERE, False)
    assert (closed.outcome, closed.held) == (Result.REACHED, pytest.approx(0.04, abs=1e-3))
    assert plain.goal(THERE, True, closed.held).success


def test_fingers_that_stay_open_did_not_close_whatever_the_driver_says(
    begin: Callable[..., Cell],
) -> None:
    stuck = begin(("--dead",), "franka_gripper", franka_msgs=True)
    stuck.prepare()
    unmoved = stuck.goal(HERE, False)
    assert unmoved.outcome == Result.GRIPPER_UNMOVED
    assert "80.0 mm apart, as before" in unmoved.message
    assert "succeeded, success true" in unmoved.message


def test_without_the_gripper_actions_of_the_fake_hardware_the_arm_stays(peer: Peer, begin: Callable[..., Cell]) -> None:
    fake = begin(("--fake-hardware",), "franka_gripper", franka_msgs=True)
    known = len(fake.states)
    missing = peer.await_that(
        lambda: next((r for r in [fake.goal(FAR_LEFT, False)] if r.outcome != Result.STALE), None)
    )
    assert missing.outcome == Result.GRIPPER_MISSING
    assert "no action server on /franka_gripper/gripper_action" in missing.message
    assert not any(is_moving([state]) for state in fake.states[known:])
    fake.end()


def test_a_key_of_the_demonstrator_opens_and_closes_the_gripper(
    peer: Peer, start: Callable[..., Process], tmp_path: Path
) -> None:
    drivers = start("franka", "--object", "0.04")
    recorder = start(
        "recorder_node",
        robot="fr3",
        cameras="[front]",
        folder=tmp_path,
        gripper_action="franka_gripper/gripper_action",
        max_joint_age=2.0,
    )
    states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
    # What g does goes by the measured fingers, which have to be known.
    peer.await_that(lambda: "keyframes are marked" in recorder.said())
    peer.await_that(lambda: any(finger_width([state]) > 0.07 for state in states if len(state.name) > 7))
    words = [sys.executable, "-m", "mini_diffuser_ros", "demo", "--task", "lift", "lift the block"]
    told = subprocess.run(words, input="g\ng\nq\n", capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    assert "gripper closed, holds 40.0 mm" in told.stdout
    assert told.stdout.index("gripper opened") > told.stdout.index("holds 40.0 mm")
    for process in (recorder, drivers):
        process.end()
