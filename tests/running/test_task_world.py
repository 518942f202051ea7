"""What a world of tasks offers, by the example's: found by its name, looked at, moved in and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.records import CameraView, Cloud, FusionConfig, KeyframeMode
from mini_diffuser_ros.running import (
    Ending,
    ExpertWorld,
    LaidTask,
    LoopSettings,
    MotionReport,
    SeenWorld,
    TaskWorld,
    WorldError,
    run_instruction,
)
from mini_diffuser_ros.running.world_names import WorldNameError, make_world, world_class
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError

BLOCKS = f"{Path(__file__).parents[2] / 'examples' / 'your_own_world.py'}:Blocks"
TASK = "green_on_red"
Blocks = world_class(BLOCKS)  # here, as MuJoCo starts a process when it is imported first


class Expert:
    """Decides what the world's expert would do; before that, if it is told to, on something out of reach."""

    def __init__(self, world: ExpertWorld, astray: bool = False, actions: list | None = None) -> None:
        self.actions = list(world.expert()) if actions is None else actions
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


def answering(**answers: Any) -> SeenWorld:
    """The example's world that gives other answers: values, or what takes what it would have answered."""

    def answer(name: str) -> Any:
        given = answers[name]
        return lambda self, *words: given(getattr(Blocks, name)(self, *words)) if callable(given) else given

    kind = type("Answering", (Blocks,), {name: answer(name) for name in answers})
    world = kind(Blocks.Settings(image_size=48))
    world.lay_out(TASK, 3)
    return SeenWorld(world, FusionConfig())


@pytest.mark.parametrize("said", [True, np.True_, np.float64(1.0) == 1.0])
def test_a_truth_of_numpy_is_as_good_as_one_of_python(said: Any) -> None:
    assert answering(success=said).success() is True
    assert answering(success=not said).success() is False


@pytest.mark.parametrize("said", [None, 1, 0.5, np.float64(0.5), np.int64(1), "yes", np.array([True, False])])
def test_what_is_neither_true_nor_false_is_the_worlds_failure(said: Any) -> None:
    with pytest.raises(WorldError, match=rf"Answering: success\(\) is .*{type(said).__name__}, expected True or False"):
        answering(success=said).success()
    here = KeyframeMode(np.array([0.5, 0, 0.3, 1, 0, 0, 0]), True, False, 1.0, 0.0)
    with pytest.raises(WorldError, match="expected True or False"):
        answering(success=said).move([here])


def test_a_report_is_taken_as_python_has_it() -> None:
    seen = answering(move=MotionReport(np.int64(1), "there", missed=np.True_))
    report = seen.move([mode_at(0.4), mode_at(0.5)])
    assert (type(report.chosen), report.chosen, report.missed) == (int, 1, True)


def mode_at(x: float) -> KeyframeMode:
    return KeyframeMode(np.array([x, 0, 0.3, 1, 0, 0, 0]), True, False, 1.0, 0.0)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (None, "move\\(\\) is None, a NoneType, expected a MotionReport"),
        (MotionReport(2, "there"), "chosen of a report is 2, .*expected 0 to 1, or None"),
        (MotionReport(-1, "there"), "chosen of a report is -1"),
        (MotionReport(True, "there"), "chosen of a report is True, a bool"),
        (MotionReport(0.0, "there"), "chosen of a report is 0.0, a float"),
        (MotionReport(0, KeyError("there")), "message or refusals of a report is KeyError"),
        (MotionReport(None, "no", (ValueError("far"),)), "message or refusals of a report is ValueError"),
        (MotionReport(0, "there", missed=0.3), "missed of a report is 0.3"),
        (MotionReport(0, "there", reached=np.full(7, np.nan)), "reached of a report is array"),
    ],
)
def test_a_report_of_what_cannot_be_is_the_worlds_failure(report: Any, said: str) -> None:
    with pytest.raises(WorldError, match=said):
        answering(move=report).move([mode_at(0.4), mode_at(0.5)])


def each(**changes: Any) -> Any:
    """Views with other fields."""
    return lambda views: [replace(view, **{name: make(view) for name, make in changes.items()}) for view in views]


def fails(_: Any) -> Any:
    raise UserError("unplugged")


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ([], "no camera views to fuse"),
        (each(depth=lambda view: (1000 * view.depth).astype(np.uint16)), "depth is uint16"),
        (each(color=lambda view: view.color / 255.0), "color is float64"),
        (each(color=lambda view: view.color[:-1]), r"color is uint8 of shape \(47, 48, 3\)"),
        (each(base_from_camera=lambda _: np.full((4, 4), np.nan)), "base_from_camera"),
        (
            each(depth=lambda view: np.full_like(view.depth, np.nan)),
            "anything: depth of front, left",
        ),
        (each(depth=lambda view: np.zeros_like(view.depth)), "no camera measures anything"),
        (fails, "unplugged"),
    ],
)
def test_a_camera_that_fails_is_the_worlds_failure_and_not_the_policys(views: Any, said: str) -> None:
    seen = answering(views=views)
    with pytest.raises(WorldError, match=said):
        run_instruction(seen, Expert(Blocks(Blocks.Settings()), actions=[]), "stack")


