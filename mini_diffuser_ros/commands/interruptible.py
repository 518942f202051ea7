"""Long work of a verb that Ctrl-C ends in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mini_diffuser_ros.support.cancellation import CancellationToken

T = TypeVar("T")


def interruptible(work: Callable[[], T], token: CancellationToken, canceled: int) -> T:
    """Do work in a thread of its own, so that the main thread stays free for Ctrl-C; what it returns or raises.

    Args:
        work: ends soon after the token is interrupted, as when a goal is canceled and the arm rests.
        token: interrupted by Ctrl-C; what the work makes of that is waited for.
        canceled: outcome of the interruption.
    """
    with ThreadPoolExecutor(max_workers=1) as executor:
        future = executor.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            token.interrupt(canceled, "canceled")
            return future.result()
