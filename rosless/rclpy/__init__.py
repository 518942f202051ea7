"""rclpy on Cyclone DDS, without a ROS 2 installation: a part of rosless.

A genuine rclpy on PYTHONPATH is found before this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rosless.interfaces.importer as _importer

_importer.install()

from rclpy.context import Context  # noqa: E402 - the message packages need the import hook
from rclpy.signals import (  # noqa: E402
    SignalHandlerOptions,
    install_signal_handlers,
    uninstall_signal_handlers,
)
from rclpy.task import Future  # noqa: E402
from rclpy.utilities import get_default_context, ok, renew_default_context  # noqa: E402
from rclpy.utilities import try_shutdown as _try_shutdown  # noqa: E402

if TYPE_CHECKING:
    from rclpy.executors import Executor
    from rclpy.node import Node

_global_executor: list[Executor] = []


class InitContextManager:
    """What `init` returns: leaves the domain at the end of a `with` block."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def __enter__(self) -> Context:
        return self.context

    def __exit__(self, *_: object) -> None:
        try_shutdown(context=self.context)


def init(
    *,
    args: Sequence[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> InitContextManager:
    """Join the ROS domain.

    Args:
        args: the command line, None for that of the process.
        context: None for the default context.
        domain_id: None for ROS_DOMAIN_ID.
        signal_handler_options: None for all signals with the default context, none otherwise.
    """
    chosen = renew_default_context() if context is None else context
    chosen.init(args, domain_id=domain_id)
    if signal_handler_options is None:
        signal_handler_options = SignalHandlerOptions.ALL if context is None else SignalHandlerOptions.NO
    install_signal_handlers(signal_handler_options)
    return InitContextManager(chosen)


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the domain.

    Raises:
        RCLError: it is left already, for example after a signal; `try_shutdown` does not mind.
    """
    chosen = context or get_default_context()
    _close_global_executor(chosen)
    try:
        chosen.shutdown()
    finally:
        if uninstall_handlers or (uninstall_handlers is None and context is None):
            uninstall_signal_handlers()


def try_shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the domain, unless that is done."""
    _close_global_executor(context or get_default_context())
    _try_shutdown(context=context)
    if uninstall_handlers or (uninstall_handlers is None and context is None):
        uninstall_signal_handlers()


def _close_global_executor(context: Context) -> None:
    if _global_executor and _global_executor[0].context is context:
        _global_executor.pop().shutdown(timeout_sec=0.0)


def get_global_executor() -> Executor:
    """The executor of `spin` and its relatives where none is named."""
    from rclpy.executors import SingleThreadedExecutor

    context = get_default_context()
    if not _global_executor or _global_executor[0].context is not context or _global_executor[0]._is_shutdown:
        _global_executor[:] = [SingleThreadedExecutor()]
    return _global_executor[0]


def create_node(node_name: str, **options: Any) -> Node:
    """A node; see rclpy.node.Node for the options."""
    from rclpy.node import Node

    return Node(node_name, **options)


def spin(node: Node, executor: Executor | None = None) -> None:
    """Run the callbacks of a node until the context is shut down."""
    executor = get_global_executor() if executor is None else executor
    try:
        executor.add_node(node)
        while executor.context.ok():
            executor.spin_once()
    finally:
        executor.remove_node(node)


def spin_once(node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None) -> None:
    """Run one callback of a node, waiting for it up to `timeout_sec`."""
    executor = get_global_executor() if executor is None else executor
    added = False
    try:
        added = executor.add_node(node)
        executor.spin_once(timeout_sec=timeout_sec)
    finally:
        if added:
            executor.remove_node(node)


def spin_until_future_complete(
    node: Node, future: Future, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Run the callbacks of a node until a future is done or the time is over."""
    executor = get_global_executor() if executor is None else executor
    added = False
    try:
        added = executor.add_node(node)
        executor.spin_until_future_complete(future, timeout_sec)
    finally:
        if added:
            executor.remove_node(node)


__all__ = [
    "Context",
    "Future",
    "InitContextManager",
    "SignalHandlerOptions",
    "create_node",
    "get_default_context",
    "get_global_executor",
    "init",
    "ok",
    "shutdown",
    "spin",
    "spin_once",
    "spin_until_future_complete",
    "try_shutdown",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module
    from importlib.util import find_spec

    from rosless.errors import refuse_attribute

    if name.startswith("_") or not find_spec(f"rclpy.{name}"):
        refuse_attribute("rclpy", name)
    return import_module(f"rclpy.{name}")
