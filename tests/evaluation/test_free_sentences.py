"""The sentences written without a look at the templates fit the tasks and are none of the training ones."""

import json
from pathlib import Path

import pytest

from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, tabletop_trials
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


def test_an_episode_with_another_sentence_is_another(tmp_path: Path) -> None:
    """A file of sentences may change under its name while an evaluation goes on."""
    file = tmp_path / "sentences.yaml"

    def digests(*said: str) -> list[str]:
        file.write_text(f"push_buttons: {json.dumps(said)}\n", encoding="utf-8")
        protocol = TabletopProtocol(tasks=("push_buttons",), episodes=4, sentences=str(file))
        return [trial.digest for trial in tabletop_trials("policy", protocol)]

    first = digests("press {color}", "push {color}")
    assert digests("press {color}", "push {color}") == first
    changed = digests("press {color}", "touch {color}")
    assert [one == other for one, other in zip(first, changed, strict=True)] == [True, False, True, False]
    assert len(set(first)) == 4
