"""Waiting for something while anything may end the wait: a stop, a newer instruction, stale sensors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.errors import UserError

LONGEST_SLICE = 0.25  # seconds that are waited at a time
T = TypeVar("T")


class InterruptionError(UserError, RuntimeError):
    """A wait was ended from outside.

    Args:
        outcome: constant of the action's result that says how.
        message: one line that says why.
    """

    def __init__(self, outcome: int, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class FutureLike(Protocol):
    """The part of ``rclpy.task.Future`` that a token needs."""

    def done(self) -> bool: ...

    def result(self) -> Any: ...

    def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...


class CancellationToken:
    """Blocks the thread of one task; other threads notify or interrupt it.

    Blocking a thread of the executor is deliberate: until Kilted, rclpy polls a coroutine that awaits a future in a
    busy loop.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._interruption: InterruptionError | None = None

    def interrupt(self, outcome: int, message: str) -> None:
        """End the current wait and every later one. The first interruption is the one that is reported."""
        with self._condition:
            if self._interruption is None:
                self._interruption = InterruptionError(outcome, message)
            self._condition.notify_all()

    def notify(self) -> None:
        """Let the waiting thread look again."""
        with self._condition:
            self._condition.notify_all()

    def is_interrupted(self) -> bool:
        """Whether the task has been interrupted."""
        return self._interruption is not None

    def check(self) -> None:
        """Raise InterruptionError if the task has been interrupted."""
        if self._interruption is not None:
            raise self._interruption

    def wait_for(self, look: Callable[[], T | None], timeout: float) -> T:
        """The first value other than None or False that ``look`` returns; it is called on each notification.

        Time in which the process stands still is not waited: what came meanwhile is still to be heard.

        Raises:
            InterruptionError: at once when the task is interrupted.
            TimeoutError: after ``timeout`` seconds.
        """
        found: T | None = None

        def seen() -> bool:
            nonlocal found
            if self._interruption is not None:
                return True
            found = look()
            return found is not None and found is not False

        awake = AwakeClock(2.0 * LONGEST_SLICE)
        ends = awake.now() + timeout
        with self._condition:
            while not seen() and (left := ends - awake.now()) > 0.0:
                self._condition.wait(min(left, LONGEST_SLICE))
        self.check()
        if found is None or found is False:
            raise TimeoutError(f"nothing within {timeout:.1f} s")
        return found

    def result_of(self, future: FutureLike, timeout: float) -> Any:
        """Result of a future, whose exception is raised here.

        Raises:
            InterruptionError, TimeoutError: as :meth:`wait_for`.
        """
        future.add_done_callback(lambda _: self.notify())
        self.wait_for(future.done, timeout)
        return future.result()
