"""No held-out sentence leaks into training, and every sentence can be read back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.simulation import (
    TASKS,
    Instruction,
    SimulationError,
    load_templates,
    make_goal,
    match_sentence,
    read_templates,
)
from mini_diffuser_ros.simulation.sentences import fill

EVERY_TEMPLATE = [
    (task, template)
    for task, templates in load_templates().items()
    for template in (*templates.training, *templates.held_out)
]


def normalised(sentence: str) -> str:
    return " ".join(re.findall(r"[a-z{}]+", sentence.lower()))


@pytest.mark.parametrize("task", TASKS)
def test_there_are_enough_templates_and_none_is_both_trained_and_held_out(task: str) -> None:
    templates = load_templates()[task]
    training = {normalised(template) for template in templates.training}
    held_out = {normalised(template) for template in templates.held_out}
    assert len(training) == len(templates.training) >= 40
    assert len(held_out) == len(templates.held_out) >= 6
    assert not training & held_out


def test_every_task_has_templates_with_its_slots() -> None:
    assert set(load_templates()) == set(TASKS)
    for task, template in EVERY_TEMPLATE:
        assert set(re.findall(r"{(\w+)}", template)) == set(TASKS[task].variations[0]), template


def test_stacking_names_either_block_first_equally_often() -> None:
    training = load_templates()["stack_blocks"].training
    top_first = sum(template.index("{top}") < template.index("{bottom}") for template in training)
    assert top_first == len(training) - top_first


@pytest.mark.parametrize("task", TASKS)
def test_a_goal_carries_every_training_sentence_and_no_held_out_one(task: str) -> None:
    templates = load_templates()[task]
    for number, slots in enumerate(TASKS[task].variations):
        goal = make_goal(task, slots)
        assert goal.variation == number
        assert goal.sentences == tuple(fill(template, slots) for template in templates.training)
        assert not any("{" in sentence for sentence in goal.sentences)
        assert not set(goal.sentences) & {fill(template, slots) for template in templates.held_out}


@settings(deadline=None)
@given(
    entry=st.sampled_from(EVERY_TEMPLATE),
    variation=st.integers(0, 10_000),
    upper=st.booleans(),
    spaces=st.sampled_from([" ", "  ", " \t"]),
    end=st.sampled_from(["", ".", "!", " ?", "..."]),
)
def test_every_sentence_is_read_back_whatever_its_case_spacing_and_punctuation(
    entry: tuple[str, str], variation: int, upper: bool, spaces: str, end: str
) -> None:
    task, template = entry
    variations = TASKS[task].variations
    slots = variations[variation % len(variations)]
    sentence = fill(template, slots).replace(" ", spaces) + end
    assert match_sentence(sentence.upper() if upper else sentence) == Instruction(task, slots)


@pytest.mark.parametrize(
    ("sentence", "task", "slots"),
    [
        ("Kindly smash that pink button!", "push_buttons", {"color": "pink"}),
        ("what about pressing... no, push the green switch", "push_buttons", {"color": "green"}),
        ("the golf ball wants to be in the basin", "put_item_in_bowl", {"item": "golf ball"}),
        (
            "may the red cube find its place upon the white one",
            "stack_blocks",
            {"top": "red", "bottom": "white"},
        ),
        ("crown the white cube with the red cube", "stack_blocks", {"top": "red", "bottom": "white"}),
        (
            "onto the black brick please heave the cyan brick",
            "stack_blocks",
            {"top": "cyan", "bottom": "black"},
        ),
        ("slide white beneath red", "stack_blocks", {"top": "red", "bottom": "white"}),
        ("underneath the green cube we want pink", "stack_blocks", {"top": "green", "bottom": "pink"}),
        ("yellow must be supported by black", "stack_blocks", {"top": "yellow", "bottom": "black"}),
        ("orange gets topped by blue", "stack_blocks", {"top": "blue", "bottom": "orange"}),
    ],
)
def test_sentences_in_other_words_are_read_by_what_they_name(sentence: str, task: str, slots: dict[str, str]) -> None:
    assert match_sentence(sentence) == Instruction(task, slots)


@pytest.mark.parametrize("sentence", ["", "make me a coffee", "red, green and blue", "the banana or the lime", "!?"])
def test_a_sentence_that_asks_for_nothing_here_is_not_read(sentence: str) -> None:
    assert match_sentence(sentence) is None


def test_other_peoples_templates_are_read() -> None:
    text = "push_buttons: ['whack {color}']\nstack_blocks:\n  - '{bottom} wears {top}'\n"
    assert read_templates(text, "mine.yaml") == {
        "push_buttons": ("whack {color}",),
        "stack_blocks": ("{bottom} wears {top}",),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("push_buttons: [press it]", "{color}"),
        ("push_buttons: ['press {colour}']", "press {colour}"),
        ("push_buttons: ['press {color']", "press {color"),
        ("push_buttons: 'press {color}'", "list"),
        ("open_drawer: ['open it']", "open_drawer"),
        ("[1, 2", "YAML"),
        ("", "mapping"),
    ],
)
def test_wrong_templates_are_refused_with_file_and_entry(text: str, complaint: str) -> None:
    with pytest.raises(SimulationError, match=re.escape(complaint)) as refusal:
        read_templates(text, "mine.yaml")
    assert "mine.yaml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_goals_that_do_not_exist_are_refused() -> None:
    with pytest.raises(SimulationError, match="fly"):
        make_goal("fly", {})
    with pytest.raises(SimulationError, match="mauve"):
        make_goal("push_buttons", {"color": "mauve"})
