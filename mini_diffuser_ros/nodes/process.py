"""One node, one process: start, spin, end in order."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


class ManagedNode(Node):
    """A node that :func:`run_node` starts and ends."""

    exit_code = 0

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.finished = threading.Event()

    def close(self) -> None:
        """End what is under way: interrupt waits, cancel goals. Called while messages still flow."""

    def finish(self, exit_code: int = 0) -> None:
        """Ask for the end of the process, from any thread."""
        self.exit_code = exit_code
        self.finished.set()


def run_node(create: Callable[[], ManagedNode], threads: int = 4) -> NoReturn:
    """Run a node until SIGINT, SIGTERM or its own end, and end the process with its exit code.

    The executor spins in a thread of its own and the signals stay with Python: with rclpy's handlers the context is
    gone before a node can cancel the motion it has started. While the node is being built Ctrl-C is a plain
    KeyboardInterrupt, so that loading a checkpoint does not delay it.
    """
    code = _run(create, threads)
    rclpy.try_shutdown()
    # Everything has ended in order. What the interpreter would still do, unloading torch, takes a busy machine seconds.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(create: Callable[[], ManagedNode], threads: int) -> int:
    try:
        try:
            rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
            node = create()
        except (ValueError, RuntimeError, OSError, ParameterException) as error:
            # A bad checkpoint, parameter or file: one line that names it.
            get_logger(sys.argv[0].rsplit("/", 1)[-1]).fatal(str(error))
            return 1
        return _spin(node, threads)
    except KeyboardInterrupt:
        return 130
    except Exception:  # whatever a callback raised ends the process, as in a plain rclpy node
        traceback.print_exc()
        return 1


def _spin(node: ManagedNode, threads: int) -> int:
    def on_signal(number: int, frame: FrameType | None) -> None:
        node.finished.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    executor = MultiThreadedExecutor(num_threads=threads)
    executor.add_node(node)
    failures: list[BaseException] = []

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as error:  # raised again in the main thread
            failures.append(error)
        finally:
            node.finished.set()

    spinner = threading.Thread(target=spin, name="executor", daemon=True)
    spinner.start()
    node.finished.wait()
    node.close()
    executor.shutdown(timeout_sec=1.0)
    spinner.join(timeout=1.0)
    node.destroy_node()
    if failures:
        raise failures[0]
    return node.exit_code
