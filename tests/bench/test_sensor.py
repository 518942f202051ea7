"""What the benchmarks of cameras with errors measure, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mini_diffuser_ros.bench.sensor import ALL, SensorSetting, plot
from mini_diffuser_ros.bench.sensor_decisions import instants
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.simulation import TASKS


def test_every_scale_and_every_subset_is_measured_once() -> None:
    setting = SensorSetting(checkpoint="policy", out=Path("sensor"), scales=(0.0, 1.0, 2.0), subsets=True, episodes=3)
    protocols = list(setting.protocols())
    assert [(scale, one.cameras) for scale, one in protocols[:3]] == [(0.0, ALL), (1.0, ALL), (2.0, ALL)]
    assert len(protocols) == 3 + 6
    assert len({one.cameras for _, one in protocols}) == 7
    assert protocols[2][1].sensor == "d435 scale=2.0"
    assert all(one.episodes == 3 and one.seed == setting.seed for _, one in protocols)


def test_what_the_file_holds_is_not_measured_again_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    tasks = {task: {"success": 0.5, "interval": [0.1, 0.9], "episodes": 2} for task in TASKS}
    about = {"label": "p", "sensor": "d435", "scale": 1.0, "cameras": list(ALL), "fusion": "", "seed": 300000}
    row = {**about, "success": 0.5, "interval": [0.2, 0.8], "episodes": 6, "tasks": tasks}
    (tmp_path / "r.json").write_text(json.dumps([row]))
    words = ["bench", "sensor", "no such policy", "--label", "p", "--scales", "1", "--episodes", "2", "--json"]
    assert main([*words, "--out", str(tmp_path / "r")]) == 0
    assert json.loads(capsys.readouterr().out)["success"] == 0.5
    assert json.loads((tmp_path / "r.json").read_text()) == [row]
    assert 1000 < (tmp_path / "r.png").stat().st_size < 100_000
    plot([row, {**row, "cameras": ["wrist"]}], tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 1000


def test_the_expert_is_seen_before_each_of_its_keyframes() -> None:
    seen, robot = instants(1, 310000)
    assert [one.ends for one in seen].count(True) == len(TASKS)
    assert {one.task for one in seen} == set(TASKS)
    for one in seen:
        assert [view.name for view in one.views] == list(ALL)
        assert set(robot.arm_joint_names) <= set(one.joints)
        assert one.sentence
