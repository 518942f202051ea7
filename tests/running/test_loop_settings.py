"""What is evaluated by default is what is deployed by default."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.running.keyframe_motion import ARRIVAL_TOLERANCE
from mini_diffuser_ros.support.settings import from_mapping, read_yaml, to_mapping

CONFIG = Path(__file__).parents[2] / "config"


def shipped(node: str) -> dict[str, Any]:
    """Parameters of a node in the file that its launch reads."""
    parameters: dict[str, Any] = read_yaml(CONFIG / f"{node}.yaml")[f"/**/{node}"]["ros__parameters"]
    return parameters


def test_the_shipped_parameters_of_policy_node_are_the_defaults_of_an_evaluation() -> None:
    names = {entry.name for entry in fields(LoopSettings)}
    given = {name: value for name, value in shipped("policy_node").items() if name in names}
    assert len(given) >= 6
    assert from_mapping(LoopSettings, given, "policy_node.yaml") == LoopSettings()


def test_the_shipped_parameters_of_motion_node_leave_the_planner_as_an_evaluation_has_it() -> None:
    given = shipped("motion_node")
    assert given["arrival_tolerance"] == ARRIVAL_TOLERANCE
    assert not [name for name in given if name.startswith("planner")]


def test_settings_are_stored_whole_and_read_back() -> None:
    for settings in (LoopSettings(), LoopSettings.published_rlbench()):
        assert from_mapping(LoopSettings, to_mapping(settings), "report", complete=True) == settings
