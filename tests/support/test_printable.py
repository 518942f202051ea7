"""What comes from outside is one line that drives no terminal, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.printable import printable

ANYTHING = st.text(st.characters(), max_size=60)  # surrogates too, as file names have them
FORGED = "press\n[INFO] [1.0] [guard_node]: resumed\r\x1b[2J\x1b]0;title\x07\u202e\u2028done"


def is_one_line(text: str) -> bool:
    return text.replace("\u200c", "").replace("\u200d", "").isprintable() and len(text.splitlines()) <= 1


@given(ANYTHING)
def test_whatever_it_is_it_is_one_line(text: str) -> None:
    assert is_one_line(printable(text))
    assert is_one_line(one_line(UserError(text)))
    assert is_one_line(str(UserError(f"'{text}' is wrong")))
    assert is_one_line(one_line(OSError(text)))


@given(ANYTHING)
def test_what_was_shown_once_is_shown_alike_again(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    "text", ["press the blue button", "pousse le bouton à gauche", "دکمه\u200cی آبی", "按下按钮 👍"]
)
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_what_would_forge_a_line_is_shown() -> None:
    assert printable(FORGED).startswith(r"press\n[INFO] [1.0] [guard_node]: resumed\r\x1b[2J")
    assert str(UserError("a\nb")) == "a b"


@given(st.integers(0, 40), ANYTHING)
def test_no_more_than_asked_for_is_shown(most: int, text: str) -> None:
    shown = printable(text, most)
    assert shown.startswith(printable(text[:most]))
    assert (len(text) <= most) == (shown == printable(text))
