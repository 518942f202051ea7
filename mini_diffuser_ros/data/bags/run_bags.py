"""A bag for each run, of messages that come from other threads and must not wait for a disk."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.health import Health, HealthLevel

FLUSH_PERIOD = 1.0  # seconds between flushes: what a kill takes at most
LEAD = 2.0  # seconds before a run of which small messages go into its bag
SMALL = 65_536  # bytes; larger ones are images and clouds
RESERVE = 1.25  # of the memory that small messages may fill, so that decisions outlast images
MOST_OPEN = 3  # bags at a time: a sentence may come while the last one's bag still waits for its end
MOST_STATES = 256  # messages of latched topics, e.g. one of each broadcaster of /tf_static


@dataclass(frozen=True)
class Received:
    """A message as it came.

    Attributes:
        channel: its topic.
        data: CDR.
        stamp: nanoseconds of the clock that stamps are of.
        is_state: it is told to whoever comes late, too.
    """

    channel: Channel
    data: bytes
    stamp: int
    is_state: bool = False


@dataclass(eq=False)
class _Open:
    writer: BagWriter
    ends: float | None = None  # steady seconds; None while its run goes on


class RunBags:
    """Writes what it gets into the bags that are open, in a thread of its own, in the order in which it came.

    Args:
        folder: for the bags, made when the first one is begun.
        about: what is said in each bag about where it comes from.
        tail: seconds after the end of a run that still go into its bag: the keyframe that it led to is looked at then.
        memory: bytes that may wait for the disk; what does not fit is dropped, and counted.
        on_end: called with a line about each bag that has ended.
    """

    def __init__(
        self, folder: Path, about: Mapping[str, str], tail: float, memory: int, on_end: Callable[[str], None]
    ) -> None:
        self._folder, self._about, self._tail, self._memory, self._on_end = folder, about, tail, memory, on_end
        self._queue: SimpleQueue[Received | Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # bytes
        self._dropped: Counter[str] = Counter()  # of the newest run, by topic
        self._open: list[_Open] = []
        self._states: dict[tuple[str, bytes], Received] = {}
        self._recent: deque[Received] = deque()
        self._problem = ""
        self._last = "waits for a sentence"
        self._thread = threading.Thread(target=self._work, name="bags", daemon=True)
        self._thread.start()

    def take(self, message: Received) -> None:
        """A message for the bags; returns at once."""
        allowed = self._memory * (RESERVE if len(message.data) <= SMALL else 1.0)
        with self._lock:
            if self._waiting + len(message.data) > allowed:
                self._dropped[message.channel.topic] += 1
                return
            self._waiting += len(message.data)
        self._queue.put(message)

    def begin(self, name: str) -> None:
        """A run begins with the message that is taken next; ``name`` is part of its file's."""
        self._queue.put(lambda: self._begin(name))

    def end(self) -> None:
        """The newest run has ended."""
        self._queue.put(self._end)

    def close(self, timeout: float) -> None:
        """Write what waits and end all bags; waits for it up to ``timeout`` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)

    def health(self) -> Health:
        """For diagnostics."""
        with self._lock:
            dropped, waiting = dict(self._dropped), self._waiting
        values: dict[str, float | str] = {"waiting (MB)": waiting / 1e6, "dropped": float(sum(dropped.values()))}
        if self._problem:
            return Health(HealthLevel.ERROR, self._problem, values)
        if dropped:
            return Health(HealthLevel.WARN, f"{self._last}; {_told(dropped)}", values)
        return Health(HealthLevel.OK, self._last, values)

    # In the thread

    def _work(self) -> None:
        flushed = time.monotonic()
        going = True
        while going:
            try:
                item = self._queue.get(timeout=FLUSH_PERIOD / 4.0)
            except Empty:
                item = _nothing
            if isinstance(item, Received):
                self._write(item)
            elif item is not None:
                item()
            else:
                going = False
            now = time.monotonic()
            if now - flushed >= FLUSH_PERIOD:
                flushed = now
                self._each(BagWriter.flush)
            for bag in [bag for bag in self._open if not going or (bag.ends is not None and now >= bag.ends)]:
                self._finish(bag)

    def _write(self, message: Received) -> None:
        with self._lock:
            self._waiting -= len(message.data)
        self._each(lambda writer: writer.add(message.channel, message.data, message.stamp))
        self._remember(message)

    def _remember(self, message: Received) -> None:
        """What a later bag begins with: the states that hold, and the last seconds of what is small."""
        if message.is_state:
            key = (message.channel.topic, message.data)
            self._states.pop(key, None)
            self._states[key] = message
            while len(self._states) > MOST_STATES:
                del self._states[next(iter(self._states))]
        elif len(message.data) <= SMALL:
            self._recent.append(message)
        oldest = message.stamp - int(LEAD * 1e9)
        # A clock that was set back leaves messages of a time to come: none of them is of the last seconds.
        while self._recent and not oldest <= self._recent[0].stamp <= message.stamp:
            self._recent.popleft()

    def _begin(self, name: str) -> None:
        for bag in self._open[: 1 - MOST_OPEN]:
            self._finish(bag)
        with self._lock:
            self._dropped.clear()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            writer = self._new(name)
        except (OSError, DataError) as error:
            self._problem = f"the run is not recorded: {one_line(error)}"
            return
        self._problem, self._last = "", f"writing {writer.path}"
        self._open.append(_Open(writer))
        kept = sorted((*self._states.values(), *self._recent), key=lambda message: message.stamp)
        self._each_of(self._open[-1:], lambda one: _add_all(one, kept))

    def _new(self, name: str) -> BagWriter:
        start = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{name}"
        for count in range(1, 1000):
            path = self._folder / (f"{start}.mcap" if count == 1 else f"{start}_{count}.mcap")
            try:
                return BagWriter(path, self._about)
            except FileExistsError:
                continue
        raise DataError(f"{self._folder} holds a thousand bags of this second")

    def _end(self) -> None:
        for bag in self._open[-1:]:
            bag.ends = time.monotonic() + self._tail

    def _finish(self, bag: _Open) -> None:
        self._each_of([bag], BagWriter.close)
        if bag in self._open:  # or it was given up
            self._open.remove(bag)
            with self._lock:
                dropped = dict(self._dropped)
            size = bag.writer.path.stat().st_size
            self._last = f"wrote {bag.writer.path}, {size / 1e6:.1f} MB" + (f"; {_told(dropped)}" if dropped else "")
        self._on_end(self._problem or self._last)

    def _each(self, act: Callable[[BagWriter], None]) -> None:
        self._each_of(list(self._open), act)

    def _each_of(self, bags: list[_Open], act: Callable[[BagWriter], None]) -> None:
        """Do something with bags; one that cannot be written is given up, and said to be."""
        for bag in bags:
            try:
                act(bag.writer)
            except OSError as error:
                if bag in self._open:
                    self._open.remove(bag)
                bag.writer.abandon()
                self._problem = f"{bag.writer.path} ends early: {error.strerror or one_line(error)}"


def _add_all(writer: BagWriter, messages: list[Received]) -> None:
    for message in messages:
        writer.add(message.channel, message.data, message.stamp)


def _nothing() -> None:
    """Nothing has come."""


def _told(dropped: Mapping[str, int]) -> str:
    topics = ", ".join(f"{count} of {topic}" for topic, count in sorted(dropped.items()))
    return f"the disk is too slow: not recorded are {topics}"
