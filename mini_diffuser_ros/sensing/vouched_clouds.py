"""Whose clouds are listened to: those of which perception says that it made them, and nobody else's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Message = TypeVar("Message")

KNOWN = 128  # newest digests that perception has vouched for
WAITING = 64  # clouds that may wait for a word of perception
GRACE = 0.3  # seconds from a cloud's arrival after which words of perception that leave it out say it is not its own
HELD = 2.0  # seconds after its last cloud for which a stranger counts as there


@dataclass(frozen=True)
class _Waiting(Generic[Message]):
    digest: int
    arrived: float
    words: int  # of perception, that had been heard before
    message: Message


class VouchedClouds(Generic[Message]):
    """Tells clouds of perception from those of anybody else on their topic, by their content.

    Perception says with each of its beats which clouds it has published last, by their digests; a cloud is used once
    it has. Names in a graph would not do: who was killed stands there for a while. While no perception has ever been
    heard, as where clouds come from a program of somebody's own, all of them are used.

    A word may have been said long before it is heard, where whoever listens had no time: those that may have waited
    tell nothing of a cloud that came while they did.

    Times are seconds of the steady clock.

    Args:
        queue: words of perception that may wait to be heard.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._words = 0  # heard so far
        self._known: deque[int] = deque(maxlen=KNOWN)
        self._waiting: deque[_Waiting[Message]] = deque(maxlen=WAITING)
        self._strange_at = -float("inf")
        self.is_bound = False
        """Whether a perception has been heard, so that clouds count only by its word."""

    def take(self, digest: int, message: Message, steady: float) -> Message | None:
        """The message if its cloud can be used at once; else it waits for a word of perception."""
        if not self.is_bound or digest in self._known:
            return message
        if len(self._waiting) == WAITING:  # in less than the grace: nobody who looks at pictures makes so many
            self._strange_at = steady
        self._waiting.append(_Waiting(digest, steady, self._words, message))
        return None

    def vouch(self, digests: Iterable[int], steady: float) -> Message | None:
        """Perception has published clouds of these digests. The newest that has waited for that, if one has."""
        self.is_bound = True
        self._words += 1
        self._known.extend(digest for digest in digests if digest not in self._known)
        newest, waiting = None, list(self._waiting)
        self._waiting.clear()
        for one in waiting:
            if one.digest in self._known:
                newest = one.message
            elif steady - one.arrived > GRACE and self._words - one.words > self._queue:
                self._strange_at = steady
            else:
                self._waiting.append(one)
        return newest

    def has_stranger(self, steady: float) -> bool:
        """Whether somebody else has published clouds lately."""
        return steady - self._strange_at <= HELD
