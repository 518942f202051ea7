"""Nodes in a process: built one after another, each with an executor of its own, ended in order."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import ClassVar, NoReturn

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.errors import UserError, one_line

ANSWERING = 0.2  # seconds after nodes were closed in which the results of their actions leave
AWAKE_PERIOD = 0.03  # seconds between two looks at whether the node stood still
EXECUTOR_TIMEOUT = 1.0  # seconds that callbacks may go on after the nodes were closed
# Seconds: Python runs a signal's handler in the main thread, which a signal that another thread received does not wake.
LONGEST_WAIT = 1.0
_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
FAILED = 1  # exit code of a node that could not start, or whose callback raised
# Parameters that rclpy declares by itself on one distribution or another.
OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides.")


class NodeError(UserError, RuntimeError):
    """What a node reports in one line before it ends or refuses something."""

    exit_code = FAILED


class ManagedNode(Node):
    """A node that :func:`run_nodes` builds and ends.

    Attributes:
        threads: of its executor.
        awake: by which it measures the silence of others.
    """

    threads: ClassVar[int] = 4

    def __init__(self, name: str) -> None:
        # What was given is known in public on every distribution only once it is declared, which is then taken back.
        super().__init__(name, automatically_declare_parameters_from_overrides=True)
        self._given = [one for one in self.get_parameters_by_prefix("") if not one.startswith(OF_RCLPY)]
        for one in self._given:
            self.undeclare_parameter(one)
        self.finished: Future[int] = Future()
        self.awake = AwakeClock()
        steady_timer(self, AWAKE_PERIOD, self.awake.look)

    def close(self) -> None:
        """End what is under way: interrupt waits, cancel goals. Called while messages still flow."""

    def finish(self, exit_code: int = 0) -> None:
        """Say that the node's work is done, from any thread."""
        if not self.finished.done():
            self.finished.set_result(exit_code)

    def unknown_parameters(self) -> list[str]:
        """Given parameters that the node has not declared, each with the nearest that it has; rclpy ignores them."""
        known = list(self.get_parameters_by_prefix(""))
        return [_not_known(one, known) for one in self._given if not self.has_parameter(one)]


def _not_known(name: str, known: list[str]) -> str:
    nearest = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"nearest are {', '.join(nearest)}" if nearest else "`ros2 param list` shows those it has"
    return f"parameter '{name}' is not known and ignored; {hint}"


@dataclass(frozen=True)
class Build:
    """A node to be built.

    Attributes:
        name: for messages about a node that cannot be built.
        load: imports and returns its class; what takes seconds belongs here, where signals are heeded.
        optional: whether the others go on when it has finished or failed.
    """

    name: str
    load: Callable[[], Callable[[], ManagedNode]]
    optional: bool = False


def run_node(kind: type[ManagedNode]) -> NoReturn:
    """Run one node; see :func:`run_nodes`."""
    run_nodes([Build(Path(sys.argv[0]).stem, lambda: kind)])


def run_nodes(builds: Sequence[Build]) -> NoReturn:
    """Run nodes until SIGINT, SIGTERM, the end or the failure of one, and end the process with the exit code.

    They are built and, in the end, closed in the order given; messages flow when all have been built. The executors
    spin in threads of their own and the signals stay with Python: with rclpy's handlers the context is gone before a
    node can cancel the motion it has started. While nodes are built, a signal interrupts whatever that is, so that
    loading a checkpoint does not delay it.

    The exit code is 0 after a signal, 128 and the signal's number if it came before all nodes were built, that with
    which a node has finished, or 1 after a failure.
    """
    _share_memory()
    code = _Process().run(builds)
    rclpy.try_shutdown()
    # Everything has ended in order. What the interpreter would still do, unloading torch, takes a busy machine
    # seconds; of that, only the buffers matter, those of the C library too, where rclpy's log may stand.
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(code)


def _share_memory() -> None:
    """Have all threads allocate from one arena of glibc.

    Images and clouds are made in one thread and freed in another, whichever the executor takes; with arenas of their
    own, what each of them keeps of that grows for hours.
    """
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(_ARENA_MAX, 1)


