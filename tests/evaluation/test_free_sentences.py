"""The sentences written without a look at the templates fit the tasks and are none of the training ones."""

from pathlib import Path

from mini_diffuser_ros.simulation import TASKS
from mini_diffuser_ros.simulation.sentences import load_templates, read_templates

FILE = Path(__file__).parents[2] / "config" / "eval" / "free_sentences.yaml"


def test_every_task_has_sentences_with_its_slots() -> None:
    templates = read_templates(FILE.read_text(encoding="utf-8"), FILE.name)
    assert set(templates) == set(TASKS)
    assert all(len(listed) >= 20 for listed in templates.values())


def test_training_does_not_know_them() -> None:
    def words(sentence: str) -> str:
        return " ".join(sentence.lower().replace(".", " ").replace(",", " ").replace("?", " ").split())

    for task, listed in read_templates(FILE.read_text(encoding="utf-8"), FILE.name).items():
        training = {words(sentence) for sentence in load_templates()[task].training}
        overlap = [sentence for sentence in listed if words(sentence) in training]
        # "put {top} on {bottom}" is what anybody says; a few short sentences in common cannot be avoided.
        assert len(overlap) <= 3, overlap
