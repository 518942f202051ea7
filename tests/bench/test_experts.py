"""What is measured of experts: a world of one task, whose arm comes to rest a millimetre off."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.experts import BENCHMARK, Settings

WORLD = """
from dataclasses import dataclass
import numpy as np
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.task_world import DemonstrationFailed, KeyframeAction, LaidTask, LayoutError

@dataclass(frozen=True)
class NoSettings:
    pass

class OneTask:
    Settings, name, robot, tasks = NoSettings, "toys", None, ("reach",)

    def __init__(self, settings):
        pass

    def lay_out(self, task, seed):
        if seed == 3:
            raise LayoutError("nothing fits")
        self.seed = seed
        return LaidTask(("reach",))

    def settle(self, seconds): ...
    def views(self): ...
    def joint_positions(self): ...
    def tcp_pose(self): ...
    def gripper_is_open(self): ...
    def close(self): ...

    def expert(self):
        if self.seed == 1:
            raise DemonstrationFailed("lost its way")
        yield KeyframeAction(np.array([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0]), True, self.seed == 2)

    def move(self, candidates):
        off = np.array([0.001, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        return MotionReport(0, "reached", reached=candidates[0].pose + off, missed=self.seed == 4)

    def success(self):
        return True
"""


def test_each_layout_is_counted_with_how_exactly_the_arm_came(tmp_path: Path) -> None:
    file = tmp_path / "one_task.py"
    file.write_text(WORLD, encoding="utf-8")
    (row,) = BENCHMARK.rows([Settings(world=f"{file}:OneTask", options="", episodes=5, seed=0)])
    assert (row.task, row.solved, row.layouts, row.begun_anew, row.keyframes) == ("reach", 2, 4, 1, 2)
    assert row.mean_mm == pytest.approx(1.0)
    assert row.worst_deg == pytest.approx(0.0)
    assert row.failure == "seed 1: lost its way"
    with pytest.raises(BenchError, match="reach"):
        list(BENCHMARK.rows([Settings(world=f"{file}:OneTask", options="", tasks=("reech",))]))
