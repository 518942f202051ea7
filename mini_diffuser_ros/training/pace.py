"""How fast a training goes, and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

FIRST_TOLD, TOLD_EVERY = 30.0, 600.0
"""Seconds of training until the pace is told to the log, and between two times."""


class TrainingPace:
    """Steps and scenes a second, and the time that is left of the budget, by the steps of this session alone.

    Args:
        scenes: of one step.
        clock: steady, seconds.
        today: the time of day.
    """

    def __init__(
        self, scenes: int, clock: Callable[[], float] = time.monotonic, today: Callable[[], datetime] = datetime.now
    ) -> None:
        self._scenes, self._clock, self._today = scenes, clock, today
        self._began: tuple[float, int, float] | None = None
        self._last = (0.0, 0, 0.0)
        self._told = FIRST_TOLD - TOLD_EVERY

    def note(self, step: int, spent: float) -> None:
        """A step has ended.

        Args:
            step: its number.
            spent: share in [0, 1] of the budget that is used up.
        """
        self._last = self._clock(), step, spent
        # From the first step's end: what only it takes, compilation above all, says nothing of the others.
        self._began = self._began or self._last

    @property
    def steps_per_second(self) -> float:
        """Zero until two steps have ended."""
        seconds, steps, _ = self._since_began()
        return steps / seconds if seconds > 0.0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Of the budget, in seconds or steps, whichever ends first; None until it can be told."""
        seconds, _, spent = self._since_began()
        return seconds * (1.0 - self._last[2]) / spent if spent > 0.0 else None

    def is_due(self) -> bool:
        """Whether the log is to be told now; true once half a minute has gone, then every ten minutes."""
        seconds, steps, _ = self._since_began()
        if not steps or seconds - self._told < TOLD_EVERY:
            return False
        self._told = seconds
        return True

    def __str__(self) -> str:
        rate = self.steps_per_second
        text = f"{rate:.2f} steps/s, {rate * self._scenes:.1f} scenes/s"
        if (left := self.seconds_left) is None:
            return text
        span = timedelta(seconds=round(left))
        return f"{text}, {span} left, done at {self._today() + span:%a %H:%M}"

    def _since_began(self) -> tuple[float, int, float]:
        if self._began is None:
            return 0.0, 0, 0.0
        (now, step, spent), (then, first, before) = self._last, self._began
        return now - then, step - first, spent - before
