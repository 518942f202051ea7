"""Recipes: read, overridden, written, and refused in one line that names the file and the field."""

from pathlib import Path

import pytest

from mini_diffuser_ros.training.config import read_config, write_config
from mini_diffuser_ros.training.errors import ConfigError

RECIPE = Path(__file__).parents[2] / "config" / "train" / "tabletop.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_recipe_is_readable_and_survives_a_round_trip(tmp_path: Path) -> None:
    config = read_config(RECIPE)
    write_config(config, tmp_path / "copy.yaml")
    assert read_config(tmp_path / "copy.yaml") == config


def test_overrides_reach_nested_fields_and_leave_the_others(tmp_path: Path) -> None:
    recipe = written(tmp_path, "optim: {clip: 3.5}\nbudget: {steps: 7}\n")
    config = read_config(
        recipe,
        [("optim.lr", "1e-4"), ("data.tasks", "push_buttons,stack_blocks"), ("model.overrides.voxel_size", "0.02")],
    )
    assert config.optim.lr == 1e-4
    assert config.optim.clip == 3.5
    assert config.data.tasks == ("push_buttons", "stack_blocks")
    assert config.model.overrides == {"voxel_size": 0.02}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("optim: {lrr: 1}", "optim.lrr"),
        ("optim: {lr: fast}", "optim.lr"),
        ("optim: {lr: -1}", "optim.lr"),
        ("batch: {scenes: 2.5}", "batch.scenes"),
        ("batch: {scenes: true}", "batch.scenes"),
        ("augment: {center: [0.5]}", "augment.center"),
        ("model: {preset: huge}", "model.preset"),
        ("budget: {steps: 0}", "budget"),
        ("optim: 3", "optim"),
        ("- 1", "top level"),
        ("optim: {", "YAML"),
        ("epochs: 3", "epochs"),
    ],
)
def test_faults_are_one_line_with_file_and_field(tmp_path: Path, text: str, named: str) -> None:
    recipe = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(recipe)
    message = str(caught.value)
    assert named in message
    assert str(recipe) in message
    assert "\n" not in message


def test_missing_file_and_faulty_override_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        read_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match=r"command line.*optim\.lrr.*'lr'"):
        read_config(RECIPE, [("optim.lrr", "1")])
    with pytest.raises(ConfigError, match=r"seed\.low"):
        read_config(RECIPE, [("seed.low", "1")])
