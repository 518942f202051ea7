"""Changes of the speed of motions under way, at random moments: how soon the arm holds, and how near to its limits.

Starts guard_node and motion_node as processes beside a stand-in for the arm's drivers. In each motion the speed changes
up to three times at random, then to 0, and back to 100; the hold is asked for by a person, by the distance of one who
is suddenly near, or by the silence of the sensor, whose last word is then the beginning. Exit code 1 if an acceleration
or a jerk that the controller commanded passed the maker's limit, or a motion did not come to its goal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.srv import SetSpeed
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float32

from mini_diffuser_ros.bench.arm_requests import TIMEOUT, keyframe_at, result_of, until
from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.guard_and_motion import guard_and_motion
from mini_diffuser_ros.bench.stand_in_arm import StandInArm
from mini_diffuser_ros.nodes.motion.speed_request import SET_SPEED
from mini_diffuser_ros.nodes.ros.client_node import client_node

SPACE, DISTANCE = "/live_speed", "distance"
NEAR = 0.4  # metres
STILL, BEGUN = 1e-4, 0.95  # rad/s, and of the speed at the call, below which the controller holds, or has begun to
# The arm's drivers share processors and an interpreter with this benchmark: they may be late.
MOTION = {"max_joint_age": 1.0, "feedback_timeout": 1.0, "guard_timeout": 1.0, "watch.lag": 1.0, "watch.deviation": 0.4}
GUARD = ("max_joint_age:=2.0", "motion_timeout:=2.0", "feedback_timeout:=2.0", "watch.lag:=2.0", "watch.deviation:=0.6")
Result = MoveToKeyframe.Result


@dataclass(frozen=True, kw_only=True)
class LiveSpeedSetting:
    """What moves, and how often.

    Attributes:
        count: motions.
        robot: robot description.
        profile: of limits.
        seed: of speeds and moments.
        by: who asks for the hold.
        joint_rate: joint states a second.
        jitter: seconds by which their stamps are off at most.
    """

    count: int = at_least(1, 50)
    robot: Literal["fr3", "panda"] = "fr3"
    profile: Literal["collaborative", "fast", "simulation"] = "collaborative"
    seed: int = at_least(0, 0)
    by: Literal["percent", "distance", "silence"] = "percent"
    joint_rate: float = 100.0
    jitter: float = 0.0


class People:
    """A sensor that sees how near they are, twenty times a second.

    Attributes:
        distance: metres; None while the sensor is silent.
        said: monotonic seconds of its last word.
    """

    def __init__(self, node: Any) -> None:
        self.distance: float | None = np.inf
        self.said = time.monotonic()
        self._publisher = node.create_publisher(Float32, f"{SPACE}/{DISTANCE}", qos_profile_sensor_data)
        self._timer = node.create_timer(0.05, self._say)

    def _say(self) -> None:
        if (distance := self.distance) is not None:
            self.said = time.monotonic()
            self._publisher.publish(Float32(data=distance))


class PacedArm:
    """Moves the arm to and fro at changing speeds."""

    def __init__(self, arm: StandInArm, node: Any, rng: np.random.Generator, by: str) -> None:
        self._arm, self._rng, self._by = arm, rng, by
        self._people = People(node)
        self._goals = ActionClient(node, MoveToKeyframe, f"{SPACE}/mini_diffuser/move_to_keyframe")
        self._speed = node.create_client(SetSpeed, f"{SPACE}/{SET_SPEED}")
        self._side = 1
        if not self._goals.wait_for_server(TIMEOUT) or not self._speed.wait_for_service(TIMEOUT):
            raise TimeoutError("motion_node did not start")
        self._until(lambda: result_of(self._begin()).result.outcome == Result.REACHED)

    def once(self) -> dict[str, Any]:
        """Figures of one motion: milliseconds from the call, parts of the maker's limits, counts."""
        self._arm.commanded.clear()
        motion, changes = self._begin(), int(self._rng.integers(0, 4))
        self._until(lambda: self._arm.commanded_speed() > 0.05 or motion.done())
        for _ in range(changes):
            time.sleep(float(self._rng.uniform(0.05, 0.4)))
            self._set(float(self._rng.uniform(5.0, 100.0)))
        time.sleep(float(self._rng.uniform(0.05, 0.4)))
        speed, called = self._arm.commanded_speed(), self._hold()
        self._until(lambda: self._arm.commanded_speed() < STILL)
        since = [(at, float(np.abs(velocities).max())) for at, velocities, _ in list(self._arm.commanded)]
        slower = [at for at, now in since if at >= called and now < BEGUN * speed]
        zero = max((at for at, now in since if at >= called and now >= STILL), default=called)
        held = self._arm.commanded_speed() < STILL and not motion.done()
        self._people.distance = np.inf
        self._set(100.0)
        result = result_of(motion).result
        acceleration, jerk = self._loads()
        return {
            "changes": changes + 2,
            "moved": float(held and speed > 0.05),
            "begins_ms": 1e3 * (min(slower, default=called) - called),
            "zero_ms": 1e3 * (zero - called),
            "acceleration": acceleration,
            "jerk": jerk,
            "reached": float(result.outcome == Result.REACHED),
            "message": result.message,
        }

    def _hold(self) -> float:
        """Have the arm hold; monotonic seconds from when on it has to."""
        if self._by == "silence":
            self._people.distance = None
            return self._people.said
        called = time.monotonic()
        if self._by == "distance":
            self._people.distance = NEAR
        else:
            self._set(0.0)
        return called

    def _loads(self) -> tuple[float, float]:
        """Largest commanded acceleration and jerk, as parts of the maker's limits."""
        commanded = list(self._arm.commanded)
        times = np.array([at for at, _, _ in commanded])
        accelerations = np.array([acceleration for _, _, acceleration in commanded])
        jerks = np.diff(accelerations, axis=0) / np.diff(times)[:, None]
        robot = self._arm.robot
        return (
            float((np.abs(accelerations) / robot.acceleration_limits).max()),
            float((np.abs(jerks) / robot.jerk_limits).max()),
        )

    def _set(self, percent: float) -> None:
        if not result_of(self._speed.call_async(SetSpeed.Request(percent=percent))).success:
            raise ValueError(f"a speed of {percent} % was refused")

    def _begin(self) -> Any:
        """Future of the result of a motion to the other side."""
        self._side = -self._side
        mode = keyframe_at((0.45, 0.25 * self._side, 0.3))
        return result_of(self._goals.send_goal_async(MoveToKeyframe.Goal(candidates=[mode]))).get_result_async()

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        until(condition, "the arm did not do as it was told")


