"""What only states something beside what is asked for is left out; what asks, names or comes before an order is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy.asides import Asides
from mini_diffuser_ros.policy.unasked import UnaskedWords

TAUGHT = ("press the red button", "push the green one", "put the lime in the bowl")
ASIDES = Asides(UnaskedWords(TAUGHT, ("red", "green", "lime")))


@pytest.mark.parametrize(
    ("sentence", "rest", "left_out"),
    [
        ("My hands are wet, so press the red button", "so press the red button", ("my hands are wet",)),
        ("We are late, so put the lime up and drop it", "so put the lime up and drop it", ("we are late",)),
        ("push green, it starts the fan", "push green", ("it starts the fan",)),
        ("We have ten minutes. Could you push green?", "could you push green?", ("we have ten minutes",)),
        (
            "They say you're quick; put the lime in the bowl - there's no rush",
            "put the lime in the bowl",
            ("they say you're quick", "there's no rush"),
        ),
    ],
)
def test_what_is_told_beside_it_is_left_out(sentence: str, rest: str, left_out: tuple[str, ...]) -> None:
    read = ASIDES.read(sentence)
    assert (read.rest, read.left_out) == (rest, left_out)


@pytest.mark.parametrize(
    "sentence",
    [
        *TAUGHT,
        "the door is open",
        "wash the mug, press the red button",
        "the lime fell down, put the lime in the bowl",
        "the sign says: press the red button",
        "I'll whistle, then press the red button",
        "the spoon, put it in the bowl beside the lime",
        "my old mug, press that and the red button",
        "the long one, put them in the bowl",
        "",
        "...",
    ],
)
def test_a_sentence_stays_whole_where_nothing_is_an_aside(sentence: str) -> None:
    read = ASIDES.read(sentence)
    assert (read.rest, read.left_out) == (sentence, ())


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    read = ASIDES.read(text)
    assert read.left_out or read.rest == text
