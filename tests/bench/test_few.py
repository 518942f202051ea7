"""The benchmarks of few demonstrations: what they ask, and the new things on the table."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.few import (
    ON_THE_WAY,
    VARIANTS,
    FewSetting,
    decision_figures,
    measure_few,
    questions_of,
    recipe_of,
    success_figures,
)
from mini_diffuser_ros.bench.new_things import NEW
from mini_diffuser_ros.bench.on_the_way import record_on_the_way
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.simulation import TASKS
from mini_diffuser_ros.simulation.task import Task
from mini_diffuser_ros.support.settings import to_mapping
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.report import FrameError


def pressed(*sentences: str) -> Demonstration:
    """Above a button, pressed, away."""
    poses = np.array([[0.4, 0.0, z, 1.0, 0.0, 0.0, 0.0] for z in (0.4, 0.13, 0.035, 0.13)])
    cloud = Cloud(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), "base")
    return Demonstration("push_buttons", sentences, "here", poses, np.zeros(4, bool), (cloud,) * 4)


def test_decisions_are_asked_with_held_out_sentences_of_their_goal() -> None:
    questions = questions_of([pressed("press the red button"), pressed("press blue")], TASKS, {"press blue"})
    held_out = {template.format(color="red") for template in TASKS["push_buttons"].templates.held_out}
    assert len(questions) == 6
    assert all(question.frame.sentences[0] in held_out for question in questions[:3])
    assert [question.shown for question in questions] == [False] * 3 + [True] * 3
    with pytest.raises(BenchError, match="'sing' is no sentence of push_buttons"):
        questions_of([pressed("sing")], TASKS, set())


def test_figures_count_decision_frames_by_task_and_by_what_was_shown() -> None:
    questions = questions_of([pressed("press red"), pressed("press blue")], TASKS, {"press blue"})
    away = [0.2, 0.004, 0.006, 0.01, 0.008, 0.010]
    errors = [
        FrameError("push_buttons", question.frame.kind, position, 0.0, True, True)
        for question, position in zip(questions, away, strict=True)
    ]
    assert decision_figures(errors, questions) == {
        "decisions right, %": 50.0,
        "push_buttons, %": 50.0,
        "shown, %": 100.0,
        "rest, median mm": pytest.approx(7.0),
    }


def test_success_is_counted_of_all_goals_and_of_those_that_were_shown() -> None:
    ran = [
        EpisodeResult("push_buttons", 0, sentence, success, "TERMINATED", ())
        for sentence, success in (
            ("the red button, press it", True),
            ("press red", False),
            ("press the blue one", False),
        )
    ]
    task = TASKS["push_buttons"]
    # Of blue there are versions in another colour, which have some of its sentences.
    taught = {*task.goal({"color": "red"}).sentences, *task.goal({"color": "blue"}).sentences[:16]}
    assert success_figures(ran, taught) == {
        "success, %": pytest.approx(100 / 3),
        "success of shown, %": 50.0,
    }
    assert np.isnan(success_figures(ran[:1], set())["success of shown, %"])
    with pytest.raises(BenchError, match="'sing' is no sentence of push_buttons"):
        success_figures([EpisodeResult("push_buttons", 0, "sing", True, "TERMINATED", ())], taught)


def test_every_variant_is_a_recipe_of_its_own_and_a_change_is_in_all_of_them(tmp_path: Path) -> None:
    def recipes(**changed: Any) -> list[TrainConfig]:
        setting = FewSetting(data="recordings", held_out="held_out", out=tmp_path, **changed)
        return [recipe_of(setting, variant, 10, 1) for variant in VARIANTS if variant != ON_THE_WAY]

    plain, changed = recipes(), recipes(changes=("batch.level2=7",))
    assert all(one != other for one, other in combinations([replace(each, out="") for each in plain], 2))
    assert len({each.out for each in plain}) == len(plain)
    assert [each.batch.level2 for each in changed] == [7] * len(changed)
    assert changed == [replace(each, batch=replace(each.batch, level2=7)) for each in plain]


def test_figures_of_another_recipe_are_neither_taken_nor_gone_on_from(tmp_path: Path) -> None:
    setting = FewSetting(data="recordings", held_out=str(tmp_path / "held_out"), out=tmp_path, counts=(10,), seeds=(1,))
    record_on_the_way(tmp_path / "held_out", ["push_buttons-seed00001000"])
    recipe = recipe_of(setting, "recipe", 10, 1)
    asked = {"held_out": setting.held_out, "episodes": 0, "closed_loop": 0, "layouts": setting.layouts, "cameras": []}
    figures = Path(recipe.out) / "figures.json"
    figures.parent.mkdir()
    figures.write_text(json.dumps({"asked": {**asked, "recipe": to_mapping(recipe)}, "figures": {"right": 1.0}}))
    (row,) = measure_few([setting])
    assert row["right"]["value"] == 1.0
    with pytest.raises(BenchError, match="holds a run of another recipe; choose another --out"):
        list(measure_few([replace(setting, steps=7)]))


@pytest.mark.parametrize("text", ["augment.mixed", "seed=4", "out=elsewhere", "=3"])
def test_what_is_no_change_of_the_recipe_is_refused_before_anything_is_done(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "few", "--data", "a", "--held-out", "b", "--out", "c", "--changes", text]) == 2
    assert "is no change of a recipe" in capsys.readouterr().err


@pytest.mark.parametrize("name", NEW)
def test_a_new_thing_is_always_on_the_table_and_asked_for_in_the_words_of_its_task(name: str) -> None:
    task, old = NEW[name], TASKS[name]
    assert task.templates == old.templates
    (goal,) = (task.goal(slots) for slots in task.variations)
    assert old.match(goal.sentences[0]) is None
    for seed in range(5):
        bodies = {body.get("name") for body in task.layout(np.random.default_rng(seed), goal.slots)}
        assert bodies.issuperset(task.required_bodies(goal.slots))
        assert len(bodies & _names(old)) == len(bodies) - 1


def _names(task: Task) -> set[str]:
    ((slot, values),) = task.slots.items()
    return {name for value in values for name in task.required_bodies({slot: value})}
