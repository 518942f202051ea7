"""How long a training will take is said early, and is true."""

from datetime import datetime

import pytest

from mini_diffuser_ros.training.pace import TrainingPace


class Clock:
    """A steady clock that is moved by hand."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_resumed_training_is_judged_by_its_own_steps() -> None:
    clock = Clock()
    pace = TrainingPace(64, clock, lambda: datetime(2026, 3, 2, 23, 0))
    assert pace.seconds_left is None
    # 4000 of 10000 steps were there; the first step compiles for minutes
    clock.seconds += 300.0
    for step in range(4001, 4101):
        pace.note(step, step / 10000)
        clock.seconds += 0.5
    assert pace.steps_per_second == pytest.approx(2.0)
    assert pace.seconds_left == pytest.approx(5900 / 2.0)
    assert str(pace) == "2.00 steps/s, 128.0 scenes/s, 0:49:10 left, done at Mon 23:49"


def test_the_log_is_told_within_the_first_minute_and_then_now_and_then() -> None:
    clock, told = Clock(), []
    pace = TrainingPace(8, clock)
    for step in range(1, 1502):
        pace.note(step, step / 5000)
        if pace.is_due():
            told.append(step - 1)
        clock.seconds += 1.0
    assert told == [30, 630, 1230]
