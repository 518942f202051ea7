"""Waits that end at once when they are interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError


class SettableFuture:
    """Done when it is told so."""

    def __init__(self) -> None:
        self.value: Any = None
        self.callbacks: list[Callable[[Any], None]] = []
        self.finished = False

    def done(self) -> bool:
        return self.finished

    def result(self) -> Any:
        return self.value

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.callbacks.append(callback)

    def set(self, value: Any) -> None:
        self.value, self.finished = value, True
        for callback in self.callbacks:
            callback(self)


def in_thread(action: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_a_result_that_comes_from_another_thread_ends_the_wait() -> None:
    token, future = CancellationToken(), SettableFuture()
    thread = in_thread(lambda: future.set(7))
    assert token.result_of(future, 30.0) == 7
    thread.join()


def test_an_interruption_from_another_thread_ends_the_wait_with_its_reason() -> None:
    token = CancellationToken()
    thread = in_thread(lambda: token.interrupt(3, "a stop was called"))
    with pytest.raises(InterruptionError, match="a stop was called") as caught:
        token.result_of(SettableFuture(), 30.0)
    assert caught.value.outcome == 3
    thread.join()


def test_the_first_interruption_is_the_one_that_counts_and_it_stays() -> None:
    token = CancellationToken()
    token.interrupt(1, "first")
    token.interrupt(2, "second")
    for _ in range(2):
        with pytest.raises(InterruptionError, match="first"):
            token.check()
    with pytest.raises(InterruptionError, match="first"):
        token.wait_for(lambda: True, 30.0)


def test_a_wait_for_nothing_times_out() -> None:
    with pytest.raises(TimeoutError):
        CancellationToken().wait_for(lambda: None, 0.01)


def test_what_was_looked_for_is_returned() -> None:
    assert CancellationToken().wait_for(lambda: "cloud", 1.0) == "cloud"
