"""Places and colours that no taught sentence has are found, and none where the sentences taught differ in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy.untaught import UntaughtWords

TAUGHT = (
    "put the fork in the drawer",
    "the knife goes into the drawer",
    "drop the knife in the tray",
    "push the green switch",
    "push the white switch",
    "press red",
)
NAMES = ("fork", "knife", "green", "white", "red")
UNTAUGHT = UntaughtWords(TAUGHT, NAMES)


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("put the fork in the cup", "in the cup"),
        ("Inside my pocket goes the KNIFE", "inside my pocket"),
        ("put the fork into the tray", "into the tray"),
        ("push the brown switch", "brown"),
        ("push the grey-coloured switch", "grey-coloured"),
    ],
)
def test_another_place_or_colour_is_found(sentence: str, said: str) -> None:
    assert UNTAUGHT.read(sentence).startswith(f"'{said}' is no ")


@pytest.mark.parametrize(
    "sentence",
    [
        *TAUGHT,
        "the knife in the corner goes into the tray",
        "put the fork away",
        "put it in the cup",
        "push the green switch in the corner",
        "push the switch beside the brown wall",
    ],
)
def test_nothing_is_found_where_it_may_be_meant(sentence: str) -> None:
    assert UNTAUGHT.read(sentence) == ""


def test_a_place_is_asked_for_only_where_every_taught_sentence_has_one() -> None:
    assert UntaughtWords((*TAUGHT, "put the fork down"), NAMES).read("put the fork in the cup") == ""
    assert UntaughtWords((*TAUGHT, "push the brown switch"), NAMES).read("push the brown switch") == ""


def test_without_names_of_colours_any_colour_may_be_meant() -> None:
    assert UntaughtWords(("push the big switch",), ("big",)).read("push the brown switch") == ""
    assert UntaughtWords(()).read("put the fork in the cup") == ""


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    found = UNTAUGHT.read(text)
    assert found == "" or found.startswith("'")
