"""What a training shows while it runs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

from mini_diffuser_ros.training.pace import TrainingPace

log = logging.getLogger(__name__)


class TrainingBar:
    """Share of the budget spent, losses, samples per second and time left, live.

    Args:
        scenes: of one step.
        shown: whether anything is.
        pause: seconds between two looks of it.
        stream: where it is written; standard error by default.
    """

    FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed} {postfix}"

    def __init__(self, scenes: int, shown: bool, pause: float | None = None, stream: TextIO | None = None) -> None:
        self._scenes = scenes
        self._pace = TrainingPace(scenes)
        if pause is None:
            pause = 0.2 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(
            total=1.0,
            desc="training",
            bar_format=self.FORMAT,
            mininterval=pause,
            # Left to itself tqdm waits for steps as large as the first, which of a resumed training is all before.
            miniters=0,
            file=stream,
            disable=not shown,
            dynamic_ncols=True,
        )
        self._last = time.perf_counter()
        self._interval = 0.0
        self._losses = ""

    def show(self, step: int, spent: float, losses: Mapping[str, float]) -> float:
        """Update; returns samples per second, smoothed."""
        now = time.perf_counter()
        interval, self._last = now - self._last, now
        self._interval = 0.9 * self._interval + 0.1 * interval if self._interval else interval
        parts = " ".join(f"{name} {value:.3f}" for name, value in losses.items() if name not in ("lr", "gradient"))
        rate = self._scenes / self._interval
        self._losses = parts
        self.reach(step, spent)
        if self._pace.is_due() and not self._bar.disable:
            log.info("step %d: %s", step, self._pace)
        return rate

    def reach(self, step: int, spent: float) -> None:
        """Show the share of the budget that is spent after a step, [0, 1]."""
        self._pace.note(step, spent)
        self._bar.set_postfix_str(f"step {step}, {self._pace} {self._losses}", refresh=False)
        self._bar.update(spent - self._bar.n)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()
