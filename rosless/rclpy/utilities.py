"""The default context and small questions about it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from rclpy.context import Context

_lock = threading.Lock()
_default: list[Context] = []


def get_default_context(*, shutting_down: bool = False) -> Context:
    """The context that is used where none is named."""
    with _lock:
        if not _default:
            _default.append(Context())
        return _default[0]


def renew_default_context() -> Context:
    """The default context, a fresh one when the former was shut down."""
    with _lock:
        if _default and _default[0]._initialized and not _default[0].ok():
            _default.clear()
    return get_default_context()


def remove_ros_args(args: Sequence[str] | None = None) -> list[str]:
    """The arguments that are not for ROS."""
    from rosless.arguments import parse_ros_arguments

    return parse_ros_arguments(args).rest


def ok(*, context: Context | None = None) -> bool:
    """Whether the context is initialized and not shut down."""
    return (context or get_default_context()).ok()


def shutdown(*, context: Context | None = None) -> None:
    """Shut a context down."""
    (context or get_default_context()).shutdown()


def try_shutdown(*, context: Context | None = None) -> None:
    """Shut a context down, unless that is done."""
    (context or get_default_context()).try_shutdown()


def get_rmw_implementation_identifier() -> str:
    return "rmw_cyclonedds_cpp"


def __getattr__(name: str) -> Any:
    from rosless.errors import refuse_attribute

    refuse_attribute(__name__, name)
