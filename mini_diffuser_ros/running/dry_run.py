"""An arm and a gripper that are only planned for: what they are told goes nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.running.keyframe_motion import TellProgress
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError


class PlannedOnlyError(UserError):
    """A dry run has come to where the arm would move."""


class StillArm:
    """In the place of an arm's controller; it knows none."""

    def await_server(self, token: CancellationToken) -> None:
        """Nobody is needed."""
        token.check()

    def follow(self, trajectory: JointTrajectory, token: CancellationToken, tell: TellProgress) -> None:
        """Say what would be followed, by an error."""
        token.check()
        raise PlannedOnlyError(f"a dry run: planned a motion of {trajectory.duration:.1f} s, nothing was moved")


class StillGripper:
    """In the place of a gripper's driver; it knows none."""

    def await_server(self, token: CancellationToken) -> None:
        """Nobody is needed."""
        token.check()

    def has_to_act(self, wanted_open: bool) -> bool:
        """Never."""
        return False

    def take_state(self, wanted_open: bool, token: CancellationToken) -> float:
        """Nothing is held."""
        return 0.0

    def check_held(self, expected: float) -> None:
        """Nothing is expected."""

    def is_empty(self) -> bool:
        """Nothing was ever grasped."""
        return True

    def holding(self) -> float:
        """Nothing was ever grasped."""
        return 0.0

    @contextmanager
    def carrying(self, token: CancellationToken) -> Iterator[None]:
        """Nothing can be lost."""
        yield
