"""Messages of several topics that belong together: a part of rosless."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger

NANOSECONDS = 10**9


class SimpleFilter:
    """Passes messages on to callbacks."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:  # noqa: N802 - message_filters' names
        """Call `cb(message, *args)` for each message."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:  # noqa: N802
        """Pass a message, or a set of messages, on."""
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a source of messages: Subscriber(node, type, topic, qos_profile=...)."""

    def __init__(self, node: Any, msg_type: Any, topic: str, *, qos_profile: Any = 10, **options: Any) -> None:
        super().__init__()
        self.node, self.topic = node, topic
        self.sub = node.create_subscription(msg_type, topic, self.signalMessage, qos_profile, **options)

    def getTopic(self) -> str:  # noqa: N802
        return self.topic


def _stamp(message: Any) -> int | None:
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    return None if stamp is None else stamp.sec * NANOSECONDS + stamp.nanosec


class TimeSynchronizer(SimpleFilter):
    """Passes on sets of messages with the same stamp.

    Args:
        fs: the filters whose messages belong together.
        queue_size: how many messages of each are kept.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.queues: list[dict[int, Any]] = []
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:  # noqa: N802
        """Take messages from filters."""
        self.queues = [{} for _ in fs]
        for source, queue in zip(fs, self.queues, strict=True):
            source.registerCallback(self.add, queue)

    def _stamp_of(self, message: Any) -> int | None:
        stamp = _stamp(message)
        if stamp is None:
            get_logger("message_filters").warning(
                "cannot use message filters with non-stamped messages; pass allow_headerless=True to use the time of "
                "their arrival",
                once=True,
            )
        return stamp

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Take a message in, and pass on the sets that it completes."""
        stamp = self._stamp_of(msg)
        if stamp is None:
            return
        with self.lock:
            my_queue[stamp] = msg
            while len(my_queue) > self.queue_size:
                del my_queue[min(my_queue)]
            chosen = self._match(stamp)
            if chosen is None:
                return
            messages = [queue[one] for queue, one in zip(self.queues, chosen, strict=True)]
            for queue, one in zip(self.queues, chosen, strict=True):
                for old in [key for key in queue if key <= one]:
                    del queue[old]
        self.signalMessage(*messages)

    def _match(self, stamp: int) -> list[int] | None:
        """The stamps of a complete set around a new one."""
        return [stamp] * len(self.queues) if all(stamp in queue for queue in self.queues) else None


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Passes on sets of messages whose stamps differ by less than `slop` seconds.

    Args:
        allow_headerless: whether messages without a header count by the time of their arrival.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        self.slop = int(slop * NANOSECONDS)
        self.allow_headerless = allow_headerless
        self._clock = ROSClock()
        super().__init__(fs, queue_size)

    def _stamp_of(self, message: Any) -> int | None:
        if _stamp(message) is None and self.allow_headerless:
            return self._clock.now().nanoseconds
        return super()._stamp_of(message)

    def _match(self, stamp: int) -> list[int] | None:
        chosen = []
        for queue in self.queues:
            stamps = sorted(queue)
            position = bisect_left(stamps, stamp)
            near = stamps[max(position - 1, 0) : position + 1]
            if not near:
                return None
            chosen.append(min(near, key=lambda one: abs(one - stamp)))
        return chosen if max(chosen) - min(chosen) <= self.slop else None


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("message_filters", name)
