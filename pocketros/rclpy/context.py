"""Contexts: one DDS session each, from `init` to `shutdown`."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pocketros.arguments import RosArguments, parse_ros_arguments
from pocketros.wire.domain import domain_id_from_environment
from pocketros.wire.graph import Graph
from pocketros.wire.session import Session

from rclpy import logging
from rclpy.exceptions import NotInitializedException, RCLError

_contexts: weakref.WeakSet[Context] = weakref.WeakSet()


def enlist(callbacks: list[Callable[[], Any]], callback: Callable[[], Any]) -> Callable[[], None]:
    """Add a function to a list; returns one that takes it off, as often as it is called."""
    callbacks.append(callback)

    def forget() -> None:
        with contextlib.suppress(ValueError):
            callbacks.remove(callback)

    return forget


class Context:
    """What nodes, executors and clocks share between `init` and `shutdown`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._initialized = self._ok = False
        self._graph: Graph | None = None
        self._shutdown_callbacks: list[Callable[[], Any]] = []
        self._wake_callbacks: list[Callable[[], Any]] = []
        self.arguments = RosArguments()

    def init(
        self, args: Sequence[str] | None = None, *, initialize_logging: bool = True, domain_id: int | None = None
    ) -> None:
        """Join the domain.

        Args:
            args: the command line, None for that of the process.
            domain_id: None for ROS_DOMAIN_ID.

        Raises:
            RuntimeError: called twice.
            ArgumentError: arguments after --ros-args which ROS 2 does not know.
        """
        with self._lock:
            if self._initialized:
                raise RuntimeError("Context.init() must only be called once")
            self.arguments = parse_ros_arguments(args)
            for name, level in self.arguments.log_levels.items() if initialize_logging else ():
                logging.set_logger_level(name, logging.get_logging_severity_from_string(level))
            if domain_id is not None and domain_id < 0:
                raise RuntimeError(f"Domain id ({domain_id}) should not be lower than zero.")
            self._graph = Graph(Session(domain_id_from_environment() if domain_id is None else domain_id))
            self._initialized = self._ok = True
            _contexts.add(self)

    @property
    def graph(self) -> Graph:
        """The ROS graph, with the DDS session (private to pocketros)."""
        if self._graph is None:
            raise NotInitializedException()
        return self._graph

    @property
    def session(self) -> Session:
        """The DDS session (private to pocketros)."""
        return self.graph.session

    def ok(self) -> bool:
        """Whether it is initialized and not shut down."""
        return self._ok

    def get_domain_id(self) -> int:
        return self.session.domain_id

    def on_shutdown(self, callback: Callable[[], Any]) -> None:
        """Call a function when the context shuts down, at once when it has."""
        if self._initialized and not self._ok:
            callback()
        else:
            self._shutdown_callbacks.append(callback)

    def _on_wake(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Call a function at shutdown, from a signal handler too; returns one that forgets it."""
        return enlist(self._wake_callbacks, callback)

    def _interrupt(self) -> None:
        """End every spin, from a signal handler: takes no lock, frees nothing."""
        if self._ok:
            self._ok = False
            callbacks, self._shutdown_callbacks = self._shutdown_callbacks, []
            for callback in [*self._wake_callbacks, *callbacks]:
                callback()

    def shutdown(self) -> None:
        """Leave the domain.

        Raises:
            RCLError: not initialized, or shut down already (by a signal, too).
        """
        if not self._initialized:
            raise RCLError("failed to shutdown: the given context is not initialized")
        was_ok = self._ok
        self.try_shutdown()
        if not was_ok:
            raise RCLError("failed to shutdown: rcl_shutdown already called on the given context")

    def try_shutdown(self) -> None:
        """Leave the domain, unless that is done."""
        self._interrupt()
        with self._lock:
            if self._graph is not None:
                self._graph.session.close()

    def __enter__(self) -> Context:
        if not self._initialized:
            self.init()
        return self

    def __exit__(self, *_: object) -> None:
        self.try_shutdown()


@atexit.register
def _close_all() -> None:
    for context in list(_contexts):
        context.try_shutdown()


_default_lock = threading.Lock()
_default: list[Context] = []


def get_default_context(*, shutting_down: bool = False) -> Context:
    """The context that is used where none is named."""
    with _default_lock:
        if not _default:
            _default.append(Context())
        return _default[0]


def renew_default_context() -> Context:
    """The default context, a fresh one when the former was shut down."""
    with _default_lock:
        if _default and _default[0]._initialized and not _default[0].ok():
            _default.clear()
    return get_default_context()
