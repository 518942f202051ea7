"""SIGINT and SIGTERM shut all contexts down, so that every spin ends."""

from __future__ import annotations

import signal
import threading
from enum import IntEnum
from types import FrameType
from typing import Any

from rclpy import context as contexts


class SignalHandlerOptions(IntEnum):
    """Which signals rclpy handles."""

    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_previous: dict[int, Any] = {}


def _handle(number: int, frame: FrameType | None) -> None:
    for context in list(contexts._contexts):
        context._interrupt()
    previous = _previous.get(number)
    if callable(previous):
        previous(number, frame)


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Handle the signals; outside of the main thread there is nothing to handle them with."""
    if threading.current_thread() is threading.main_thread():
        for option in (SignalHandlerOptions.SIGINT, SignalHandlerOptions.SIGTERM):
            number = signal.Signals[option.name]
            if options & option and number not in _previous:
                _previous[number] = signal.signal(number, _handle)


def uninstall_signal_handlers() -> None:
    """Give the signals back to their former handlers."""
    if threading.current_thread() is threading.main_thread():
        for number in list(_previous):
            previous = _previous.pop(number)
            if signal.getsignal(number) is _handle:
                signal.signal(number, previous if previous is not None else signal.SIG_DFL)
