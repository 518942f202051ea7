"""What knowledge is learned from: templates behind sentences, sentences that mean something else, and both together."""

from __future__ import annotations

import re
from dataclasses import fields
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy
from mini_diffuser_ros.policy.denials import Denials
from mini_diffuser_ros.training.knowledge.familiarity import Effort, learn_familiarity, make_corpus
from mini_diffuser_ros.training.knowledge.foils import SentenceMaker, taught_task
from mini_diffuser_ros.training.knowledge.learning import LEARNERS
from mini_diffuser_ros.training.knowledge.lesson import Demonstrations, Lesson
from mini_diffuser_ros.training.knowledge.templates import find_slots
from mini_diffuser_ros.training.knowledge.wordings import (
    Wordings,
    all_of,
    choices_in,
    did,
    doing,
    one_of,
    read_wordings,
    worded,
)

COLORS = ("red", "green", "blue", "yellow")
CUPS = ("mug", "tea cup", "jar")
PRESS = [f"{verb} the {color} button" for verb in ("press", "push", "please hit") for color in COLORS]
HANG = [wording.format(cup) for wording in ("hang the {} up", "take the {} and hang it up") for cup in CUPS]
WORD = st.sampled_from(["lamp", "chair", "wheel", "spoon", "ladder", "candle", "pillow", "bottle"])


def test_words_that_stand_for_each_other_are_found() -> None:
    assert find_slots(PRESS).classes == (tuple(sorted(COLORS)),)
    assert find_slots(HANG).classes == (tuple(sorted(CUPS)),)
    assert find_slots(["open the drawer", "close the door"]).classes == ()
    assert {find_slots(PRESS).template(sentence) for sentence in PRESS} == {
        "press the {0} button",
        "push the {0} button",
        "please hit the {0} button",
    }


@given(st.lists(WORD, min_size=4, max_size=6, unique=True), st.integers(0, 2**31))
def test_a_template_that_is_filled_is_of_the_template(fillers: list[str], seed: int) -> None:
    slots = find_slots([f"{verb} the {filler} over there" for verb in ("fetch", "carry", "drag") for filler in fillers])
    assert slots.classes == (tuple(sorted(fillers)),)
    sentence = slots.filled("put the {0} on the {0}", Random(seed))
    assert slots.template(sentence) == "put the {0} on the {0}"
    one, other = re.findall(r"the (\w+)", sentence)
    assert one != other


def test_verbs_are_bent() -> None:
    assert [doing(f"{verb} it") for verb in ("put", "place", "press", "stack", "lay", "position")] == [
        "putting it",
        "placing it",
        "pressing it",
        "stacking it",
        "laying it",
        "positioning it",
    ]
    assert [did(verb) for verb in ("put", "place", "carry", "drop", "take")] == [
        "put",
        "placed",
        "carried",
        "dropped",
        "taken",
    ]


def test_shipped_wordings_have_no_brace_that_nobody_fills() -> None:
    wordings = read_wordings()
    names = ("command", "doing", "did", "verb", "thing", "place", "name", "name2", "name3", "object", "kind", "act")
    values = dict.fromkeys(names, "x")
    for entry in fields(Wordings):
        lines = getattr(wordings, entry.name)
        assert len(lines) == len(set(lines)) > 20
        for line in lines:
            for said in all_of(line, Random(0)):
                assert worded(said, values)


WORDS = st.lists(WORD, min_size=2, max_size=5, unique=True)


@given(st.lists(WORDS, max_size=3), st.integers(0, 2**31))
def test_of_words_in_parentheses_each_is_said_and_one_at_a_time(choices: list[list[str]], seed: int) -> None:
    line = " ".join(["the", *(f"({'|'.join(words)}) now" for words in choices)])
    pattern = re.compile(" ".join(["the", *(f"(?:{'|'.join(words)}) now" for words in choices)]))
    said = all_of(line, Random(seed))
    assert {word for words in choices for word in words} <= {word for one in said for word in one.split()}
    assert all(pattern.fullmatch(one) for one in (*said, one_of(line, Random(seed))))
    assert len(said) <= choices_in(line)


