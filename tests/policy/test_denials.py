"""A sentence that denies is refused, however near it is to one that was taught."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy.denials import Denials
from mini_diffuser_ros.policy.knowledge.facts import SentenceFamiliarity

TAUGHT = ("press the red button", "put the lime in the bowl", "would you mind pressing red?")
DENIALS = Denials(TAUGHT)


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("don't press the red button", "don't"),
        ("Under NO circumstances, and never, press the red button", "never"),
        ("I would rather you DIDN\N{RIGHT SINGLE QUOTATION MARK}T put the lime in the bowl", "didn't"),
        ("stop pressing the red button", "stop"),
        ("won't you stop putting the lime in the bowl", "stop"),
        ("put the lime in the bowl without touching it", "without"),
        ("why don't you not press red", "not"),
        ("forget about the lime in the bowl", "forget"),
        ("cancelling: press the red button", "cancelling"),
    ],
)
def test_what_denies_is_found(sentence: str, word: str) -> None:
    assert DENIALS.first(sentence) == word


@pytest.mark.parametrize(
    "sentence",
    [
        *TAUGHT,
        "why don't you press the red button",
        "Why not put the lime in the bowl?",
        "don't forget to press red",
        "if you don't mind, press red",
        "can't you press the red button",
        "put the lime in the bowl and stop.",
        "press the knot, notice the note",
    ],
)
def test_what_asks_denies_nothing(sentence: str) -> None:
    assert DENIALS.first(sentence) == ""


@given(words=st.lists(st.sampled_from(["press", "the", "red", "button", "lime", "bowl", "please"]), max_size=6))
def test_any_request_with_do_not_before_it_denies(words: list[str]) -> None:
    request = " ".join(words)
    assert DENIALS.first(request) == ""
    assert DENIALS.first(f"do not {request}") == "not"


def test_words_with_which_something_was_taught_deny_nothing() -> None:
    taught = Denials([*TAUGHT, "stop the conveyor", "pour without spilling"])
    assert taught.first("stop the belt without spilling") == ""
    assert taught.first("never stop the belt") == "never"


def test_a_denial_is_unfamiliar_whatever_its_score_and_the_refusal_says_why() -> None:
    denied = SentenceFamiliarity(0.99, 0.1, ("press the red button",), denial="never")
    assert not denied.is_familiar
    assert "'never'" in denied.refusal
    assert "press the red button" in denied.refusal
