"""What a world of tasks offers, by the example's: found by its name, looked at, moved in and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.records import Cloud, FusionConfig, KeyframeMode
from mini_diffuser_ros.running import Ending, ExpertWorld, LoopSettings, SeenWorld, TaskWorld, run_instruction
from mini_diffuser_ros.running.world_names import WorldNameError, make_world, world_class
from mini_diffuser_ros.support.settings import SettingsError

BLOCKS = f"{Path(__file__).parents[2] / 'examples' / 'your_own_world.py'}:Blocks"
TASK = "green_on_red"
world_class(BLOCKS)  # here, as MuJoCo starts a process when it is imported first


class Expert:
    """Decides what the world's expert would do; before that, if it is told to, on something out of reach."""

    def __init__(self, world: ExpertWorld, astray: bool = False) -> None:
        self.actions = list(world.expert())
        self.astray = astray
        self.clouds: list[Cloud] = []

    def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> Sequence[KeyframeMode]:
        action = self.actions[len(self.clouds)]
        self.clouds.append(cloud)
        is_last = len(self.clouds) == len(self.actions)
        mode = KeyframeMode(action.pose, action.gripper_open, is_last, 0.5, 0.0)
        far = KeyframeMode(np.add(action.pose, [3, 0, 0, 0, 0, 0, 0]), action.gripper_open, is_last, 0.5, 0.0)
        return [far, mode] if self.astray else [mode]


@pytest.fixture
def world() -> TaskWorld:
    made = make_world(BLOCKS, ["image_size=48"])
    made.lay_out(TASK, 3)
    return made


def test_a_seed_lays_out_the_same_whatever_was_there_before(world: TaskWorld) -> None:
    first = world.views()
    world.move([KeyframeMode(world.tcp_pose() - [0, 0, 0.2, 0, 0, 0, 0], False, False, 1.0, 0.0)])
    world.lay_out(TASK, 4)
    other = world.views()
    assert world.lay_out(TASK, 3).sentences == ("stack the green block on the red block",)
    again = world.views()
    assert [view.color.tobytes() for view in first] == [view.color.tobytes() for view in again]
    assert [view.color.tobytes() for view in first] != [view.color.tobytes() for view in other]
    assert world.gripper_is_open()


def test_what_is_seen_is_fused_without_the_arm_and_lies_where_the_blocks_are(world: TaskWorld) -> None:
    cloud = SeenWorld(world, FusionConfig()).look(0.3)
    red = cloud.points[(cloud.colors == [220, 15, 15]).all(axis=1)]
    assert cloud.frame == "panda_link0"
    assert red[:, 2].max() == pytest.approx(0.04, abs=0.002)
    assert np.ptp(red[:, :2], axis=0) == pytest.approx([0.04, 0.04], abs=0.01)


def test_a_sentence_is_obeyed_and_judged(world: TaskWorld) -> None:
    assert isinstance(world, ExpertWorld)
    expert = Expert(world, astray=True)
    result = run_instruction(SeenWorld(world, FusionConfig()), expert, "stack", LoopSettings(ends_on="reward"))
    assert (result.ending, result.keyframes) == (Ending.REWARDED, 5)  # released; the retreat is not waited for
    assert {decision.report.chosen for decision in result.decisions} == {1}
    assert world.success()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("moon", "unknown world 'moon'; known: .*package.module:Class"),
        ("no_such_package.worlds:World", "cannot be imported: ModuleNotFoundError"),
        ("no_such_file.py:World", "cannot be imported: FileNotFoundError"),
        (BLOCKS.replace("Blocks", "Bricks"), "has no class Bricks"),
        ("pathlib:Path", "the class has no Settings"),
    ],
)
def test_what_is_no_world_is_told_in_a_line(name: str, said: str) -> None:
    with pytest.raises(WorldNameError, match=said) as error:
        make_world(name)
    assert "\n" not in str(error.value)


def test_a_class_that_lacks_what_a_world_offers_is_told_what(tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass HalfSettings:\n    size: int = 3\n"
        "class Half:\n    Settings = HalfSettings\n    name, robot, tasks = 'half', None, ()\n"
        "    def __init__(self, settings):\n        self.size = settings.size\n"
        "    def views(self):\n        return []\n"
    )
    with pytest.raises(WorldNameError, match=r"has no lay_out, settle, joint_positions, .*success, close, which"):
        make_world(f"{file}:Half", ["size=2"])
    with pytest.raises(SettingsError, match=r"sise is unknown: .*did you mean 'size'"):
        make_world(f"{file}:Half", ["sise=2"])
