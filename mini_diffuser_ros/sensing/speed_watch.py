"""Whether an arm is faster than it may be, by its joint states alone: whoever leads it, whatever anybody planned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.joint_travel import JointTravel, Travel

Array = NDArray[np.float64]

STEP = 0.01  # seconds over which the tool's velocity is taken from the joints'
# A servo that makes a lag good is faster than its reference for a while, and an average over the window is not.
JOINT_SHARE, JOINT_ROOM = 1.1, 0.05  # of a joint's limit, and rad/s
TOOL_SHARE, TOOL_ROOM = 1.2, 0.02  # of the tool's limit, and m/s


class SpeedWatch:
    """Measures joint velocities and the speed of the tool. Thread-safe.

    Twice: by how far positions have come over the steady clock, and by the velocities that are published with them. A
    driver may lie in either, so both have to keep the limits. Where messages came in a bunch their stamps say that
    they belong apart; a clock that was set, or runs fast, does not make a motion slower.

    Args:
        robot: whose limits hold, and whose kinematics tell where the tool is.

    Attributes:
        max_tool_speed: m/s that hold now.
    """

    def __init__(self, robot: RobotDescription) -> None:
        maker = robot.cartesian_limits
        self.max_tool_speed = maker.velocity if maker else float("inf")
        self._robot = robot
        self._travel = JointTravel(robot.arm_joint_names)

    def take(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp: float,
        received: float,
    ) -> None:
        """A joint state, arguments as of ``JointHistory.add``; what is no number is not believed."""
        self._travel.take(names, positions, velocities, stamp, received)

    def problem(self) -> str:
        """What is too fast, in one line; empty if nothing is, or nothing is known."""
        travel = self._travel.newest()
        if travel is None:
            return ""
        # One that is too large in a single state is noise; what is not published is NaN.
        steady = np.nan_to_num(np.median(travel.published, axis=0))
        for velocities, source in ((travel.travelled, "positions"), (steady, "published velocities")):
            if problem := self._joint_problem(travel, velocities) or self._tool_problem(travel, velocities):
                return f"{problem} by its {source}"
        return ""

    def _joint_problem(self, travel: Travel, velocities: Array) -> str:
        # Limits depend on position: the largest within the window is at one of its ends.
        lowest, highest = self._robot.velocity_range(np.stack([travel.before, travel.now]))
        limits = np.where(velocities > 0.0, highest.max(axis=0), -lowest.min(axis=0))
        excess = np.abs(velocities) - (JOINT_SHARE * limits + JOINT_ROOM)
        worst = int(np.argmax(excess))
        if not excess[worst] > 0.0:
            return ""
        name = self._robot.arm_joint_names[worst]
        return f"{name} moves at {abs(velocities[worst]):.2f} rad/s, allowed are {limits[worst]:.2f} rad/s,"

    def _tool_problem(self, travel: Travel, velocities: Array) -> str:
        places = self._robot.tcp_motion(np.stack([travel.now - STEP * velocities, travel.now]))[0]
        speed = float(np.linalg.norm(places[1] - places[0])) / STEP
        if not speed > TOOL_SHARE * self.max_tool_speed + TOOL_ROOM:
            return ""
        return f"the tool moves at {speed:.2f} m/s, allowed are {self.max_tool_speed:.2f} m/s,"
