"""One keyframe: plan to the first candidate that passes every check, move there, open or close the gripper."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.motion import AllRefused, MotionPlanner, MotionRefused
from mini_diffuser_ros.motion.collision import NOTHING
from mini_diffuser_ros.motion.surroundings import Surroundings
from mini_diffuser_ros.records import JointTrajectory, KeyframeMode
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.obstacle_watch import HORIZON, ObstacleWatch
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError

TellProgress = Callable[[str, float], None]
"""Takes a phase and its progress, 0 to 1."""

ARRIVAL_TOLERANCE = 0.05
"""Radians by which a joint may miss the end of a trajectory."""

STIRRED = 0.01
"""Radians by which a joint may be elsewhere than where a motion was planned from, when somebody has consented to it."""

PROMPT = 0.2
"""Seconds of thinking a motion over within which nobody moves the arm by hand."""


class Declined(MotionRefused):
    """A person who was asked does not want the motion."""

    limit = "consent"

    def __init__(self, target: str) -> None:
        super().__init__(target, "declined by the person who was asked")


class StirredError(UserError, RuntimeError):
    """The arm is not any more where a motion that somebody consented to begins."""


@dataclass(frozen=True, eq=False)
class PlannedMotion:
    """A motion that is about to begin, for whoever is shown it.

    Attributes:
        target: what it leads to, e.g. ``candidate 1 of 8`` or ``home``.
        trajectory: that the arm is to follow.
        gripper_open: what the gripper is to be afterwards; None if it stays.
    """

    target: str
    trajectory: JointTrajectory
    gripper_open: bool | None


Review = Callable[[PlannedMotion, CancellationToken, TellProgress], bool]
"""Shows a motion; whether it may begin. It may wait for a person, and raises an InterruptionError if none answers."""


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

    def follow(self, trajectory: JointTrajectory, token: CancellationToken, tell: TellProgress) -> None:
        """Follow a trajectory at the speed that holds, and check that the arm has arrived; an error if it has not."""
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

    def is_empty(self) -> bool:
        """Whether the fingers are measured to hold nothing; False where that is not known."""
        ...

    def holding(self) -> float:
        """Metres of what the fingers are measured to hold, whoever closed them; 0.0 for nothing, or if not known."""
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
        review: is shown each motion, and may keep it from beginning.
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
        review: Review = lambda *_: True,
    ) -> None:
        self._planner = planner
        self._measured = measured
        self._latch = latch
        self._arm = arm
        self._gripper = gripper
        self._on_planned = on_planned
        self._watch = watch
        self._review = review

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
            AllRefused: no candidate passed the checks, or a person declined the first that did.
            UserError: a controller is absent or failed, or arm or gripper are not as they should be.
        """
        tell("planning", 0.0)
        self._check_held(held)
        self._arm.await_server(token)
        with self._planning(token) as (start, seen):
            planned = self._planner.plan_first(start, candidates, before_each=token.check, surroundings=seen)
        mode = candidates[planned.index]
        if self._gripper.has_to_act(mode.gripper_open):
            # A gripper that is not there is noticed before the arm has moved.
            self._gripper.await_server(token)
        target = f"candidate {planned.index + 1} of {len(candidates)}"
        motion = PlannedMotion(target, planned.trajectory, mode.gripper_open)
        self._move(motion, token, tell, planned.refusals)
        reached = pose_from_matrix(self._planner.robot.tcp_pose(self._measured.await_rest(token)))
        if self._gripper.has_to_act(mode.gripper_open):
            tell("gripper", 0.0)
            held = self._gripper.take_state(mode.gripper_open, token)
            self._tell_watch(held, seen, planned.trajectory)
        refusals = tuple(map(str, planned.refusals))
        return MotionReport(planned.index, f"reached {target}", refusals, held=held, reached=reached)

    def go_home(
        self, token: CancellationToken, tell: TellProgress = lambda *_: None, held: float = 0.0
    ) -> MotionReport:
        """Move to the arm's home position; the gripper stays as it is. Arguments and errors as of :meth:`carry_out`."""
        tell("planning", 0.0)
        self._check_held(held)
        self._arm.await_server(token)
        with self._planning(token) as (start, seen):
            home = self._planner.robot.home
            trajectory = self._planner.plan_joints(start, home, surroundings=seen, target="home")
        self._move(PlannedMotion("home", trajectory, None), token, tell)
        return MotionReport(0, "reached home", held=held)

    def _check_held(self, expected: float) -> None:
        """Raise an error if something that wide, metres, is held no more; what is measured to be gone is in no plan."""
        self._gripper.check_held(expected)
        if self._watch is not None and self._gripper.is_empty():
            self._watch.emptied()

    def _move(
        self,
        motion: PlannedMotion,
        token: CancellationToken,
        tell: TellProgress,
        refusals: Sequence[MotionRefused] = (),
    ) -> None:
        """Follow a trajectory, if whoever is shown it lets it begin and the arm is still where it begins."""
        shown = time.monotonic()
        if not self._review(motion, token, tell):
            raise AllRefused([*refusals, Declined(motion.target)])
        waited = time.monotonic() - shown > PROMPT
        if waited:
            self._check_unstirred(motion, token)
        tell("moving", 0.0)
        watching = self._watching(motion.trajectory, token, wholly=waited)
        with self._latch.supervised(), self._gripper.carrying(token), watching:
            token.check()  # what came into the way while somebody thought, or since the motion was planned
            self._arm.follow(motion.trajectory, token, tell)

    @contextmanager
    def _planning(self, token: CancellationToken) -> Iterator[tuple[NDArray[np.float64], Surroundings]]:
        """Around a planning, which is timed: where the arm rests, (J,) radians, and what it has to keep away from."""
        start = self._measured.await_rest(token)
        if self._watch is not None and (width := self._gripper.holding()) > 0.0:
            self._watch.holding(width, start)
        seen = NOTHING if self._watch is None else self._watch.surroundings()
        began = time.monotonic()
        try:
            yield start, seen
        finally:
            self._on_planned(time.monotonic() - began)

    def _check_unstirred(self, motion: PlannedMotion, token: CancellationToken) -> None:
        apart = np.max(np.abs(self._measured.await_rest(token) - motion.trajectory.positions[0]))
        if apart > STIRRED:
            raise StirredError(f"the arm has moved by {apart:.3f} rad since the motion was planned; ask for it again")

    def _watching(
        self, trajectory: JointTrajectory, token: CancellationToken, wholly: bool
    ) -> AbstractContextManager[None]:
        """Around a motion that was planned a moment ago, or, of which all is to be looked at again, longer ago."""
        if self._watch is None:
            return nullcontext()
        return self._watch.ahead_of(trajectory, token, trajectory.duration if wholly else HORIZON)

    def _tell_watch(self, held: float, seen: Surroundings, trajectory: JointTrajectory) -> None:
        if self._watch is None:
            return
        if held > 0.0:
            self._watch.grasped(seen, trajectory.positions[-1])
            self._watch.holding(held, trajectory.positions[-1])
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
