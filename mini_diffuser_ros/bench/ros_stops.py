"""Stops in the middle of motions: how soon the service answers and how soon the arm rests.

Needs sim_node (or an arm) and motion_node. Exit code 1 if an arm was not at rest when the
service said so.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatus, GoalStatusArray
from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from mini_diffuser_ros.bench.arm_requests import TIMEOUT, keyframe_at, result_of, until
from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.nodes.ros.client_node import client_node

ARM_STATUS = "panda_arm_controller/follow_joint_trajectory/_action/status"
RESTING = 0.03  # rad/s
TRIES = 10  # motions for a stop
JUST_OVER = 0.05  # seconds after a call in which it cannot have reached the arm: what ends then has ended by itself


@dataclass(frozen=True, kw_only=True)
class StopsSetting:
    """How often.

    Attributes:
        count: stops.
    """

    count: int = at_least(1, 50)


class StoppedArm:
    """Moves the arm to and fro and stops it."""

    def __init__(self, node: Node) -> None:
        self._speeds: deque[tuple[float, float]] = deque(maxlen=2000)
        self._statuses: list[int] = []
        self._goals = ActionClient(node, MoveToKeyframe, "mini_diffuser/move_to_keyframe")
        self._stop = node.create_client(Trigger, "mini_diffuser/stop")
        self._resume = node.create_client(Trigger, "mini_diffuser/resume")
        node.create_subscription(JointState, "joint_states", self._on_joints, qos_profile_sensor_data)
        node.create_subscription(GoalStatusArray, ARM_STATUS, self._on_status, 10)

    def once(self, y: float, after: float, stop: Callable[[], bool] | None = None) -> dict[str, float]:
        """One stop, some seconds after a motion from the other side has begun.

        A motion that had come to its end before it was stopped, as a busy machine lets it, is none to be stopped: it
        is made again, and counted in ``again``.

        Args:
            y: metres, where the motion goes; it begins at -y.
            after: seconds.
            stop: stops it, and says whether it is stopped; left out, the service is called.

        Raises:
            TimeoutError: no motion lasted until it was stopped, or the arm does not get to where it is to begin.
        """
        for again in range(TRIES):
            until(lambda: self.go(-y), "the arm does not get to where a motion is to begin")
            if figures := self._stopped(y, after, stop):
                return {**figures, "again": float(again)}
        raise TimeoutError(f"{TRIES} motions were over before they were stopped")

    def _stopped(self, y: float, after: float, stop: Callable[[], bool] | None) -> dict[str, float]:
        """Figures of a stop; none if the motion was over before."""
        result = self._begin(y)
        self.await_motion()
        time.sleep(after)
        called, speed = time.monotonic(), self._speed()
        stopped = (stop or self._call_stop)()
        answered = time.monotonic()
        ended = result_of(result).result.outcome
        time.sleep(0.5)  # what moves after the answer is to be seen
        moving = [at for at, value in self._speeds if at >= called and value > RESTING]
        braked = GoalStatus.STATUS_SUCCEEDED in self._statuses[-1:]
        result_of(self._resume.call_async(Trigger.Request()))
        # A motion that went on to its goal although a stop was called is what is looked for.
        if ended == MoveToKeyframe.Result.REACHED and max(moving, default=called) - called < JUST_OVER:
            return {}
        return {
            "speed": speed,
            "speedup": max(value for at, value in self._speeds if at >= called) - speed,
            "answer_s": answered - called,
            "rest_s": max(moving, default=called) - called,
            "moved_after_answer": float(max(moving, default=called) > answered or not stopped),
            "stopped": float(ended == MoveToKeyframe.Result.STOPPED),
            "braked": float(braked),
        }

    def go(self, y: float) -> bool:
        """Move to a place, metres, and open the hand there; whether the arm did."""
        return bool(result_of(self._begin(y)).result.outcome == MoveToKeyframe.Result.REACHED)

    def await_motion(self) -> None:
        """Wait until the arm moves."""
        until(lambda: self._speed() > 0.1, "the arm does not move")

    def _call_stop(self) -> bool:
        return bool(result_of(self._stop.call_async(Trigger.Request())).success)

    def _begin(self, y: float) -> Any:
        mode = keyframe_at((0.45, y, 0.3))
        if not self._goals.wait_for_server(TIMEOUT):
            raise TimeoutError("no motion_node")
        return result_of(self._goals.send_goal_async(MoveToKeyframe.Goal(candidates=[mode]))).get_result_async()

    def _on_joints(self, message: JointState) -> None:
        arm = [abs(v) for name, v in zip(message.name, message.velocity, strict=True) if "finger" not in name]
        self._speeds.append((time.monotonic(), max(arm)))

    def _on_status(self, message: GoalStatusArray) -> None:
        self._statuses = [status.status for status in message.status_list]

    def _speed(self) -> float:
        return self._speeds[-1][1] if self._speeds else 0.0


def measure_stops(settings: Sequence[StopsSetting]) -> Iterator[dict[str, Any]]:
    """A report of all stops."""
    for setting in settings:
        rng = np.random.default_rng(0)
        with client_node("stops", threads=3) as node:
            arm = StoppedArm(node)
            yield stops_report(
                [arm.once(0.25 * (-1) ** index, rng.uniform(0.0, 0.4)) for index in range(setting.count)]
            )


def stops_report(runs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Figures of stops, each as :meth:`StoppedArm.once` gives it."""
    figures: dict[str, Any] = {"stops": len(runs), "speed_p50": _percentile(runs, "speed", 50)}
    figures["largest_speedup_after_the_call"] = _percentile(runs, "speedup", 100)
    for name in ("answer_s", "rest_s"):
        figures |= {f"{name}_p50": _percentile(runs, name, 50), f"{name}_p99": _percentile(runs, name, 99)}
    for name in ("braked", "stopped", "again", "moved_after_answer"):
        figures[name] = int(sum(run[name] for run in runs))
    return figures | {"passed": figures["moved_after_answer"] == 0 and figures["stopped"] == len(runs)}


def _percentile(runs: Sequence[Mapping[str, float]], name: str, percent: float) -> float:
    return round(float(np.percentile([run[name] for run in runs], percent)), 3)


BENCHMARK = Benchmark(StopsSetting, measure_stops, __doc__)
