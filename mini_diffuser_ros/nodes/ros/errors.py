"""Errors of the node room."""

from __future__ import annotations


class NodeError(RuntimeError):
    """Base of what a node reports in one line before it ends or refuses something."""


class MalformedMessageError(NodeError):
    """A received message contradicts itself or has a layout that is not understood."""


class StaleJointsError(NodeError):
    """Joint positions are missing or too old to move by."""


class ActionUnavailableError(NodeError):
    """No server answers on an action's name, or not in time."""


class ActionRejectedError(NodeError):
    """A server did not accept a goal."""


class InterruptionError(NodeError):
    """A wait was ended from outside.

    Args:
        outcome: constant of the action's result that says how.
        message: one line that says why.
    """

    def __init__(self, outcome: int, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
