"""Each measurement in a process of its own, so that no peak of memory and no warm cache leaks into the next."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from tqdm import tqdm

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.workers import end_with_parent, spawning

Setting = TypeVar("Setting")
Row = TypeVar("Row")


def measure_each(measure: Callable[[Setting], Row], settings: Sequence[Setting]) -> Iterator[Row]:
    """The rows of settings, one after another, with a progress bar.

    Args:
        measure: a function of a module; it runs in a fresh process for each setting.
        settings: what it is called with.

    Raises:
        BenchError: the setting is refused, or the process ended without a row.
    """
    # Into a log file the bar writes a line now and then instead of one a measurement.
    interval = 0.1 if sys.stderr.isatty() else 15.0
    for setting in tqdm(settings, desc="measuring", mininterval=interval, disable=len(settings) < 2, leave=False):
        yield in_fresh_process(measure, setting)


def in_fresh_process(measure: Callable[[Setting], Row], setting: Setting) -> Row:
    """What ``measure(setting)`` returns in a new process.

    Raises:
        BenchError: as :func:`measure_each`.
    """
    context = spawning()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, measure, setting))
    process.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError:
        process.join()
        raise BenchError(_ending(process.exitcode, setting)) from None
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, BenchError):
        raise outcome
    row: Row = outcome
    return row


def _report(sender: Connection, measure: Callable[[Setting], Row], setting: Setting) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends this process
    end_with_parent()
    try:
        sender.send(measure(setting))
    except BenchError as error:
        sender.send(error)
    except ValueError as error:
        sender.send(BenchError(one_line(error)))
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        sender.send(BenchError(f"not enough memory for {setting}"))


def _lacks_memory(error: Exception) -> bool:
    words = str(error)
    return isinstance(error, MemoryError) or "out of memory" in words or "can't allocate memory" in words


def _ending(exitcode: int | None, setting: object) -> str:
    if exitcode == -signal.SIGKILL:
        return f"the measuring process was killed, most likely for want of memory: {setting}"
    return f"the measuring process ended with exit code {exitcode}: {setting}"
