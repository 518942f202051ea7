"""Hearing for the page: a message that cannot be read is one line, and the page goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.node import Node

from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.viewing.live.run_state import LONGEST, RunState

T = TypeVar("T")
AGAIN_AFTER = 60.0  # seconds that a topic was well before its next fault is said


class ReadableTopics:
    """Subscriptions whose messages may be anything: others publish them, and the page is not to end of them.

    A fault is said once, in the log and on the page, with the topic and what is wrong; a topic that goes on so is
    quiet then, until it was well for AGAIN_AFTER seconds.

    Args:
        node: that listens.
        state: of the page, for the line.
    """

    def __init__(self, node: Node, state: RunState) -> None:
        self._node, self._state = node, state
        self._faulty: dict[str, float] = {}  # topics, and when their last fault was, seconds of the steady clock

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
            now, before = time.monotonic(), self._faulty.get(source, -float("inf"))
            self._faulty[source] = now
            if now - before > AGAIN_AFTER:
                what = one_line(error) if isinstance(error, UserError) else f"{type(error).__name__}: {one_line(error)}"
                line = f"{source} cannot be read: {what}"[:LONGEST]
                self._node.get_logger().warning(line)
                self._state.note(line)
            return None
