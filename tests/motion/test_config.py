"""Settings of the planner are validated by name."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.cell import CellSpeeds, read_cell
from mini_diffuser_ros.motion import MotionConfig, StaticBox
from mini_diffuser_ros.motion.config import fitted_to
from mini_diffuser_ros.motion.profiles import PROFILES, load_profile, slowed
from mini_diffuser_ros.support.settings import SettingsError, from_mapping


def test_values_of_yaml_become_a_config() -> None:
    text = """
    velocity_scaling: 0.3
    workspace: {lower: [0.2, -0.4, 0.0], upper: [0.8, 0.4, 0.5]}
    ik_restarts: 5
    gripper_symmetry: false
    boxes:
      - {name: wall, center: [0.5, 0, 0.2], half_extents: [0.1, 0.02, 0.2], yaw: 0.3}
    """
    config = from_mapping(MotionConfig, yaml.safe_load(text), "motion.yaml")

    assert config.velocity_scaling == 0.3
    assert config.workspace.lower == (0.2, -0.4, 0.0)
    assert config.ik_restarts == 5
    assert config.gripper_symmetry is False
    assert config.boxes == (StaticBox("wall", (0.5, 0.0, 0.2), (0.1, 0.02, 0.2), 0.3),)


def test_unknown_field_is_named_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"motion\.yaml: speed is unknown: unknown field 'speed'; "):
        from_mapping(MotionConfig, {"speed": 1}, "motion.yaml")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("velocity_scaling", 0.0),
        ("velocity_scaling", math.nan),
        ("velocity_scaling", "fast"),
        ("acceleration_scaling", 1.5),
        ("jerk_scaling", -1.0),
        ("sample_period", 0.0),
        ("workspace", {"lower": [0.0, 1.0], "upper": [0.8, 0.6, 0.9]}),
        ("workspace", {"lower": 3.0, "upper": [0.8, 0.6, 0.9]}),
        ("workspace", {"lower": [0.15, -0.6, 0.0], "upper": [0.1, 0.6, 0.9]}),
        ("workspace", {"lower": [0.15, -0.6, 0.0], "upper": [math.inf, 0.6, 0.9]}),
        ("arm_clearance", 0.5),
        ("finger_clearance", -0.001),
        ("table_height", math.nan),
        ("planning_time", math.inf),
        ("max_tilt", 4.0),
        ("gripper_opening", 1.1),
        ("gripper_symmetry", 1),
        ("ik_iterations", 0),
        ("ik_restarts", 2.5),
        ("seed", -1),
        ("boxes", "wall"),
        ("boxes", [{"name": "wall", "center": [0.5, 0.0]}]),
        ("boxes", [{"name": "wall", "center": [0.5, 0.0, 0.1], "half_extents": [0.1, 0.0, 0.1]}]),
        ("boxes", [{"name": "table", "center": [0.5, 0.0, 0.1], "half_extents": [0.1, 0.1, 0.1]}]),
    ],
)
def test_wrong_value_is_refused_in_one_line_naming_the_field(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"^motion\.yaml: {field}") as refused:
        from_mapping(MotionConfig, {field: value}, "motion.yaml")

    assert "\n" not in str(refused.value)


def test_profiles_are_settings_of_the_planner() -> None:
    assert set(PROFILES) >= {"simulation", "collaborative", "fast"}
    assert load_profile("collaborative").max_tool_speed == 0.25
    assert load_profile("simulation") == MotionConfig()
    assert load_profile("collaborative").workspace == MotionConfig().workspace


def test_real_arms_are_collaborative_and_the_simulated_one_is_not() -> None:
    robots = Path(__file__).parents[2] / "config" / "robots"

    profiles = {
        file.stem: yaml.safe_load(file.read_text())["/**/motion_node"]["ros__parameters"].get("profile")
        for file in robots.glob("*.yaml")
    }

    assert profiles.pop("sim") == "simulation"
    assert set(profiles.values()) == {None}  # which motion_node takes for collaborative, or what the cell says


def test_a_profile_of_ones_own_is_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("max_tool_speed: 0.1")
    assert load_profile(str(file)).max_tool_speed == 0.1

    file.write_text("max_tool_speed: 250")
    with pytest.raises(SettingsError, match=r"max_tool_speed is 250.*expected a number in"):
        load_profile(str(file))


def test_a_fraction_of_the_speed_slows_joints_and_tool() -> None:
    half = slowed(load_profile("collaborative"), 0.5)

    assert half.max_tool_speed == 0.125
    assert half.velocity_scaling == load_profile("collaborative").velocity_scaling / 2.0
    assert half.acceleration_scaling == load_profile("collaborative").acceleration_scaling


def test_a_cell_says_where_and_how_fast_the_arm_moves() -> None:
    cell = read_cell(Path(__file__).parents[2] / "config" / "cells" / "example.yaml")
    config = fitted_to(replace(cell, speeds=CellSpeeds(None, 0.2)), MotionConfig(velocity_scaling=0.4))
    assert (config.workspace, config.table_height, config.boxes) == (cell.workspace, cell.table.height, cell.boxes)
    assert config.velocity_scaling == 0.4
    assert config.max_tool_speed == 0.2


@pytest.mark.parametrize("profile", sorted(PROFILES))
@given(speed=st.floats(0.001, 4.0))
def test_a_cell_makes_no_profile_faster(profile: str, speed: float) -> None:
    cell = read_cell(Path(__file__).parents[2] / "config" / "cells" / "example.yaml")
    limits = load_profile(profile)
    config = fitted_to(replace(cell, speeds=CellSpeeds(profile, speed)), limits)
    assert config.max_tool_speed == min(speed, limits.max_tool_speed)
