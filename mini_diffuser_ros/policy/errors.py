"""What the policy refuses to do, each in one line."""

from __future__ import annotations

from mini_diffuser_ros.support.errors import UserError


class PolicyError(UserError, ValueError):
    """Base of the policy's own errors; wrong arguments raise a plain ValueError that names the argument."""


class CheckpointError(PolicyError):
    """A checkpoint directory cannot be read; the message names the file and the field or tensor."""


class TextError(PolicyError):
    """A sentence cannot be encoded, or the sentence encoder's weights are not there."""