class _Hosted:
    """A node with its executor."""

    def __init__(self, build: Build, node: ManagedNode, tell: Callable[[_Ended], None]) -> None:
        self.optional, self.node = build.optional, node
        self._tell = tell
        self._ending = False
        self._executor = MultiThreadedExecutor(num_threads=node.threads)
        self._executor.add_node(node)
        self._spinner = threading.Thread(target=self._spin, name=f"executor of {build.name}", daemon=True)

    def start(self) -> None:
        """Let messages flow."""
        for unknown in self.node.unknown_parameters():
            self.node.get_logger().warning(unknown)
        self.node.awake.restart()  # until now it was being built
        self._spinner.start()
        self.node.finished.add_done_callback(lambda done: self._tell(_Ended(done.result(), self)))

    def _spin(self) -> None:
        try:
            with suppress(ExternalShutdownException):
                self._executor.spin()
        except BaseException as error:  # whatever a callback raised ends the process, as in a plain rclpy node
            self._tell(_Ended(FAILED, self, error))
        else:
            if not self._ending:
                self._tell(_Ended(FAILED, self, RuntimeError("the ROS context was shut down by something else")))

    def close(self) -> None:
        """Let the node end what is under way."""
        self._ending = True
        self.node.close()

    def stop(self) -> None:
        """No more callbacks, and no more node."""
        self._executor.shutdown(timeout_sec=EXECUTOR_TIMEOUT)
        if self._spinner.is_alive():
            self._spinner.join(timeout=EXECUTOR_TIMEOUT)
        self.node.destroy_node()


@dataclass(frozen=True)
class _Ended:
    """Why the process, or an optional node, comes to its end."""

    code: int
    node: _Hosted | None = None
    error: BaseException | None = None


class _Process:
    def __init__(self) -> None:
        self._hosted: list[_Hosted] = []
        self._news: SimpleQueue[_Ended] = SimpleQueue()  # may be fed from signal handlers
        self._building = True

    def run(self, builds: Sequence[Build]) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            code = self._run(builds)
        except KeyboardInterrupt:
            code = self._news.get().code
        except Exception:  # a bug, not the user's
            self._building = False
            traceback.print_exc()
            code = FAILED
        went_well = self._close(self._hosted)
        # A node that was interrupted may know better how its work ended
        known = [hosted.node.finished.result() for hosted in self._hosted if hosted.node.finished.done()]
        return code or next(filter(None, known), 0 if went_well else FAILED)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        building, self._building = self._building, False
        self._news.put(_Ended(128 + number if building else 0))
        if building:
            raise KeyboardInterrupt

    def _run(self, builds: Sequence[Build]) -> int:
        name = builds[0].name
        try:
            rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
            creators = []
            for build in builds:
                name = build.name
                creators.append(build.load())
            for build, create in zip(builds, creators, strict=True):
                name = build.name
                self._hosted.append(_Hosted(build, create(), self._news.put))
            for hosted in self._hosted:
                hosted.start()
        except (ValueError, RuntimeError, OSError, ImportError, ParameterException) as error:
            if not self._building:  # a signal, which what was interrupted has made another error of
                raise KeyboardInterrupt from error
            # A bad checkpoint, parameter or file, a missing package: one line that names it.
            self._building = False
            get_logger(name).fatal(_in_one_line(error))
            return FAILED
        self._building = False
        return self._wait()

    def _wait(self) -> int:
        """Until a signal, or the end of a node that is not optional."""
        while True:
            try:
                ended = self._news.get(timeout=LONGEST_WAIT)
            except Empty:
                continue
            if ended.node is None:
                return ended.code
            logger = ended.node.node.get_logger()
            if ended.error is not None:
                traceback.print_exception(ended.error)
                logger.fatal(f"ends, because {_in_one_line(ended.error)}")
            if not ended.node.optional:
                return ended.code
            if ended.node in self._hosted:
                self._hosted.remove(ended.node)
                self._close([ended.node])
                logger.info(f"has ended with exit code {ended.code}; the other nodes go on")

    @staticmethod
    def _close(nodes: Sequence[_Hosted]) -> bool:
        """Close nodes in their order, and stop them when all are closed; whether that went well."""
        went_well = True
        for part in (_Hosted.close, _Hosted.stop):
            if part is _Hosted.stop and nodes:
                time.sleep(ANSWERING)
            for hosted in nodes:
                try:
                    part(hosted)
                except Exception:  # the others have to be ended all the same
                    traceback.print_exc()
                    went_well = False
        return went_well


def _in_one_line(error: BaseException) -> str:
    text = one_line(error)
    if isinstance(error, ModuleNotFoundError):
        text += f"; install it for {sys.executable}, which runs this node: pip install -r requirements.txt"
    return text
