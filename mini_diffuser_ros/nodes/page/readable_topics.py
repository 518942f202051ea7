"""Hearing for the page: a message that cannot be read is one line, and the page goes on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.node import Node

from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.viewing.live.run_state import LONGEST, RunState

T = TypeVar("T")
AGAIN_AFTER = 60.0  # seconds without a fault before it is said again
MOST_KINDS = 200  # of faults that are told apart; texts of others can be anything


class ReadableTopics:
    """Subscriptions whose messages may be anything: others publish them, and the page is not to end of them.

    A fault is said once, in the log and on the page, with the topic and what is wrong; where it goes on it is not said
    again, until it was away for AGAIN_AFTER seconds. Faults that differ in numbers alone are the same one.

    Args:
        node: that listens.
        state: of the page, for the line.
    """

    def __init__(self, node: Node, state: RunState) -> None:
        self._node, self._state = node, state
        # Topics and texts without their numbers, and when they came last, seconds of the steady clock.
        self._faulty: dict[tuple[str, str], float] = {}

    def subscribe(self, kind: type, topic: str, take: Callable[[Any], object], qos: Any, group: Any) -> Any:
        """A subscription whose messages are taken as :meth:`read` does."""

        def take_if_readable(message: Any) -> None:
            self.read(topic, lambda: take(message))

        return self._node.create_subscription(kind, topic, take_if_readable, qos, callback_group=group)

    def read(self, source: str, take: Callable[[], T]) -> T | None:
        """What comes of taking what a topic, or somebody else, has given; where that raises, a line and None."""
        try:
            return take()
        except Exception as error:  # of a message that nobody has thought of, neither
            what = one_line(error) if isinstance(error, UserError) else f"{type(error).__name__}: {one_line(error)}"
            fault = source, re.sub(r"\d+", "#", what)
            if fault not in self._faulty and len(self._faulty) >= MOST_KINDS:
                fault = source, ""
            now, before = time.monotonic(), self._faulty.get(fault, -float("inf"))
            self._faulty[fault] = now
            if now - before > AGAIN_AFTER:
                line = f"{source} cannot be read: {what}"[:LONGEST]
                self._node.get_logger().warning(line)
                self._state.note(line)
            return None
