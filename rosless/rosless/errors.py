"""What rosless raises besides the exceptions that the mirrored ROS 2 packages document."""

from __future__ import annotations

from typing import NoReturn


class RoslessError(RuntimeError):
    """Base of rosless' own errors."""


class InterfaceError(RoslessError, ValueError):
    """An interface definition is missing, malformed or not supported."""


class CodecError(RoslessError, ValueError):
    """Bytes that are no CDR encoding of the type, or a message that cannot be encoded."""


def refuse_attribute(module: str, name: str) -> NoReturn:
    """Raise for a name that the genuine module may have and rosless does not provide."""
    raise AttributeError(f"rosless does not provide {module}.{name}; it needs a genuine ROS 2")
