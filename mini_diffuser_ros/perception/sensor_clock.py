"""When an image was taken, for cameras whose clock is not the computer's."""

from __future__ import annotations

from collections import deque

WINDOW = 10.0  # seconds: long enough to meet an image that was not delayed, short against the drift of quartzes


class SensorClock:
    """Tells a sensor's time in terms of the receiver's clock.

    An image arrives some time after its stamp, never before it. The least difference of late is therefore the offset
    between the clocks and the shortest way of an image; what is more is delay. Stamps come out late by that shortest
    way, a few milliseconds.
    """

    def __init__(self) -> None:
        self._offsets: deque[tuple[float, float]] = deque()  # received at, offset; offsets increase
        self._last = float("-inf")

    def to_receiver(self, stamp: float, received: float) -> float:
        """When the image was taken, in seconds of the receiver's clock.

        Args:
            stamp: seconds on the sensor's clock.
            received: seconds on the receiver's, when the image arrived.
        """
        if stamp < self._last:
            # Set back: the camera was started anew, or a recording was.
            self._offsets.clear()
        self._last = stamp
        offset = received - stamp
        while self._offsets and self._offsets[-1][1] >= offset:
            self._offsets.pop()
        self._offsets.append((received, offset))
        while received - self._offsets[0][0] > WINDOW:
            self._offsets.popleft()
        return stamp + self._offsets[0][1]
