"""The sentences written without a look at the templates fit the tasks and are none of the training ones."""

from pathlib import Path

import pytest

from mini_diffuser_ros.simulation import TASKS
from mini_diffuser_ros.simulation.sentences import load_templates, read_templates

FOLDER = Path(__file__).parents[2] / "config" / "eval"
LEAST = {"free_sentences.yaml": 20, "blind_sentences.yaml": 16}
MEASURED = {"push_buttons", "stack_blocks", "put_item_in_bowl"}  # tasks of the shipped policy


@pytest.fixture(params=LEAST)
def file(request: pytest.FixtureRequest) -> Path:
    return FOLDER / request.param


def test_every_measured_task_has_sentences_with_its_slots(file: Path) -> None:
    templates = read_templates(file.read_text(encoding="utf-8"), file.name)
    assert set(TASKS) >= set(templates) >= MEASURED
    assert all(len(listed) >= LEAST[file.name] for listed in templates.values())


def test_training_does_not_know_them(file: Path) -> None:
    def words(sentence: str) -> str:
        return " ".join(sentence.lower().replace(".", " ").replace(",", " ").replace("?", " ").split())

    for task, listed in read_templates(file.read_text(encoding="utf-8"), file.name).items():
        training = {words(sentence) for sentence in load_templates()[task].training}
        overlap = [sentence for sentence in listed if words(sentence) in training]
        # "put {top} on {bottom}" is what anybody says; a few short sentences in common cannot be avoided.
        assert len(overlap) <= 3, overlap
