"""What sensors cannot tell, or tell against what is wanted, each in one line."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class StaleJointsError(UserError, RuntimeError):
    """Joint positions are missing or too old to move by."""


class FrozenJointsError(StaleJointsError):
    """Joint states come, but did not change while the arm moved."""


class ContradictoryJointsError(StaleJointsError):
    """What is published of the joints cannot all be true."""


class DeviationError(UserError, RuntimeError):
    """The arm is not where its controller wants it."""


class ArmMovesError(UserError, RuntimeError):
    """The arm does not come to rest."""
