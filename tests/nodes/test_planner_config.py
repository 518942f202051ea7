"""What motion_node plans with: the slowest of what cell, profile and parameters say, in metres and radians."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mini_diffuser_ros.cell import CellSpeeds, read_cell
from mini_diffuser_ros.nodes.motion_node import planner_config
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.support.settings import SettingsError

CELL = read_cell(Path(__file__).parents[2] / "config" / "cells" / "example.yaml")


class Declaring:
    """A node that is given parameters."""

    def __init__(self, **given: Any) -> None:
        self._given = given

    def declare_parameter(self, name: str, default: Any, descriptor: Any) -> SimpleNamespace:
        value = self._given.get(name, () if name == "planner.boxes" else default)
        return SimpleNamespace(value=value)


def config(speeds: CellSpeeds, **given: Any) -> Any:
    return planner_config(Parameters(Declaring(**given)), replace(CELL, speeds=speeds))  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", [None, "collaborative"])
def test_no_cell_makes_a_collaborative_arm_faster(profile: str | None) -> None:
    assert config(CellSpeeds(profile, 1.5)).max_tool_speed == 0.25
    assert config(CellSpeeds(profile, 0.1, speed=50.0)).max_tool_speed == 0.05


@pytest.mark.parametrize("percent", [1.0, 7.0, 100.0])
def test_percent_of_a_cell_are_percent(percent: float) -> None:
    whole = config(CellSpeeds("fast"))
    assert config(CellSpeeds("fast", speed=percent)).max_tool_speed == pytest.approx(
        whole.max_tool_speed * percent / 100.0
    )


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("planner.table_height", -3.0, r"planner.table_height is -3, expected metres in \[-1.5, 1.5\]"),
        ("planner.workspace.lower", [250.0, -380.0, 4.0], "planner.workspace.lower is .* if these are millimetres"),
        ("planner.workspace.upper", [80.0, 38.0, 55.0], r"\[0.8, 0.38, 0.55\] if these are centimetres"),
        ("planner.boxes", [950.0, 0.0, 500.0, 20.0, 1000.0, 500.0, 90.0], "center of box 1, is .* if these are mill"),
    ],
)
def test_what_can_only_be_of_another_unit_is_refused(name: str, value: object, line: str) -> None:
    given = {name: value}
    if name == "planner.workspace.lower":
        given["planner.workspace.upper"] = [800.0, 380.0, 550.0]
    with pytest.raises(SettingsError, match=line):
        config(CellSpeeds(), **given)
