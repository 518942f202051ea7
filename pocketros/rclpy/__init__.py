"""rclpy on Cyclone DDS, without a ROS 2 installation: a part of pocketros.

A genuine rclpy on PYTHONPATH is found before this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pocketros.interfaces.importer as _importer
from pocketros.errors import left_out

_importer.install()

from rclpy.context import Context, get_default_context, renew_default_context  # noqa: E402 - needs the import hook
from rclpy.signals import SignalHandlerOptions, install_signal_handlers, uninstall_signal_handlers  # noqa: E402
from rclpy.task import Future  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rclpy.executors import Executor
    from rclpy.node import Node

_executors: list[Executor] = []


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


def ok(*, context: Context | None = None) -> bool:
    """Whether the context is initialized and not shut down."""
    return (context or get_default_context()).ok()


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the domain.

    Raises:
        RCLError: it is left already, for example after a signal; `try_shutdown` does not mind.
    """
    _end(context, uninstall_handlers, Context.shutdown)


def try_shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leave the domain, unless that is done."""
    _end(context, uninstall_handlers, Context.try_shutdown)


def _end(context: Context | None, uninstall_handlers: bool | None, leave: Any) -> None:
    chosen = context or get_default_context()
    if _executors and _executors[0].context is chosen:
        _executors.pop().shutdown(timeout_sec=0.0)
    try:
        leave(chosen)
    finally:
        if uninstall_handlers or (uninstall_handlers is None and context is None):
            uninstall_signal_handlers()


def get_global_executor() -> Executor:
    """The executor of `spin` and its relatives where none is named."""
    from rclpy.executors import SingleThreadedExecutor

    if not _executors or _executors[0].context is not get_default_context() or _executors[0]._is_shutdown:
        _executors[:] = [SingleThreadedExecutor()]
    return _executors[0]


def create_node(node_name: str, **options: Any) -> Node:
    """A node; see rclpy.node.Node for the options."""
    from rclpy.node import Node

    return Node(node_name, **options)


@contextmanager
def _serving(node: Node, executor: Executor | None) -> Iterator[Executor]:
    executor = get_global_executor() if executor is None else executor
    added = executor.add_node(node)
    try:
        yield executor
    finally:
        if added:
            executor.remove_node(node)


def spin(node: Node, executor: Executor | None = None) -> None:
    """Run the callbacks of a node until the context is shut down."""
    with _serving(node, executor) as serving:
        serving.spin()


def spin_once(node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None) -> None:
    """Run one callback of a node, waiting for it up to `timeout_sec`."""
    with _serving(node, executor) as serving:
        serving.spin_once(timeout_sec)


def spin_until_future_complete(
    node: Node, future: Future, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Run the callbacks of a node until a future is done or the time is over."""
    with _serving(node, executor) as serving:
        serving.spin_until_future_complete(future, timeout_sec)


__getattr__ = left_out(__name__)
