"""Stops of a Franka's controller in every state: how soon it commands no velocity any more, how far the arm goes on.

Starts guard_node and motion_node as processes beside a stand-in for the arm's drivers, and has the stop heard by one of
the two alone. Exit code 1 if the commanded velocity was not zero within 50 ms in 99 of 100 stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.action import ActionClient
from std_srvs.srv import Trigger

from mini_diffuser_ros.bench.arm_requests import TIMEOUT, keyframe_at, result_of, until
from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.guard_and_motion import guard_and_motion
from mini_diffuser_ros.bench.stand_in_arm import StandInArm
from mini_diffuser_ros.nodes.ros.client_node import client_node

SPACE = "/stop_times"
STATES = ("idle", "planning", "moving", "gripper", "stopped")
LIMIT = 50.0  # ms
COMMANDED, RESTING = 1e-3, 0.04  # rad/s, above which the controller commands a motion, and the arm moves
SETTLED = 0.3  # seconds after the answer in which nothing may move


@dataclass(frozen=True, kw_only=True)
class StopTimesSetting:
    """Whose stops.

    Attributes:
        by: guard or motion, the node that alone hears the call.
        count: stops, the states in turn.
        robot: robot description.
        seed: of the moments.
    """

    by: Literal["guard", "motion"] = "guard"
    count: int = at_least(1, 100)
    robot: Literal["fr3", "panda"] = "fr3"
    seed: int = at_least(0, 0)


class StoppedController:
    """Brings arm and nodes into a state, and stops them there."""

    def __init__(self, arm: StandInArm, node: Any, rng: np.random.Generator) -> None:
        self._arm, self._rng = arm, rng
        self._goals = ActionClient(node, MoveToKeyframe, f"{SPACE}/mini_diffuser/move_to_keyframe")
        self._stop = node.create_client(Trigger, f"{SPACE}/mini_diffuser/stop")
        self._resume = node.create_client(Trigger, f"{SPACE}/mini_diffuser/resume")
        self._side = 1
        if not self._goals.wait_for_server(TIMEOUT):
            raise TimeoutError("motion_node did not start")
        self._until(lambda: self._ended(self._send(self._keyframe())).outcome == MoveToKeyframe.Result.REACHED)

    def once(self, state: str) -> dict[str, Any]:
        """Figures of one stop: milliseconds, radians, millimetres."""
        goal = self._enter(state)
        before, speed, called = self._arm.positions(), self._arm.commanded_speed(), time.monotonic()
        answer = result_of(self._stop.call_async(Trigger.Request()))
        answered = time.monotonic()
        time.sleep(SETTLED)
        since = [one for one in list(self._arm.speeds) if one[0] >= called]
        zero = max((at for at, commanded, _ in since if commanded > COMMANDED), default=called)
        if speed > COMMANDED:  # between two cycles, too
            zero = max(zero, self._arm.held_at)
        rest = max((at for at, _, real in since if real > RESTING), default=called)
        moved = self._arm.positions() - before
        figures = {
            "state": state,
            "speed": speed,
            "zero_ms": 1e3 * (zero - called),
            "rest_ms": 1e3 * (rest - called),
            "answer_ms": 1e3 * (answered - called),
            "joint_rad": float(np.abs(moved).max()),
            "tool_mm": 1e3 * float(np.linalg.norm(self._tool(before + moved) - self._tool(before))),
            "answered_at_rest": answer.success and rest <= answered,
        }
        if goal is not None:
            self._ended(goal)
        if state != "stopped":
            result_of(self._resume.call_async(Trigger.Request()))
        return figures

    def _enter(self, state: str) -> Any:
        """Future of the result of what is under way, None if nothing is."""
        if state == "stopped":
            result_of(self._stop.call_async(Trigger.Request()))
            return None
        if state == "idle":
            result_of(self._resume.call_async(Trigger.Request()))
            return None
        result_of(self._resume.call_async(Trigger.Request()))
        if state == "planning":
            goal = self._send(*[self._keyframe(x=3.0)] * 90, self._keyframe())
        elif state == "moving":
            goal = self._send(self._keyframe())
            self._until(lambda: self._arm.commanded_speed() > 0.05 or goal.done())
        else:
            goal = self._send(self._keyframe(gripper_open=not self._is_open()))
            self._until(lambda: self._arm.fingers_move() or goal.done())
        time.sleep(float(self._rng.uniform(0.0, 0.3)))
        return goal

    def _is_open(self) -> bool:
        return self._arm.finger_position() > 0.035

    def _keyframe(self, x: float = 0.45, gripper_open: bool | None = None) -> Any:
        self._side = -self._side
        opens = self._is_open() if gripper_open is None else gripper_open
        return keyframe_at((x, 0.25 * self._side, 0.3), opens)

    def _send(self, *modes: Any) -> Any:
        return result_of(self._goals.send_goal_async(MoveToKeyframe.Goal(candidates=list(modes)))).get_result_async()

    @staticmethod
    def _ended(goal: Any) -> Any:
        return result_of(goal).result

    def _tool(self, positions: np.ndarray) -> np.ndarray:
        return self._arm.robot.tcp_pose(positions)[:3, 3]

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        until(condition, "the nodes did not come to the state in which they were to be stopped")


def measure_stop_times(settings: Sequence[StopTimesSetting]) -> Iterator[dict[str, Any]]:
    """A row a state, and one of all of them."""
    for setting in settings:
        with client_node("stop_times", threads=3) as node:
            arm = StandInArm(setting.robot, SPACE)
            deaf = "motion_node" if setting.by == "guard" else "guard_node"
            with guard_and_motion(arm, SPACE, {deaf: ["-r", "mini_diffuser/stop:=mini_diffuser/unheard_stop"]}):
                stopped = StoppedController(arm, node, np.random.default_rng(setting.seed))
                runs = [stopped.once(STATES[number % len(STATES)]) for number in range(setting.count)]
            arm.close()
        for state in STATES:
            yield _row(setting, state, [run for run in runs if run["state"] == state])
        yield _row(setting, "all", runs)


def _row(setting: StopTimesSetting, state: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"by": setting.by, "state": state, "stops": len(runs)}
    if not runs:
        return row
    for name, digits in (
        ("speed", 2),
        ("zero_ms", 1),
        ("rest_ms", 1),
        ("answer_ms", 1),
        ("joint_rad", 3),
        ("tool_mm", 1),
    ):
        values = [run[name] for run in runs]
        row |= {f"{name}_p{part}": round(float(np.percentile(values, part)), digits) for part in (50, 99, 100)}
    row["answered_before_rest"] = sum(not run["answered_at_rest"] for run in runs)
    return row | {"passed": row["zero_ms_p99"] <= LIMIT}


BENCHMARK = Benchmark(StopTimesSetting, measure_stop_times, __doc__)