def test_words_in_parentheses_that_may_be_left_out_leave_no_gap() -> None:
    assert set(all_of("press (|gently) the button(|, please)", Random(0))) <= {
        "press the button",
        "press gently the button",
        "press the button, please",
        "press gently the button, please",
    }
    assert all_of("print('a')", Random(0)) == ("print('a')",)


def test_sentences_of_one_line_are_one_line_of_the_task() -> None:
    task = taught_task(PRESS, ["(shove|ram|bop) the red button"])
    assert set(task.lines[-1]) == {f"{verb} the {{0}} button" for verb in ("shove", "ram", "bop")}
    assert set(task.lines[-1]) < set(task.templates)


def test_the_name_of_a_task_before_its_shortest_sentences_is_one_more_line() -> None:
    named = taught_task(PRESS, (), "press_button").lines[-1]
    assert {"press button press the {0} button", "press button: {0}"} <= set(named)
    assert all(template.startswith("press button") for template in named)
    assert taught_task(PRESS, (), "press_button").commands == taught_task(PRESS).commands


def test_judges_learn_from_what_is_read_of_sentences_and_not_from_denials() -> None:
    further = {"press": ["don't touch the others, (shove|ram) the red button", "never (shove|ram) the red button"]}
    corpus = make_corpus({"press": PRESS, "hang": HANG}, further, Effort(good=400, foils=2000), Random(1))
    denials = Denials(PRESS + HANG, corpus.names)
    assert all(denials.read(sample.sentence).rest == sample.sentence for sample in corpus.samples)
    assert not any(denials.read(sample.sentence).word for sample in corpus.samples)
    shoved = [sample for sample in corpus.samples if sample.good and {"shove", "never"} & set(sample.line)]
    assert shoved
    assert all(sample.task == "press" and "others" not in sample.sentence for sample in shoved)
    assert set(corpus.counts) == {"press", "hang"}
    assert "mug" in corpus.counts["hang"]
    assert "mug" not in corpus.counts["press"]


@given(st.integers(0, 2**31))
def test_no_foil_is_of_a_taught_template(seed: int) -> None:
    tasks = [taught_task(PRESS), taught_task(HANG)]
    maker = SentenceMaker(tasks, read_wordings(), Random(seed))
    made = {family: maker.foil(make) for family, make in maker.foils().items()}
    assert {family for family, foil in made.items() if foil} >= {
        "talk",
        "negation",
        "question",
        "negated",
        "names",
        "everyday",
        "other object",
        "other verb",
        "salad",
    }
    assert not [foil for foil in made.values() if foil and maker.is_taught(foil)]
    assert all(maker.is_taught(sentence) for sentence in PRESS + HANG)


def test_a_task_of_one_sentence_offers_what_it_can() -> None:
    maker = SentenceMaker([taught_task(["open the drawer"])], read_wordings(), Random(0))
    made = {family: maker.foil(make) for family, make in maker.foils().items()}
    assert made["mixed tasks"] is None
    assert made["negation"]
    assert made["other object"]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy(MiniDiffuser(MiniDiffuserConfig.small()), tasks={"press": tuple(PRESS), "hang": tuple(HANG)})


def test_a_little_learning_tells_taught_sentences_from_others(policy: Policy) -> None:
    def load() -> Demonstrations:
        pytest.fail("sentences are learned without demonstrations")

    effort = Effort(good=500, foils=800, judges=1, epochs=5)
    known = learn_familiarity(Lesson(policy, load, progress=False), effort)
    policy.knowledge = type(policy.knowledge)(known)
    taught = [policy.familiarity(sentence) for sentence in ("push the yellow button", "please hang the mug up")]
    strange = [
        policy.familiarity(sentence) for sentence in ("quelle heure est-il", "how much is the fish?", "lkjh dfg")
    ]
    assert min(found.score for found in taught if found) > max(found.score for found in strange if found)
    threshold = known.facts.thresholds["sentence"]
    assert threshold.cases == 0  # of so few templates none is held out, and the threshold says so
    assert threshold.value == 0.5
    assert "too few" in str(threshold)
    assert threshold.catches is not None


def test_every_learner_is_of_a_part() -> None:
    assert "familiarity" in LEARNERS