def measure_live_speed(settings: Sequence[LiveSpeedSetting]) -> Iterator[dict[str, Any]]:
    """A row a setting."""
    for setting in settings:
        with client_node("live_speed", threads=3) as node:
            arm = StandInArm(setting.robot, SPACE, setting.joint_rate, setting.jitter)
            guard = {"guard_node": [word for option in GUARD for word in ("-p", option)]}
            separation = {} if setting.by == "percent" else {"separation.topic": DISTANCE}
            with guard_and_motion(arm, SPACE, guard, profile=setting.profile, **MOTION, **separation):
                paced = PacedArm(arm, node, np.random.default_rng(setting.seed), setting.by)
                began, states = time.monotonic(), arm.states
                runs = [paced.once() for _ in range(setting.count)]
                rate = (arm.states - states) / (time.monotonic() - began)
            arm.close()
        yield _row(setting, runs, rate)


def _row(setting: LiveSpeedSetting, runs: list[dict[str, Any]], rate: float) -> dict[str, Any]:
    row: dict[str, Any] = {"robot": setting.robot, "profile": setting.profile, "by": setting.by, "motions": len(runs)}
    row["joint_rate"] = round(rate)
    holds = [run for run in runs if run["moved"]]
    row |= {"changes": int(sum(run["changes"] for run in runs)), "holds": len(holds)}
    for name in ("begins_ms", "zero_ms"):
        values = [run[name] for run in holds] or [np.nan]
        row |= {f"{name}_p{part}": round(float(np.percentile(values, part)), 1) for part in (50, 99, 100)}
    for name in ("acceleration", "jerk"):
        row[f"largest_{name}"] = round(max(run[name] for run in runs), 3)
    row["reached"] = int(sum(run["reached"] for run in runs))
    row["others"] = "; ".join(str(run["message"]) for run in runs if not run["reached"])
    within = row["largest_acceleration"] <= 1.0 and row["largest_jerk"] <= 1.0
    return row | {"passed": within and row["reached"] == len(runs)}


BENCHMARK = Benchmark(LiveSpeedSetting, measure_live_speed, __doc__)
