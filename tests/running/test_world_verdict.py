"""Which runs the simulated world confirms."""

from __future__ import annotations

import pytest

from mini_diffuser_ros.running.world_verdict import WorldVerdicts

SENTENCE = "put the lemon in the bowl"


def test_a_run_is_confirmed_by_a_success_that_comes_after_its_beginning_and_only_then() -> None:
    world = WorldVerdicts()
    world.hear_done(False)
    first = world.begin(SENTENCE)
    assert not first.confirms
    world.hear_done(True)
    assert first.confirms
    second = world.begin(SENTENCE)
    world.hear_done(True)  # told again, to whoever came late
    assert first.confirms
    assert not second.confirms
    world.hear_done(False)
    assert first.confirms
    assert not second.confirms
    world.hear_done(True)
    assert second.confirms


def test_a_success_of_the_last_run_that_comes_late_is_taken_back() -> None:
    world = WorldVerdicts()
    world.hear_done(False)
    world.begin(SENTENCE)
    second = world.begin(SENTENCE)
    world.hear_done(True)
    world.hear_done(False)  # as the world hears of the second
    assert not second.confirms


@pytest.mark.parametrize(("judged", "confirms"), [(SENTENCE, True), ("press the blue button", False), ("", False)])
def test_a_world_that_names_the_sentence_confirms_no_other(judged: str, confirms: bool) -> None:
    world = WorldVerdicts()
    world.hear_done(False)
    run = world.begin(SENTENCE)
    world.hear_judged(judged)
    world.hear_done(True)
    assert run.confirms is confirms


def test_what_was_done_before_anybody_listened_is_of_no_run() -> None:
    world = WorldVerdicts()
    run = world.begin(SENTENCE)
    world.hear_done(True)
    assert not run.confirms
