"""A world that several threads drive, in small steps of real time."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.simulation.realtime.arm_controller import ArmController
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import QUINTIC

Array = NDArray[np.float64]
T = TypeVar("T")

LARGEST_CATCH_UP = 0.1  # seconds of physics in one go after the process was held up
SETTLED_RAD, SETTLED_RAD_S = 1e-3, 1e-2  # the arm has arrived
SETTLE_TIME = 0.5  # seconds after the reference has stopped that the arm may take to arrive
FINGERS_RESTING = 1e-3  # m/s
FINGER_TOLERANCE = 0.003  # metres


@dataclass(frozen=True, eq=False)
class ArmState:
    """Reference and measurement of the arm at one time; (J,) radians and rad/s.

    Attributes:
        stamp: seconds, that time: the one of the joint states of the same moment, however long ago that is on a busy
            machine. None for a table that was laid anew, until physics has run with it.
    """

    wanted: Array
    wanted_velocities: Array
    measured: Array
    elapsed: float
    stamp: float | None


@dataclass(frozen=True, eq=False)
class StampedScene:
    """A world to be drawn while physics goes on.

    Attributes:
        model: of it.
        data: a copy of its state.
        stamp: seconds, when the world was so.
    """

    model: mujoco.MjModel
    data: mujoco.MjData
    stamp: float


class WorldDriver:
    """Serialises access to a world, which is not thread-safe, and has its arm follow trajectories.

    Args:
        world: to drive; nobody else may touch it from now on but through :meth:`change`.
    """

    def __init__(self, world: TabletopWorld) -> None:
        self._lock = threading.RLock()
        self._world = world
        self.robot = world.robot
        self._arm = ArmController(world.arm_positions(), self.robot.acceleration_limits)
        self._stamp: float | None = None  # of the state; None until physics has run with a new table

    def change(self, action: Callable[[], str]) -> tuple[str, bool]:
        """Do something to the world; returns what the action says and whether the table was laid anew."""
        with self._lock:
            model = self._world.model
            message = action()
            laid_anew = self._world.model is not model
            if laid_anew:
                self._arm.hold(self._world.arm_positions())
                self._stamp = None
            return message, laid_anew

    def time(self) -> float:
        """Seconds of the world; it begins anew with every new table."""
        with self._lock:
            return float(self._world.time)

    def read(self, look: Callable[[], T]) -> T:
        """What a function that looks at the world returns."""
        with self._lock:
            return look()

    def advance(self, seconds: float, stamp: float) -> tuple[dict[str, float], dict[str, float]]:
        """Run physics up to the time ``stamp``, seconds; returns positions and velocities of all joints by name."""
        with self._lock:
            self._stamp = stamp
            period = self._world.model.opt.timestep
            for _ in range(round(min(seconds, LARGEST_CATCH_UP) / period)):
                wanted = self._arm.reference(self._world.time + period)
                self._world.set_arm_target(wanted.positions, wanted.velocities)
                self._world.step(period)
            return self._world.joint_positions(), self._world.joint_velocities()

    def copy_scene(self) -> StampedScene | None:
        """What is to be drawn; None for a table that was laid anew, until physics has run with it.

        Its stamp is that of the joint states of the same moment, however long ago that is on a busy machine: with
        another one the arm would seem to be elsewhere than where the picture has it.
        """
        with self._lock:
            model, data, stamp = self._world.model, copy.copy(self._world.data), self._stamp
        if stamp is None:
            return None
        # A step leaves the poses where they were at its beginning.
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        return StampedScene(model, data, stamp)

    # The arm

    def follow(self, trajectory: JointTrajectory, degree: int = QUINTIC) -> None:
        """Have the arm follow a trajectory from now on; the degree is that of the polynomials between its points."""
        with self._lock:
            self._arm.follow(trajectory, self._world.time, degree)

    def brake(self) -> None:
        """Have the arm come to rest."""
        with self._lock:
            self._arm.brake(self._world.time)

    def reference_rests(self) -> bool:
        """Whether the arm is meant to stand still."""
        with self._lock:
            return self._arm.is_resting(self._world.time)

    def has_arrived(self) -> bool:
        """Whether the reference rests and the arm does so too, or has had time enough to."""
        with self._lock:
            now = self._world.time
            if not self._arm.is_resting(now):
                return False
            velocities = self._world.joint_velocities()
            speed = max(abs(velocities[name]) for name in self.robot.arm_joint_names)
            miss = np.max(np.abs(self._world.arm_positions() - self._arm.reference(now).positions))
            return bool(miss < SETTLED_RAD and speed < SETTLED_RAD_S) or self._arm.is_resting(now - SETTLE_TIME)

    def arm_state(self) -> ArmState:
        """Where the arm is meant to be and where it is."""
        with self._lock:
            now = self._world.time
            wanted = self._arm.reference(now)
            measured, elapsed = self._world.arm_positions(), self._arm.elapsed(now)
            return ArmState(wanted.positions, wanted.velocities, measured, elapsed, self._stamp)

    # The gripper; positions are of one finger

    def finger_position(self) -> float:
        """Metres that a finger is away from the middle."""
        with self._lock:
            return self._world.gripper_width() / 2.0

    def move_fingers(self, position: float) -> float:
        """Have both fingers move to a position, metres; returns the world time of their arrival if nothing is there."""
        with self._lock:
            # Fingers that hold something are driven to where it ends first: they start when the set point is past it.
            starts = (self.finger_position(), self._world.gripper_set_point() / 2.0)
            travel = max(abs(start - position) for start in starts)
            self._world.set_gripper_target(2.0 * position)
            return self._world.time + travel / self.robot.finger_velocity_limit + 0.05

    def fingers_rest(self, position: float, arrival: float) -> bool:
        """Whether the fingers stand at a position, metres, or have had time to get there and stand somewhere else."""
        with self._lock:
            velocities = self._world.joint_velocities()
            if any(abs(velocities[name]) >= FINGERS_RESTING for name in self.robot.finger_joint_names):
                return False
            return abs(self.finger_position() - position) < FINGER_TOLERANCE or self._world.time >= arrival
