"""A task is a file with its sentences beside; which other tasks there are makes no difference to it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.simulation import TASKS, Instruction, SimulationError, TabletopWorld, Task, match_sentence
from mini_diffuser_ros.simulation.tasks import find_tasks
from mini_diffuser_ros.support.errors import UserError

MODULE = """
from mini_diffuser_ros.simulation.tasks.push_buttons import PushButtons

class Ring(PushButtons):
    name = "{name}"
    cues = "ring|doorbell"
"""
SENTENCES = "training: ['ring the {color} bell']\nheld_out: ['make the {color} bell ring']\n"


Find = Callable[..., Mapping[str, Task]]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Find:
    """Finds the tasks of a package with one file of each name, and the same sentences for all."""
    package = re.sub(r"\W", "_", f"tasks_of_{request.node.name}")
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def found(*names: str, sentences: str = SENTENCES) -> Mapping[str, Task]:
        for name in names:
            (folder / f"{name}.py").write_text(MODULE.format(name=name))
            (folder / f"{name}.yaml").write_text(sentences)
        return find_tasks(importlib.import_module(package))

    return found


def table(world: TabletopWorld, task: str) -> tuple[dict[str, str], dict[str, float], np.ndarray]:
    goal = world.reset(task, 5)
    poses = [world.body_pose(world.model.body(index).name) for index in range(1, world.model.nbody)]
    return dict(goal.slots), world.joint_positions(), np.array(poses)


def test_a_seed_gives_the_same_table_whatever_tasks_come_before_or_after(find: Find) -> None:
    others = find("a_first", "z_last")
    alone = {"stack_blocks": TASKS["stack_blocks"]}
    crowded = {"a_first": others["a_first"], **reversed_tasks(TASKS), "z_last": others["z_last"]}
    expected = table(TabletopWorld(tasks=alone), "stack_blocks")
    found = table(TabletopWorld(tasks=crowded), "stack_blocks")
    assert found[:2] == expected[:2]
    assert np.array_equal(found[2], expected[2])


def reversed_tasks(tasks: Mapping[str, Task]) -> dict[str, Task]:
    return dict(reversed(tasks.items()))


def test_different_tasks_draw_differently_from_the_same_seed() -> None:
    draws = {task.generator(5, purpose).random() for task in TASKS.values() for purpose in ("layout", "mishap")}
    assert len(draws) == 2 * len(TASKS)


def test_a_file_and_its_sentences_are_a_task(find: Find) -> None:
    tasks = {**TASKS, **find("ring")}
    assert match_sentence("Ring the BLUE bell!", tasks) == Instruction("ring", {"color": "blue"})
    assert match_sentence("would you ring at the blue door", tasks) == Instruction("ring", {"color": "blue"})
    assert match_sentence("press the blue button", tasks) == Instruction("push_buttons", {"color": "blue"})
    world = TabletopWorld(image_size=(32, 32), tasks=tasks)
    goal = world.reset("ring", 0)
    assert goal.sentences == (f"ring the {goal.slots['color']} bell",)


def test_a_sentence_of_two_tasks_names_both(find: Find) -> None:
    with pytest.raises(SimulationError, match="may ask for chime or ring"):
        match_sentence("ring the blue bell", find("chime", "ring"))


@pytest.mark.parametrize(
    ("sentences", "complaint"),
    [
        ("training: ['ring the {color} bell']\n", "held_out is missing"),
        ("training: []\nheld_out: ['{color}']\n", "training is (), expected at least one sentence"),
        ("training: ring it\nheld_out: ['{color}']\n", "training 'ring it' does not have exactly"),
        ("training: ['ring {colour}']\nheld_out: ['{color}']\n", "training 'ring {colour}' does not have exactly"),
        ("training: [7]\nheld_out: ['{color}']\n", "training"),
    ],
)
def test_a_task_without_sentences_is_refused_by_file_and_field(find: Find, sentences: str, complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
        match_sentence("ring the blue bell", find("ring", sentences=sentences))
    assert "ring.yaml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_task_without_a_file_of_sentences_is_refused_by_that_file(find: Find, tmp_path: Path) -> None:
    tasks = find("ring")
    for file in tmp_path.glob("*/ring.yaml"):
        file.unlink()
    with pytest.raises(UserError, match=r"ring\.yaml cannot be read"):
        TabletopWorld(image_size=(32, 32), tasks=tasks).reset("ring", 0)


def test_a_file_that_defines_no_task_is_refused_by_its_name(find: Find, tmp_path: Path) -> None:
    find("ring")
    package = next(tmp_path.iterdir())
    (package / "helpers.py").touch()
    with pytest.raises(SimulationError, match=r"helpers\.py: defines 0 tasks, expected one"):
        find()