def test_a_cloud_that_a_world_makes_itself_is_held_to_that_as_well() -> None:
    class Fusing(Blocks):
        blind = False

        def fuse(self, fusion: FusionConfig) -> Cloud:
            return Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "panda_link0")

        def views(self) -> list[CameraView]:
            return [replace(view, depth=view.depth * (not self.blind)) for view in super().views()]

    world = Fusing(Blocks.Settings(image_size=48))
    world.lay_out(TASK, 3)
    seen = SeenWorld(world, FusionConfig())
    assert len(seen.look(0.0)) == 0, "nothing may lie there"
    world.blind = True
    with pytest.raises(WorldError, match="no camera measures anything"):
        seen.look(0.0)


@pytest.mark.parametrize(
    ("sentences", "variation", "said"),
    [
        ("stack them", 0, "sentences is 'stack them', expected a tuple"),
        ((), 0, r"sentences is \(\), expected a tuple of one or more texts"),
        (("stack", None), 0, "expected a tuple of one or more texts"),
        (("stack", " "), 0, "of which one is empty"),
        (("stack",), -3, "variation is -3, expected a whole number of at least 0"),
        (("stack",), 0.5, "variation is 0.5"),
        (("stack",), True, "variation is True"),
    ],
)
def test_what_is_no_task_is_not_laid_out(sentences: Any, variation: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LaidTask(sentences, variation)


def test_a_task_is_kept_as_python_has_it() -> None:
    laid = LaidTask(["press it", np.str_("push it")], np.int32(2))
    assert laid == LaidTask(("press it", "push it"), 2)
    assert [type(part) for part in (laid.variation, *laid.sentences)] == [int, str, str]


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


def written(folder: Path, *body: str, settings: str = "") -> str:
    """The name of the example's world with other lines in its class."""
    file = folder / "mine.py"
    lines = [
        "from dataclasses import dataclass",
        "from mini_diffuser_ros.running.world_names import world_class",
        f"Blocks = world_class({BLOCKS!r})",
        "@dataclass(frozen=True)",
        "class MySettings:",
        f"    {settings or 'image_size: int = 32'}",
        "class Mine(Blocks):",
        "    Settings, name = MySettings, 'mine'",
        *(f"    {line}" for line in body),
    ]
    file.write_text("\n".join(lines) + "\n")
    return f"{file}:Mine"


def test_the_example_with_other_lines_is_a_world(tmp_path: Path) -> None:
    assert make_world(written(tmp_path)).name == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cell", "kept for real arms"),
        (" Cell ", "kept for real arms"),
        ("unknown", "kept for what does not say"),
        ("simulated table", "kept for this package's"),
        ("libero", "kept for this package's"),
        ("RLBench", "kept for this package's"),
        ("", "expected a text that tells it from other worlds"),
        ("  ", "expected a text that tells it from other worlds"),
        (None, "name is None, expected a text"),
        (3, "name is 3, expected a text"),
    ],
)
def test_a_world_has_a_name_of_its_own(tmp_path: Path, name: Any, said: str) -> None:
    with pytest.raises(WorldNameError, match=said):
        make_world(written(tmp_path, f"name = {name!r}"))


def test_a_world_that_is_made_from_one_of_the_package_is_not_that_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from mini_diffuser_ros.evaluation.tabletop_tasks import TabletopTasks\nclass Mine(TabletopTasks):\n    pass\n"
    )
    with pytest.raises(WorldNameError, match="Mine: name is 'simulated table', which is kept for this package's"):
        make_world(f"{file}:Mine")
    assert make_world("tabletop").name == "simulated table"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (("def __init__(self, settings):", "    raise OSError('no licence')"), "cannot be made: OSError: no licence"),
        (("def __init__(self):", "    pass"), "cannot be made: TypeError: .*__init__"),
        (("tasks = property(lambda self: 1 // 0)",), "tasks: ZeroDivisionError"),
        (("tasks = None",), "tasks is None, expected a tuple of names"),
        (("tasks = 'red_on_green'",), "tasks is 'red_on_green', expected a tuple of names"),
        (("tasks = ('push', 3)",), r"tasks is \('push', 3\), expected a tuple of names"),
        (("tasks = ('push', 'push')",), r"tasks is \('push', 'push'\), expected names, each once"),
        (("tasks = ('push', '')",), "expected names, each once"),
        (("robot = 7",), "robot is 7, expected the name of an arm's description, or None"),
        (("robot = property(lambda self: {}['arm'])",), "robot: KeyError: 'arm'"),
        (("settle = 0.5",), "settle cannot be called, expected methods"),
        (("tasks_per_process = None",), "tasks_per_process is None, expected a whole number of at least 1"),
        (("distributions = 'mujoco'",), "distributions is 'mujoco', expected a tuple of names"),
    ],
)
def test_a_mistake_in_the_class_of_a_world_is_told_in_a_line(tmp_path: Path, body: tuple[str, ...], said: str) -> None:
    makes_itself = ("def __init__(self, settings):", "    pass")  # the example's loads its robot then
    name = written(tmp_path, *body, *(makes_itself if body[0].startswith("robot") else ()))
    with pytest.raises(WorldNameError, match=said) as error:
        make_world(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("image_size: int", "its Settings cannot be made, each field of which has a default: TypeError"),
        ("image_size: int = 3; __post_init__ = lambda self: 1 // 0", "its Settings cannot be made.*ZeroDivisionError"),
    ],
)
def test_a_mistake_in_its_settings_too(tmp_path: Path, settings: str, said: str) -> None:
    with pytest.raises(WorldNameError, match=said):
        make_world(written(tmp_path, settings=settings))
