"""What the launch's arguments start, and which it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.bringup.plan import RVIZ_TOPICS, Bringup, plan_bringup
from mini_diffuser_ros.support.errors import UserError

CONFIG = Path(__file__).parents[2] / "config"
SESSION = Path("/session")
SIMULATED = ("perception_node", "policy_node", "motion_node", "guard_node", "sim_node")


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    """The launch's defaults, with a checkpoint and folders of the test's."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    return {
        "robot": "sim",
        "cameras": "front,wrist",
        "camera_driver": "none",
        "cameras_file": "",
        "checkpoint": str(checkpoint),
        "device": "cpu",
        "profile": "",
        "instruction": "",
        "exit_on_done": "false",
        "confirm": "false",
        "dry_run": "false",
        "seed": "0",
        "runs": str(tmp_path / "runs"),
        "record": "false",
        "recordings": str(tmp_path / "recordings" / "cups"),
        "composed": "false",
        "respawn": "false",
        "params": "",
    }


def test_the_simulated_stack(arguments: dict[str, str]) -> None:
    plan = plan_bringup({**arguments, "instruction": " press the blue button ", "seed": "7"}, SESSION)
    assert plan.nodes == SIMULATED
    assert plan.run
    assert not plan.record
    assert plan.overrides["run_node"]["instruction"] == "press the blue button"
    assert plan.overrides["sim_node"]["seed"] == plan.overrides["policy_node"]["seed"] == 7
    assert plan.overrides["perception_node"]["checkpoint"] == arguments["checkpoint"]


def test_a_lab(arguments: dict[str, str]) -> None:
    lab = {"robot": "fr3", "camera_driver": "realsense", "cameras_file": str(CONFIG / "cameras.yaml"), "record": "true"}
    plan = plan_bringup({**arguments, **lab}, SESSION)
    assert set(plan.nodes) == {
        "perception_node",
        "policy_node",
        "motion_node",
        "guard_node",
        "realsense_node",
        "extrinsics_node",
    }
    assert plan.overrides["realsense_node"]["serials"] == ["000000000001", "000000000002"]
    assert plan.overrides["recorder_node"]["folder"] == arguments["recordings"]
    assert plan.record
    assert not plan.run


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exit_on_done": "true"}, "needs an instruction"),
        ({"checkpoint": "/nowhere"}, "checkpoint '/nowhere' is no checkpoint directory"),
        ({"cameras": " , "}, "names no camera"),
        ({"cameras": "front,wrist,front"}, "camera 'front' is named twice"),
        ({"cameras": "front,left-shoulder"}, "camera 'left-shoulder' cannot be part"),
        ({"seed": "x"}, "seed 'x' is no whole number"),
        ({"seed": str(2**31)}, "is no whole number"),
        ({"params": "/nowhere.yaml"}, "params:=/nowhere.yaml is no file"),
        ({"record": "true", "recordings": "/dev/null/x"}, "recordings:=/dev/null/x cannot be written"),
        ({"instruction": "wave", "runs": "/dev/null/x"}, "runs:=/dev/null/x cannot be written"),
        ({"camera_driver": "realsense"}, "brings its own cameras"),
        ({"camera_driver": "realsense", "robot": "fr3"}, "serial number of 'front'"),
        ({"cameras_file": "/nowhere.yaml", "robot": "fr3"}, "camera file /nowhere.yaml cannot be read"),
        ({"composed": "true", "respawn": "true", "instruction": "wave"}, "again after a crash"),
    ],
)
def test_what_cannot_be_followed_is_named_in_one_line(
    arguments: dict[str, str], changed: dict[str, str], reason: str
) -> None:
    with pytest.raises(UserError) as refused:
        plan_bringup({**arguments, **changed}, SESSION)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_realsense_needs_no_serial_number(arguments: dict[str, str]) -> None:
    plan = plan_bringup({**arguments, "camera_driver": "realsense", "robot": "fr3", "cameras": "front"}, SESSION)
    assert plan.overrides["realsense_node"]["serials"] == [""]


def test_rviz_shows_topics_that_a_namespace_moves() -> None:
    displays = yaml.safe_load((CONFIG / "mini_diffuser.rviz").read_text())["Visualization Manager"]["Displays"]
    topics = [display.get("Topic", display.get("Description Topic")) for display in displays]
    assert {topic["Value"] for topic in topics if topic} == {f"/{topic}" for topic in RVIZ_TOPICS}


@given(st.text(), st.lists(st.text(), min_size=1))
def test_values_survive_the_parameter_file(text: str, texts: list[str]) -> None:
    values = {"text": text, "texts": texts, "number": 3, "flag": True}
    written = Bringup((), False, False, {"policy_node": values, "motion_node": {}}).parameter_file()
    assert yaml.safe_load(written) == {"/**/policy_node": {"ros__parameters": values}}


def test_a_profile_goes_to_motion(arguments: dict[str, str], tmp_path: Path) -> None:
    assert "profile" not in plan_bringup(arguments, SESSION).overrides["motion_node"]
    assert plan_bringup({**arguments, "profile": "fast"}, SESSION).overrides["motion_node"]["profile"] == "fast"
    mine = tmp_path / "mine.yaml"
    mine.write_text("max_tool_speed: 0.1")
    assert plan_bringup({**arguments, "profile": str(mine)}, SESSION).overrides["motion_node"]["profile"] == str(mine)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("colaborative", "unknown profile 'colaborative'; did you mean 'collaborative'?"),
        ("./nowhere.yaml", "cannot be read"),
    ],
)
def test_a_profile_that_is_none_is_refused_before_anything_starts(
    arguments: dict[str, str], profile: str, words: str
) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        plan_bringup({**arguments, "profile": profile}, SESSION)
