"""What motion_node says about itself on /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

from mini_diffuser_msgs.action import MoveToKeyframe

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.gripper_client import GripperClient
from mini_diffuser_ros.nodes.motion.motion_goal import MotionOutcome
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.health import Health, HealthLevel, RecentValues

Result = MoveToKeyframe.Result
PLANNING_WINDOW = 600.0  # seconds; keyframes are rare


class MotionHealth:
    """Joint states, controllers, and the motion itself.

    Args:
        joints: the joint states.
        max_joint_age: seconds after which they are stale.
        latch: whether the arm is stopped.
        controllers: of arm and gripper, by what they move.
    """

    def __init__(
        self,
        joints: JointStateMonitor,
        max_joint_age: float,
        latch: StopLatch,
        controllers: Mapping[str, ControllerClient | GripperClient],
    ) -> None:
        self._joints = joints
        self._max_joint_age = max_joint_age
        self._latch = latch
        self._controllers = controllers
        self._arrivals = RecentValues()
        self._planning = RecentValues(PLANNING_WINDOW)
        self._last: MotionOutcome | None = None

    def joint_state_arrived(self) -> None:
        """Count a joint state message."""
        self._arrivals.add()

    def planned(self, seconds: float) -> None:
        """Count a planning."""
        self._planning.add(1e3 * seconds)

    def ended(self, outcome: MotionOutcome) -> None:
        """Remember how the newest goal ended."""
        self._last = outcome

    def joint_states(self) -> Health:
        """Age and rate of the joint states."""
        age = self._joints.age()
        values: dict[str, float | str] = {"rate (Hz)": self._arrivals.rate()}
        if age is None:
            return Health(HealthLevel.ERROR, "no joint states of the arm", values)
        values["age (s)"] = age
        if age > self._max_joint_age:
            return Health(HealthLevel.ERROR, f"joint states are {age:.2f} s old", values)
        return Health(HealthLevel.OK, "fresh", values)

    def controllers(self) -> Health:
        """Which of the controllers are there."""
        values = {part: controller.name for part, controller in self._controllers.items()}
        missing = [controller.name for controller in self._controllers.values() if not controller.is_there()]
        if missing:
            return Health(HealthLevel.ERROR, f"no action server on {', '.join(missing)}", values)
        return Health(HealthLevel.OK, "arm and gripper are there", values)

    def motion(self) -> Health:
        """Whether the arm is stopped, how the last goal ended, and how long planning takes."""
        values: dict[str, float | str] = {"stopped": self._latch.reason or "no"}
        values.update(self._planning.summary("planning", "ms"))
        if self._last is not None:
            values["last goal"] = self._last.message
        if self._latch.reason:
            return Health(HealthLevel.WARN, f"stopped: {self._latch.reason}", values)
        if self._last is not None and self._last.outcome in (Result.FAILED, Result.STALE):
            return Health(HealthLevel.WARN, f"the last goal failed: {self._last.message}", values)
        return Health(HealthLevel.OK, "ready", values)
