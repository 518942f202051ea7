"""Messages of several topics that belong together: a part of pocketros."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from pocketros.errors import left_out
from rclpy.clock import ROSClock
from rclpy.logging import get_logger
from rclpy.time import Time

# ruff: noqa: N802 - the names are those of message_filters


class SimpleFilter:
    """Passes messages on to callbacks."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:
        """Call `cb(*messages, *args)` for each message, or set of messages."""
        self.callbacks[len(self.callbacks)] = (cb, args)
        return len(self.callbacks) - 1

    def signalMessage(self, *msg: Any) -> None:
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a source of messages: Subscriber(node, type, topic, qos_profile=...)."""

    def __init__(self, node: Any, msg_type: Any, topic: str, *, qos_profile: Any = 10, **options: Any) -> None:
        super().__init__()
        self.node, self.topic = node, topic
        self.sub = node.create_subscription(msg_type, topic, self.signalMessage, qos_profile, **options)

    def getTopic(self) -> str:
        return self.topic


class TimeSynchronizer(SimpleFilter):
    """Passes on sets of messages with the same stamp.

    Args:
        fs: the filters whose messages belong together.
        queue_size: how many messages of each are kept.
    """

    slop, allow_headerless = 1, False  # nanoseconds, below which the stamps of a set must differ

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size, self.lock, self._clock = queue_size, threading.Lock(), ROSClock()
        self.queues: list[dict[int, Any]] = []
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        self.queues = [{} for _ in fs]
        pairs = zip(fs, self.queues, strict=True)
        self.input_connections = [f.registerCallback(self.add, queue, i) for i, (f, queue) in enumerate(pairs)]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Take a message in, and pass on the set that it completes, of the messages nearest to it in time."""
        if not (has_header := hasattr(msg, "header")) and not self.allow_headerless:
            hint = "pass allow_headerless=True to use the time of their arrival"
            get_logger("message_filters").warning(f"cannot filter messages without stamps; {hint}", once=True)
            return
        stamp = (Time.from_msg(msg.header.stamp) if has_header else self._clock.now()).nanoseconds
        with self.lock:
            my_queue[stamp] = msg
            while len(my_queue) > self.queue_size:
                del my_queue[min(my_queue)]
            near = [
                sorted((one for one in queue if abs(one - stamp) < self.slop), key=lambda one: abs(one - stamp))
                if queue is not my_queue
                else [stamp]
                for queue in self.queues
            ]
            sets = (one for one in product(*near) if max(one) - min(one) < self.slop)
            if stamp not in my_queue or (chosen := next(sets, None)) is None:
                return
            messages = [queue.pop(one) for queue, one in zip(self.queues, chosen, strict=True)]
        self.signalMessage(*messages)


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Passes on sets of messages whose stamps differ by less than `slop` seconds.

    Args:
        allow_headerless: whether messages without a header count by the time of their arrival.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        self.slop, self.allow_headerless = int(slop * 10**9), allow_headerless
        super().__init__(fs, queue_size)


__getattr__ = left_out(__name__)
