"""Runs in which something goes wrong, counted by how the policy and the world say that they ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_diffuser_ros.bench.endings import (
    EndingsSetting,
    RunEnded,
    measure_endings,
    read_mishap,
    summarised,
    trials_of,
)
from mini_diffuser_ros.running import Ending
from mini_diffuser_ros.simulation.mishaps import Mishap

SHIPPED = Path(__file__).parents[2] / "models" / "tabletop"


def ended(ending: Ending, success: bool) -> RunEnded:
    return RunEnded(Mishap.TAKEN_AWAY, "stack_blocks", True, success, ending, 6)


def test_what_must_not_happen_is_counted_apart() -> None:
    runs = [
        ended(Ending.TERMINATED, True),
        ended(Ending.TERMINATED, False),
        ended(Ending.NOT_CONFIRMED, False),
        ended(Ending.NOT_CONFIRMED, True),
        ended(Ending.FAILED, False),
    ]
    row = summarised(runs, "taken away", "stack_blocks")
    assert (row.runs, row.success, row.terminated, row.terminated_failed) == (5, 2, 2, 1)
    assert (row.not_confirmed, row.not_confirmed_succeeded, row.other) == (2, 1, 1)
    assert row.low < row.share == 0.2 < row.high


def test_a_mishap_that_is_none_is_refused() -> None:
    assert read_mishap(" short press") is Mishap.SHORT_PRESS
    with pytest.raises(ValueError, match="no mishap 'long press', there are: none, slip at lift"):
        read_mishap("long press")


def test_no_layout_is_counted_twice() -> None:
    setting = EndingsSetting(mishaps=(Mishap.LANDS_BESIDE, Mishap.TAKEN_AWAY, Mishap.SHORT_PRESS), episodes=4, seed=70)
    layouts = [(trial.task, trial.seed) for mishap in setting.mishaps for trial in trials_of(setting, mishap)]
    assert len(layouts) == 4 * (2 + 2 + 1)
    assert len(set(layouts)) == len(layouts)
    assert min(seed for _, seed in layouts) == setting.seed


@pytest.mark.skipif(not (SHIPPED / "knowledge.safetensors").is_file(), reason="a policy has to know how its tasks end")
def test_what_is_taken_away_is_put_there_again() -> None:
    setting = EndingsSetting(checkpoint=SHIPPED, mishaps=(Mishap.TAKEN_AWAY,), episodes=1, seed=300000)
    bowl, stack, both = measure_endings([setting])
    assert (both.befell, both.terminated_failed) == (2, 0)
    assert (bowl.success, stack.success) == (1, 1)
    assert stack.keyframes > 6
