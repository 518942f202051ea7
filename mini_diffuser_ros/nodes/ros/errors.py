"""Errors of the node room."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class NodeError(UserError, RuntimeError):
    """What a node reports in one line before it ends or refuses something."""


class MalformedMessageError(NodeError):
    """A received message contradicts itself or has a layout that is not understood."""


class ActionUnavailableError(NodeError):
    """No server answers on an action's name, or not in time."""


class ActionRejectedError(NodeError):
    """A server did not accept a goal."""
