"""Settings of the planner are validated by name."""

import math

import pytest
import yaml

from mini_diffuser_ros.motion import MotionConfig, StaticBox
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
