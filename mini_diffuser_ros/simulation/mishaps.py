"""A table on which something goes wrong once: what is held slips, a press falls short, what was put down is taken away.

Whoever says that a task is done is tried here: the arm has gone through all of its motions, and the task is not done.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation.placing import REGION
from mini_diffuser_ros.simulation.task import Goal
from mini_diffuser_ros.simulation.tasks import task_named
from mini_diffuser_ros.simulation.world import TabletopWorld

Array = NDArray[np.float64]

_HELD_M: Final = 0.004
_PRESS_BELOW_M: Final = 0.06  # a closed gripper that comes down to less presses
_SHORT_M: Final = (0.007, 0.016)  # before a cap's stop; it counts as pressed from 5 mm before it on
_ASIDE_M: Final = (0.12, 0.20)
_APART_M: Final = 0.14  # a gripper has room between them


class Mishap(Enum):
    """What goes wrong, once."""

    NONE = "none"
    SLIP_AT_LIFT = "slip at lift"
    SLIP_ON_THE_WAY = "slip on the way"
    LANDS_BESIDE = "lands beside"
    TAKEN_AWAY = "taken away"
    SHORT_PRESS = "short press"

    def __str__(self) -> str:
        return self.value


class UnluckyWorld(TabletopWorld):
    """A :class:`TabletopWorld` in which one mishap befalls each layout.

    With LANDS_BESIDE what is put down rolls aside before the gripper retreats, with TAKEN_AWAY afterwards.

    Args:
        renderer: as of :class:`TabletopWorld`; everything else is as its defaults are.

    Attributes:
        mishap: what is going to befall, set before a layout; each has places and times of its own there.
        has_befallen: whether it has.
    """

    def __init__(self, renderer: str = "rays") -> None:
        super().__init__(renderer)
        self.mishap = Mishap.NONE
        self.has_befallen = False
        self._rng = np.random.default_rng(0)
        self._carries = 0  # motions with something in the gripper
        self._released: str | None = None

    def reset(self, task: str, seed: int, goal: Goal | None = None) -> Goal:
        """As :meth:`TabletopWorld.reset`; the mishap is still to come then."""
        self.has_befallen = False
        self._rng = task_named(task, self.tasks).generator(seed, str(self.mishap))
        self._carries, self._released = 0, None
        return super().reset(task, seed, goal)

    def execute(self, trajectory: JointTrajectory) -> float:
        """As :meth:`TabletopWorld.execute`, with the mishap."""
        held = self._holds()
        self._carries = self._carries + 1 if held else 0
        slips_in = {Mishap.SLIP_AT_LIFT: 1, Mishap.SLIP_ON_THE_WAY: 2}.get(self.mishap)
        if not self.has_befallen and held and self._carries == slips_in:
            return self._slip(trajectory)
        if not self.has_befallen and self.mishap is Mishap.SHORT_PRESS and self._presses(trajectory):
            return self._fall_short(trajectory)
        if self._is_due(Mishap.LANDS_BESIDE):
            self._put_aside()
        error = super().execute(trajectory)
        if self._is_due(Mishap.TAKEN_AWAY):
            self._put_aside()
        if not held and not self.gripper_is_open():
            self._released = None
        elif held:
            self._released = self._nearest()
        return error

    def _is_due(self, mishap: Mishap) -> bool:
        return self.mishap is mishap and not self.has_befallen and self._released is not None and self.gripper_is_open()

    def _holds(self) -> bool:
        return not self.gripper_is_open() and self.gripper_width() > _HELD_M

    def _presses(self, trajectory: JointTrajectory) -> bool:
        ends, begins = (self._tool(trajectory, row) for row in (-1, 0))
        return bool(not self.gripper_is_open() and ends[2] < _PRESS_BELOW_M < begins[2] and self.object_joints())

    def _slip(self, trajectory: JointTrajectory) -> float:
        """The first part of the way, open and closed again, and the rest."""
        self.has_befallen = True
        middle = int(len(trajectory.times) * self._rng.uniform(0.5, 0.9))
        super().execute(_part(trajectory, slice(0, middle)))
        self.set_gripper(True)
        self.set_gripper(False)
        return super().execute(_part(trajectory, slice(middle - 1, None)))

    def _fall_short(self, trajectory: JointTrajectory) -> float:
        self.has_befallen = True
        enough = self._tool(trajectory, -1)[2] + self._rng.uniform(*_SHORT_M)
        rows = range(1, len(trajectory.times))
        last = next((row for row in rows if self._tool(trajectory, row)[2] < enough), len(trajectory.times))
        return super().execute(_part(trajectory, slice(0, last)))

    def _tool(self, trajectory: JointTrajectory, row: int) -> Array:
        """Tool centre point (3,) at a row of a trajectory."""
        columns = [trajectory.joint_names.index(name) for name in self.robot.arm_joint_names]
        position: Array = self.robot.tcp_pose(trajectory.positions[row, columns])[:3, 3]
        return position

    def _nearest(self) -> str | None:
        """What the gripper holds, or stands above."""
        tool = self.tcp_pose()[:3]
        names = self.free_bodies()
        return min(names, key=lambda name: float(np.linalg.norm(self.body_pose(name)[:3, 3] - tool)), default=None)

    def _put_aside(self) -> None:
        """What was released lies on the table, some centimetres beside where it was put and clear of all else."""
        assert self._released is not None
        self.has_befallen = True
        address = self.model.joint(self._released).qposadr[0]
        others = [self.body_pose(name)[:2, 3] for name in self.free_bodies() if name != self._released]
        here = self.body_pose(self._released)[:3, 3]
        place = max(
            (here[:2] + radius * np.array([np.cos(turn), np.sin(turn)]) for radius, turn in self._draws()),
            key=lambda xy: min(_APART_M, *(float(np.linalg.norm(xy - other)) for other in others)) - _outside(xy),
        )
        self.data.qpos[address : address + 2] = place
        self.data.qpos[address + 2] = 0.035
        velocity = self.model.joint(self._released).dofadr[0]
        self.data.qvel[velocity : velocity + 6] = 0.0
        self.step(0.5)

    def _draws(self) -> Array:
        return np.stack([self._rng.uniform(*_ASIDE_M, 24), self._rng.uniform(-np.pi, np.pi, 24)], axis=1)


def _part(trajectory: JointTrajectory, rows: slice) -> JointTrajectory:
    return replace(
        trajectory,
        times=trajectory.times[rows],
        positions=trajectory.positions[rows],
        velocities=trajectory.velocities[rows],
        accelerations=trajectory.accelerations[rows],
    )


def _outside(place: Array) -> float:
    """Metres by which a place (2,) lies outside the part of the table where things lie."""
    (x_low, x_high), (y_low, y_high) = REGION
    return float(max(x_low - place[0], place[0] - x_high, y_low - place[1], place[1] - y_high, 0.0))
