"""A bag, played to whoever listens as if its messages came now: by its own clock, as fast as they are taken."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.time import Time as ClockTime
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, ExtrapolationException, TransformException

from mini_diffuser_ros.data.bags.reader import BagMessage, read_bag
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.nodes.bags.message_types import message_of, type_name
from mini_diffuser_ros.nodes.ros.messages import NANOSECONDS, matrix_from_transform
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.support.errors import one_line

T = TypeVar("T")

LATE = 5.0  # seconds by which a message may be stamped before others that were written earlier, as latched ones are
CLOCK = "/clock"


class BagPlayer:
    """Stands for a node, for the waits of its callbacks and for its jobs: who waits lets the bag go on meanwhile.

    There is one thread, so that the same bag always gives the same. A MessageSource, a Waiting and a Jobs.

    Args:
        path: of the bag, as ``read_bag`` takes it.
        namespace: that names without a leading ``/`` are in, e.g. ``/left``; empty for none.
        cut_off: as of ``read_bag``.
        places: first part of names to what stands for it in the bag, e.g. ``front`` to ``/camera/front``.

    Attributes:
        log: what was said.
        stamp: nanoseconds, when the last message came, by the clock of whoever recorded.
        start: nanoseconds, of the first message.
    """

    def __init__(
        self, path: Path, namespace: str = "", cut_off: bool = False, places: Mapping[str, str] | None = None
    ) -> None:
        self._path, self._namespace, self._cut_off = path, namespace.rstrip("/"), cut_off
        self._places = places or {}
        self.log = BagLog()
        self.stamp = self.start = 0
        self._clock: int | None = None  # of /clock, where there is one
        self._callbacks: dict[str, list[tuple[str, Callable[[Any], object]]]] = defaultdict(list)
        self._jobs: deque[Callable[[], object]] = deque()
        self._messages: Iterator[BagMessage] | None = None
        self.create_subscription(Clock, CLOCK, self._on_clock, 10)

    # A MessageSource

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., Any], qos_profile: Any, *, callback_group: Any = None
    ) -> None:
        """Have each message of a topic handed to ``callback``; before :meth:`play` begins."""
        self._callbacks[self.resolve_topic_name(topic)].append((type_name(msg_type), callback))

    def resolve_topic_name(self, topic: str) -> str:
        """Whole name of a topic."""
        if topic.startswith("/"):
            return topic
        first, *rest = topic.split("/")
        return "/".join((self._places.get(first, f"{self._namespace}/{first}"), *rest))

    def get_clock(self) -> BagPlayer:
        """This."""
        return self

    def now(self) -> ClockTime:
        """The time that stamps are of."""
        return ClockTime(nanoseconds=self.stamp if self._clock is None else self._clock)

    def get_logger(self) -> BagLog:
        """What remembers what was said."""
        return self.log

    def seconds(self) -> float:
        """Seconds of the steady clock: by it, messages were received."""
        return self.stamp / NANOSECONDS

    # A Waiting

    def wait_for(self, look: Callable[[], T | None], timeout: float) -> T:
        """The first value other than None or False that ``look`` returns.

        Raises:
            TimeoutError: after ``timeout`` seconds of the bag, or at its end.
            DataError: as of :meth:`play`.
        """
        ends = self.seconds() + timeout
        while not (found := look()):
            if self.seconds() > ends or not self._step():
                raise TimeoutError(f"nothing within {timeout:.1f} s")
        return found

    def notify(self) -> None:
        """Whoever waits looks at each message anyhow."""

    # A Jobs

    def put(self, job: Callable[[], object]) -> None:
        """Do this when the jobs before it are done."""
        self._jobs.append(job)

    def play(self) -> Iterator[float]:
        """Hand out all messages, and do what they give to do.

        Yields:
            seconds of the bag so far.

        Raises:
            DataError: as of ``read_bag`` and ``message_of``; or the bag's time runs back.
        """
        goes_on = True
        while goes_on or self._jobs:
            while self._jobs:
                self._jobs.popleft()()
            goes_on = self._step()
            yield (self.stamp - self.start) / NANOSECONDS

    def _step(self) -> bool:
        """Hand out the next message; False if there is none."""
        if self._messages is None:
            self._messages = read_bag(self._path, set(self._callbacks), cut_off=self._cut_off)
        message = next(self._messages, None)
        if message is None:
            return False
        self._go_to(message)
        callbacks = self._callbacks[message.channel.topic]
        for expected, _ in callbacks:
            if message.channel.type_name != expected:
                raise DataError(
                    f"{self._path}: {message.channel.topic} holds {message.channel.type_name}, expected {expected}"
                )
        try:
            decoded = message_of(message)
        except DataError as error:
            raise DataError(f"{self._path}: {error}") from error
        for _, callback in callbacks:
            callback(decoded)
        return True

    def _go_to(self, message: BagMessage) -> None:
        if not self.start:
            self.start = self.stamp = message.stamp
        back = (self.stamp - message.stamp) / NANOSECONDS
        if back > LATE:
            raise DataError(
                f"{self._path}: its time runs back by {back:.1f} s at {message.channel.topic}, "
                f"{(self.stamp - self.start) / NANOSECONDS:.1f} s after its beginning: a clock was set, or several "
                "recordings were joined; cut it there and import the parts"
            )
        self.stamp = max(self.stamp, message.stamp)

    def _on_clock(self, message: Clock) -> None:
        self._clock = message.clock.sec * NANOSECONDS + message.clock.nanosec


class BagLog:
    """Keeps the last line of each severity.

    Attributes:
        last_warning, last_error: empty if there is none.
    """

    def __init__(self) -> None:
        self.last_warning = self.last_error = ""

    def info(self, message: str, **_: Any) -> None:
        """Something was done."""

    def warning(self, message: str, **_: Any) -> None:
        """Something is not as it should be."""
        self.last_warning = message

    def error(self, message: str, **_: Any) -> None:
        """Something was refused."""
        self.last_error = message


class BagFrames:
    """TF of a bag, by the bag's time.

    Args:
        player: of the bag.
        timeout: seconds of the bag to wait for a transform of the wanted time.
        fixed: transforms that hold where the bag has none of their frames.
    """

    def __init__(self, player: BagPlayer, timeout: float, fixed: TFMessage | None = None) -> None:
        self._player, self._timeout = player, timeout
        self._buffer = Buffer()
        if fixed is not None:
            self._take_static(fixed)
        player.create_subscription(TFMessage, "/tf", self._take, 100)
        player.create_subscription(TFMessage, "/tf_static", self._take_static, 100)

    def parent_from_child(self, parent: str, child: str, stamp: Time) -> NDArray[np.float64]:
        """(4, 4) pose of the frame ``child`` in ``parent`` at ``stamp``, as :class:`FrameLookup` has it.

        Raises:
            NodeError: naming both frames, the time, what tf2 says and what to do.
        """
        if not child:
            raise NodeError("images have no header.frame_id; it must name the camera's optical frame")
        when = ClockTime.from_msg(stamp)
        try:
            try:
                transform = self._buffer.lookup_transform(parent, child, when)
            except ExtrapolationException:  # it may be yet to come
                with suppress(TimeoutError):
                    self._player.wait_for(lambda: self._buffer.can_transform(parent, child, when), self._timeout)
                transform = self._buffer.lookup_transform(parent, child, when)
        except TransformException as error:
            raise NodeError(
                f"the bag has no TF from '{parent}' to '{child}' at {stamp.sec}.{stamp.nanosec:09d}: "
                f"{one_line(error)}; record /tf and /tf_static too"
            ) from error
        return matrix_from_transform(transform.transform)

    def _take(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform(transform, "bag")

    def _take_static(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, "bag")
