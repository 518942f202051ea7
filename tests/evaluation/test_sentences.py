"""Sentence files: what is wrong is named with file, task and template."""

from pathlib import Path

import pytest

from mini_diffuser_ros.evaluation import EvaluationError, read_sentences

SLOTS = {"push_buttons": frozenset({"color"}), "stack_blocks": frozenset({"top", "bottom"})}


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sentences.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_templates_are_read_by_task(tmp_path: Path) -> None:
    path = _file(
        tmp_path, "push_buttons: ['hit {color}']\nstack_blocks: ['{top} on {bottom}', 'under {top}: {bottom}']"
    )
    templates = read_sentences(path, SLOTS)
    assert templates["push_buttons"] == ("hit {color}",)
    assert templates["stack_blocks"][1] == "under {top}: {bottom}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[1, 2]", "mapping"),
        ("push_buttons: ['hit {color}']", "stack_blocks"),
        ("push_buttons: ['hit it']\nstack_blocks: ['{top} on {bottom}']", r"hit it.*\{color\}"),
        ("push_buttons: ['hit {colour}']\nstack_blocks: ['{top} on {bottom}']", "colour"),
        ("push_buttons: ['hit {color']\nstack_blocks: ['{top} on {bottom}']", "push_buttons"),
        ("push_buttons: ['{color", "YAML"),
    ],
)
def test_a_fault_is_named_in_one_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(EvaluationError, match=named) as caught:
        read_sentences(_file(tmp_path, text), SLOTS)
    assert "sentences.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_shipped_sentences_fit_the_tasks() -> None:
    path = Path(__file__).parents[2] / "config" / "eval" / "free_sentences.yaml"
    templates = read_sentences(path, {**SLOTS, "put_item_in_bowl": frozenset({"item"})})
    assert all(len(listed) >= 20 for listed in templates.values())
