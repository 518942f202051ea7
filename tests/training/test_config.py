"""Recipes: read, overridden, written, and refused in one line that names the file and the field."""

from pathlib import Path

import pytest

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import MiniDiffuser
from mini_diffuser_ros.support.settings import SettingsError, leaves, read_settings, with_values, write_settings
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.run import model_configuration

RECIPES = Path(__file__).parents[2] / "config" / "train"
RECIPE = RECIPES / "tabletop.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_readable_and_survive_a_round_trip(recipe: Path, tmp_path: Path) -> None:
    config = read_settings(TrainConfig, recipe)
    write_settings(config, tmp_path / "copy.yaml")
    assert read_settings(TrainConfig, tmp_path / "copy.yaml") == config
    network = model_configuration(config)
    x, y = config.augment.center
    (x_low, y_low, _), (x_high, y_high, _) = network.scene.workspace.lower, network.scene.workspace.upper
    assert x_low < x < x_high
    assert y_low < y < y_high
    with_values(FusionConfig(), config.data.fusion, "recipe")


def test_the_published_recipe_is_the_published_one() -> None:
    config = read_settings(TrainConfig, RECIPES / "rlbench18.yaml")
    assert (config.model.preset, config.batch.scenes, config.batch.level2) == ("base", 100, 256)
    assert (config.budget.steps, config.optim.lr, config.optim.warmup) == (95200, 3e-4, 4000)
    network = model_configuration(config)
    assert (network.text.encoder, network.scene.max_points, network.scene.voxel_size) == ("clip", 4000, 0.01)
    assert MiniDiffuser(network).training


def test_overrides_reach_nested_fields_and_leave_the_others(tmp_path: Path) -> None:
    recipe = written(tmp_path, "optim: {clip: 3.5}\nbudget: {steps: 7}\n")
    config = read_settings(
        TrainConfig,
        recipe,
        [
            ("optim.lr", "1e-4"),
            ("data.tasks", "push_buttons,stack_blocks"),
            ("model.overrides.scene.voxel_size", "0.02"),
        ],
    )
    assert config.optim.lr == 1e-4
    assert config.optim.clip == 3.5
    assert config.data.tasks == ("push_buttons", "stack_blocks")
    assert config.model.overrides == {"scene": {"voxel_size": 0.02}}


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
        ("{compile: true, shards: 2}", "compile"),
        ("precision: float16", "precision"),
        ("data: {skip_bad: 1}", "data.skip_bad"),
        ("- 1", "top level"),
        ("optim: {", "YAML"),
        ("epochs: 3", "epochs"),
    ],
)
def test_faults_are_one_line_with_file_and_field(tmp_path: Path, text: str, named: str) -> None:
    recipe = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        read_settings(TrainConfig, recipe)
    message = str(caught.value)
    assert named in message
    assert str(recipe) in message
    assert "\n" not in message


def test_missing_file_and_faulty_override_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        read_settings(TrainConfig, tmp_path / "absent.yaml")
    with pytest.raises(SettingsError, match=r"command line.*optim\.lrr.*'lr'"):
        read_settings(TrainConfig, RECIPE, [("optim.lrr", "1")])
    with pytest.raises(SettingsError, match=r"seed\.low"):
        read_settings(TrainConfig, RECIPE, [("seed.low", "1")])


def test_the_network_works_where_the_cell_says() -> None:
    cell = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"
    config = read_settings(
        TrainConfig,
        Path(__file__).parents[2] / "config" / "train" / "own_demos.yaml",
        [("data.cell", str(cell)), ("model.overrides", "{}")],
    )
    scene = model_configuration(config).scene
    assert scene.workspace == read_cell(cell).workspace
    assert scene.table_height == read_cell(cell).table.height
    own = {"scene.table_height": 0.1}
    changed = with_values(config, {"model.overrides": own}, "test")
    assert model_configuration(changed).scene.table_height == 0.1
    assert model_configuration(changed).scene.workspace == scene.workspace


SCENE = """
scene: {workspace: {lower: [0.1, -0.6, 0.02], upper: [0.9, 0.4, 0.7]}, table_height: 0.015}
model: {overrides: {scene: {voxel_size: 0.02}}}
data: {fusion: {voxel_size: 0.004}}
"""
SPELLED_OUT = """
model: {overrides: {scene: {voxel_size: 0.02, workspace: {lower: [0.1, -0.6, 0.02], upper: [0.9, 0.4, 0.7]},
  table_height: 0.015}}}
data: {fusion: {voxel_size: 0.004, workspace: {lower: [0.1, -0.6, 0.02], upper: [0.9, 0.4, 0.7]}, table_height: 0.015}}
augment: {center: [0.5, -0.1]}
"""


def test_where_things_are_is_said_once(tmp_path: Path) -> None:
    once = read_settings(TrainConfig, written(tmp_path, SCENE)).with_scene()
    often = read_settings(TrainConfig, written(tmp_path, SPELLED_OUT))
    assert model_configuration(once) == model_configuration(often)
    fused = [with_values(FusionConfig(), config.data.fusion, "recipe") for config in (once, often)]
    assert fused[0] == fused[1]
    assert once.augment.center == pytest.approx(often.augment.center)
    write_settings(once, tmp_path / "copy.yaml")
    assert "scene: " not in (tmp_path / "copy.yaml").read_text().replace("scene.", "")
    assert read_settings(TrainConfig, tmp_path / "copy.yaml") == once
    assert often.with_scene() == often


def test_what_is_said_elsewhere_of_where_things_are_wins(tmp_path: Path) -> None:
    elsewhere = [("augment.center", "[0.4, 0.0]"), ("data.fusion.workspace.lower", "[0.1, -0.6, 0.03]")]
    config = read_settings(TrainConfig, written(tmp_path, SCENE), elsewhere).with_scene()
    fusion = with_values(FusionConfig(), config.data.fusion, "recipe")
    assert (fusion.workspace.lower, fusion.workspace.upper) == ((0.1, -0.6, 0.03), (0.9, 0.4, 0.7))
    assert config.augment.center == (0.4, 0.0)
    with pytest.raises(SettingsError, match=r"scene is given, and so is data.cell, my_cell.yaml"):
        read_settings(TrainConfig, written(tmp_path, SCENE), [("data.cell", "my_cell.yaml")])


MAY_BE_NEGATIVE = ("augment.center",)  # a place in the frame of the base


def test_every_number_of_a_recipe_has_bounds() -> None:
    numbers = [leaf for leaf in leaves(TrainConfig()) if _is_number(leaf.default)]
    assert {"optim.betas", "optim.lr", "batch.scenes", "seed"} <= {leaf.name for leaf in numbers}
    for leaf in numbers:
        for text in ("-1", "nan", "inf", "-.inf", ".nan", "1e999", "9" * 400, "9" * 5000):
            if text == "-1" and leaf.name in MAY_BE_NEGATIVE:
                continue
            value = f"[{text}, {text}]" if isinstance(leaf.default, tuple) else text
            with pytest.raises(SettingsError) as refused:
                read_settings(TrainConfig, RECIPE, [(leaf.name, value)])
            assert leaf.name in str(refused.value)
            assert "\n" not in str(refused.value)


def _is_number(value: object) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return bool(values) and all(type(one) in (int, float) for one in values)
