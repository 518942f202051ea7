"""One keyframe: plan to the first candidate that passes every check, move there, open or close the gripper."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import MotionPlanner, PlannedKeyframe
from mini_diffuser_ros.motion.collision import NOTHING
from mini_diffuser_ros.motion.surroundings import Surroundings
from mini_diffuser_ros.records import JointTrajectory, KeyframeMode
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.obstacle_watch import ObstacleWatch
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.support.cancellation import CancellationToken

TellProgress = Callable[[str, float], None]
"""Takes a phase and its progress, 0 to 1."""

ARRIVAL_TOLERANCE = 0.05
"""Radians by which a joint may miss the end of a trajectory."""

OPEN_FRACTION = 0.9
"""Of the largest width, from which the gripper counts as open."""


class Measured(Protocol):
    """Where the arm is."""

    def await_rest(self, token: CancellationToken) -> NDArray[np.float64]:
        """(J,) joint positions, radians, once the arm is known to be at rest, or an error that says why not."""
        ...


class Arm(Protocol):
    """Follows trajectories."""

    def await_server(self, token: CancellationToken) -> None:
        """Return once the arm can be commanded, or raise an error that says why not."""
        ...

    def follow(
        self, trajectory: JointTrajectory, token: CancellationToken, on_progress: Callable[[float], None]
    ) -> None:
        """Follow a trajectory and check that the arm has arrived; an error where it has not."""
        ...


class Gripper(Protocol):
    """Opens and closes."""

    def await_server(self, token: CancellationToken) -> None:
        """Return once the gripper can be commanded, or raise an error that says why not."""
        ...

    def has_to_act(self, wanted_open: bool) -> bool:
        """Whether the measured state is another."""
        ...

    def take_state(self, wanted_open: bool, token: CancellationToken) -> float:
        """Open or close; metres of what is held then, 0.0 for nothing. An error where it is measured otherwise."""
        ...

    def check_held(self, expected: float) -> None:
        """Raise an error if something that wide, metres, is not held any more; 0.0 expects nothing."""
        ...

    def carrying(self, token: CancellationToken) -> AbstractContextManager[None]:
        """Around a motion: interrupt it when what is held is lost."""
        ...


class KeyframeMotion:
    """Carries out one keyframe at a time.

    Args:
        planner: makes the trajectories.
        measured: where the arm is.
        latch: to be told of motions.
        arm: follows trajectories.
        gripper: acts after arrival.
        on_planned: takes the seconds that each planning took.
        watch: what the cameras see as obstacles; None to keep away from table and static boxes alone.
    """

    def __init__(
        self,
        planner: MotionPlanner,
        measured: Measured,
        latch: StopLatch,
        arm: Arm,
        gripper: Gripper,
        on_planned: Callable[[float], None] = lambda _: None,
        watch: ObstacleWatch | None = None,
    ) -> None:
        self._planner = planner
        self._measured = measured
        self._latch = latch
        self._arm = arm
        self._gripper = gripper
        self._on_planned = on_planned
        self._watch = watch

    def carry_out(
        self,
        candidates: Sequence[KeyframeMode],
        token: CancellationToken,
        tell: TellProgress = lambda *_: None,
        held: float = 0.0,
    ) -> MotionReport:
        """Move to the first candidate that can be reached.

        Args:
            candidates: the most probable first.
            token: what may interrupt.
            tell: takes phases and their progress.
            held: metres that what should be held is wide, as the report of the keyframe before says; 0.0 for nothing.

        Raises:
            InterruptionError: when the token is interrupted, also by something that was held and is lost on the way;
                the arm rests then.
            AllRefused: no candidate passed the checks.
            UserError: a controller is absent or failed, or arm or gripper are not as they should be.
        """
        tell("planning", 0.0)
        self._gripper.check_held(held)
        self._arm.await_server(token)
        planned, seen = self._plan(candidates, token)
        mode = candidates[planned.index]
        if self._gripper.has_to_act(mode.gripper_open):
            # A gripper that is not there is noticed before the arm has moved.
            self._gripper.await_server(token)
        tell("moving", 0.0)
        with self._latch.supervised(), self._gripper.carrying(token), self._watching(planned.trajectory, token):
            self._arm.follow(planned.trajectory, token, lambda progress: tell("moving", progress))
        if self._gripper.has_to_act(mode.gripper_open):
            tell("gripper", 0.0)
            held = self._gripper.take_state(mode.gripper_open, token)
            self._tell_watch(held, seen, planned.trajectory)
        message = f"reached candidate {planned.index + 1} of {len(candidates)}"
        return MotionReport(planned.index, message, tuple(map(str, planned.refusals)), held=held)

    def _plan(
        self, candidates: Sequence[KeyframeMode], token: CancellationToken
    ) -> tuple[PlannedKeyframe, Surroundings]:
        """The first motion that passes every check, and the surroundings that it was planned in."""
        start = self._measured.await_rest(token)
        seen = NOTHING if self._watch is None else self._watch.surroundings()
        began = time.monotonic()
        try:
            return self._planner.plan_first(start, candidates, before_each=token.check, surroundings=seen), seen
        finally:
            self._on_planned(time.monotonic() - began)

    def _watching(self, trajectory: JointTrajectory, token: CancellationToken) -> AbstractContextManager[None]:
        return nullcontext() if self._watch is None else self._watch.ahead_of(trajectory, token)

    def _tell_watch(self, held: float, seen: Surroundings, trajectory: JointTrajectory) -> None:
        if self._watch is None:
            return
        if held > 0.0:
            self._watch.grasped(seen, trajectory.positions[-1])
        else:
            self._watch.released()


def missed_joint(trajectory: JointTrajectory, positions: NDArray[np.floating], tolerance: float) -> str | None:
    """What to say of the joint that is farthest from the end of a trajectory; None if all have arrived.

    Args:
        trajectory: that was followed.
        positions: (J,) radians, measured at rest, in the order of its joints.
        tolerance: radians.
    """
    misses = np.abs(positions - trajectory.positions[-1])
    worst = int(np.argmax(misses))
    if misses[worst] <= tolerance:
        return None
    return (
        f"{trajectory.joint_names[worst]} is {misses[worst]:.3f} rad from its goal, allowed are {tolerance:.3f} rad: "
        "something holds the arm, or the controller lags"
    )
