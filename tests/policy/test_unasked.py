"""What depends on something, is for later, goes on, or tells of what was done asks for nothing once and now."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy.knowledge.facts import SentenceFamiliarity
from mini_diffuser_ros.policy.unasked import UnaskedWords

TAUGHT = (
    "press the red button",
    "push the green one",
    "put the lime in the bowl",
    "place the plum in the bowl",
    "stack the red block on the green one",
)
NAMES = ("red", "green", "blue", "white", "lime", "plum", "golf ball")
UNASKED = UnaskedWords(TAUGHT, NAMES)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("press the red button if the lamp is on", "if"),
        ("Provided the bowl is clean, put the lime in it", "provided"),
        ("should the lamp go out, push the green one", "should"),
        ("press red whenever somebody knocks", "whenever"),
        ("once the kettle whistles, press the red button", "once"),
        ("you will be sorry if you press the red button", "if"),
        ("press the red button tomorrow", "tomorrow"),
        ("in ten minutes put the lime in the bowl", "in ten minutes"),
        ("push green at 7:30", "at 7:30"),
        ("on Friday, press red", "on friday"),
        ("press red four times", "four times"),
        ("push the green one for five seconds", "for five seconds"),
        ("keep pressing the red button", "keep pressing"),
        ("triple-tap the red button", "triple-tap"),
        ("great job on stacking red on green", "great job on"),
        ("congratulations on placing the plum in the bowl", "congratulations on"),
        ("it was nice of you to push the green one", "was nice of you"),
        ("she already pressed the red button", "already pressed"),
        ("I\N{RIGHT SINGLE QUOTATION MARK}ve put the lime in the bowl", "'ve put"),
        ("the green one has been pushed", "has been pushed"),
        ("my brother stacked red on green", "stacked"),
        ("the robot is pressing the red button", "is pressing"),
        ("the lime is already in the bowl", "already in"),
        ("you should have pressed red", "should have pressed"),
        ("we're glad that you put the plum in the bowl", "glad that you put"),
        ("Bravo! You put the lime in the bowl", "bravo! you put"),
        ("my mother will press the red button", "my mother will press"),
        ("allow me to stack red on green", "allow me to stack"),
        ('the manual says "press the red button"', "says"),
        ("imagine the lime in the bowl", "imagine"),
        ("this evening, push the green one", "this evening"),
        ("push the green one the moment the bell rings", "the moment"),
        ("press red until the lamp goes out", "until"),
        ("put the lime and the plum in the bowl", "lime and the plum"),
        ("put the golf ball, then the lime in the bowl", "golf ball, then the lime"),
        ("press the red button and the white one", "red button and the white"),
        ("put the bowl into the lime", "bowl into the lime"),
        ("drop the bowl on a plum", "bowl on a plum"),
        ("set the bowl down over the plum", "bowl down over the plum"),
        ("Hey there, you already pressed the red button", "already pressed"),
        ("The door is open, we have pushed the green one", "have pushed"),
        ("push the green and the red button", "green and the red"),
        ("push green, then press red", "green, then press red"),
        ("push the green one. Press the red one", "green one. press the red"),
        ("push green for 2.5 seconds", "for 2.5 seconds"),
        ("push green x4", "x4"),
        ("push green later", "later"),
        ("upon my command, push green", "upon my command"),
        ("wait five seconds, then push green", "wait five"),
        ("push green while the door is open", "while the"),
        ("a girl gently pushed the green one", "gently pushed"),
        ("we 've pushed the green one", "'ve pushed"),
        ("they intend to press red", "they intend to press"),
        ("I'll be pushing green", "i'll pushing"),
        ("I'd sooner place the plum in the bowl on my own", "i'd sooner place"),
        ("my sister will put the lime in the bowl", "my sister will put"),
        ("a clever machine might press red", "a clever machine might press"),
        ("one may push green, perhaps", "one may push"),
        ("leave the red one to her", "leave the red one to her"),
        ("it's our turn to push green", "it's our turn"),
        ("\N{LEFT DOUBLE QUOTATION MARK}press red\N{RIGHT DOUBLE QUOTATION MARK} was his idea", "press red"),
        ("the note reads: push the green one", "reads"),
        ("she wrote to Ann: press red", "wrote to ann"),
        ("push(red);press the red button = True", "="),
        ("<press>red</press>", "<p"),
        ("robot --press red", "--press"),
        ("let the green one push her", "push her"),
        ("place the plum out of the bowl", "out of the bowl"),
        ("push the white block off the green one", "white block off the green"),
        ("the plum is lying in the bowl", "plum is lying in"),
        ("after the holidays press red", "after the holidays"),
        ("twenty minutes from now, push green", "twenty minutes from now"),
        ("give me an hour and press red", "give me an hour"),
        ("only when I say so press red", "only when"),
    ],
)
def test_what_asks_for_nothing_now_is_found(sentence: str, words: str) -> None:
    found = UNASKED.read(sentence)
    assert found is not None
    assert found.words == words
    assert f"'{words}'" in str(found)


@pytest.mark.parametrize(
    "sentence",
    [
        *TAUGHT,
        "if you don't mind, press the red button",
        "when you have a second, push the green one",
        "press red, if it's not too much trouble",
        "I'd be grateful if you pressed the red button",
        "once you've found the lime, put it in the bowl",
        "as soon as the arm is free, push green",
        "good job! now press the red button",
        "thank you for pressing the red button",
        "I want the red button pressed",
        "make sure that the lime has been put in the bowl",
        "it's time you pushed the green one",
        "don't make me say it twice, press red",
        "keep calm and press red",
        "now you put the lime in the bowl",
        "press the red button once more",
        "at once, press red",
        "put the lime in the bowl, I lost it in a minute of haste",
        "I dropped the lime, so could you put it in the bowl?",
        "you pressed the wrong one, so press the red one",
        "Well done! Now press the white button",
        "I've asked twice already: push green",
        "I'm going to need you to push green",
        "press the red button that I pushed",
        "put the plum you dropped in the bowl",
        "I dropped the plum and I need it in the bowl",
        "once it's gripped, put the lime in the bowl",
        "when you're over the red button, press it",
        "please put the lime in the bowl, it rolled off when I touched it",
        "would it be alright if you pushed the green one",
        "push the green one for a second",
        "the guests come at six, so push green",
        "put the lime in the bowl on the white table",
        "of red and green, press red",
        "should you be able to, push the green one",
        "take as long as you like and push green",
        "I'm stacking blocks and the red block comes next, on the green one",
        "once that's over I can rest: press red",
        "it's the green one that I need pushed",
        "tomorrow is my birthday, so put the plum in the bowl",
        "stack red and green with red on top",
        "let me have the lime in the bowl",
        "someone will clean the bowl, please put the plum in the bowl",
        "we should push the green one",
        "I want to press red",
        "I guess you put the lime in the bowl",
        '"press the red button"',
        'press the "red" button',
        "lime -> bowl",
        "I wanted to do it myself, you do it: push green",
        "the plum is on the table, put it in the bowl",
        "the lime fell out of the bowl, so put it back in",
        "the green one is to be pushed",
        "the plum is next",
    ],
)
def test_ways_to_ask_are_none(sentence: str) -> None:
    assert UNASKED.read(sentence) is None


@given(
    words=st.sampled_from(("twice", "tomorrow", "if it rains", "whenever i call")),
    first=st.booleans(),
    shout=st.booleans(),
)
def test_with_what_was_taught_nothing_is_found_and_without_it_is(words: str, first: bool, shout: bool) -> None:
    sentence = f"{words}, press red" if first else f"press red {words}"
    said = sentence.upper() if shout else sentence
    assert UNASKED.read(said) is not None
    assert UnaskedWords((*TAUGHT, f"push green {words}"), NAMES).read(said) is None


@pytest.mark.parametrize("names", [("lime", "plum"), ("plum", "lime")])
def test_two_things_that_a_task_names_together_are_not_two_tasks(names: tuple[str, str]) -> None:
    asked = f"put the {names[0]} and the {names[1]} in the bowl"
    assert UNASKED.read(asked) is not None
    assert UnaskedWords((*TAUGHT, "put the lime and the plum in the bowl"), NAMES).read(asked) is None


def test_other_labs_words_are_taken_as_they_are() -> None:
    kitchen = UnaskedWords(
        ("feed the cat", "put the bowl on the plate", "put the jalape\u00f1o in the bowl", "push red, then push green"),
        ("jalape\u00f1o", "lime", "plate", "red", "green", ""),
    )
    for asked in ("you need to feed the cat", "put the bowl onto a plate", "push green, then push red"):
        assert kitchen.read(asked) is None
    assert kitchen.read("he fed the cat, put the jalape\u00f1o and the lime in the bowl") is not None
    assert UnaskedWords(()).read("press red") is None


def test_what_a_thing_is_called_asks_for_nothing_else() -> None:
    names = ("4 x 2 brick", "2 x 2 brick", "6 x 2 brick")
    bricks = UnaskedWords((f"place the {name} on the plate" for name in names), names)
    assert [bricks.read(f"place the {name} on the plate") for name in names] == [None] * 3
    assert bricks.read("place the 2 x 2 brick on the plate twice") is not None


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    found = UNASKED.read(text)
    assert found is None or found.words


def test_such_a_sentence_is_unfamiliar_whatever_its_score_and_the_refusal_says_why() -> None:
    found = UNASKED.read("press the red button twice")
    refused = SentenceFamiliarity(0.99, 0.1, ("press the red button",), unasked=str(found))
    assert not refused.is_familiar
    assert refused.refusal.startswith("'twice' is more than once")
    assert refused.refusal.endswith("nearest that it knows: 'press the red button'")
    assert "\n" not in refused.refusal
