"""Demonstrations of a world's expert: what is recorded of them, and ``record --world file.py:Class``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.evaluation import EvaluationProtocol
from mini_diffuser_ros.records import CameraView, KeyframeMode
from mini_diffuser_ros.running import DemonstrationFailed, KeyframeAction, MotionReport, WorldError
from mini_diffuser_ros.running.demonstrating import demonstrate_in
from mini_diffuser_ros.running.recording import Recorder, WorldSource
from mini_diffuser_ros.running.world_names import world_class
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.workers import WorkerLimits

EXAMPLE = Path(__file__).parents[2] / "examples" / "your_own_world.py"
BLOCKS = f"{EXAMPLE}:Blocks"
TASK = "red_on_green"
Blocks = world_class(BLOCKS)


def blocks(kind: type = Blocks) -> Blocks:
    return kind(Blocks.Settings(image_size=48))


def test_an_episode_has_what_was_seen_before_and_after_each_action(tmp_path: Path) -> None:
    world = blocks()
    episode = demonstrate_in(world, TASK, 2)
    world.lay_out(TASK, 2)
    actions = list(world.expert())
    assert (episode.task, episode.sentences) == (TASK, ("stack the red block on the green block",))
    assert len(episode.keyframes) == len(actions) + 1
    for keyframe, action in zip(episode.keyframes[1:], actions, strict=True):
        assert keyframe.pose == pytest.approx(action.pose, abs=2e-3)
        assert keyframe.gripper_open == action.gripper_open
    stamps = [keyframe.stamp for keyframe in episode.keyframes]
    assert stamps == sorted(set(stamps))
    assert stamps[0] == 0.0
    EpisodeStore(tmp_path, "panda").write(episode, 2)
    (stored,) = open_episodes(tmp_path)
    assert stored.provenance.worlds == ("blocks",)
    assert len(stored.keyframes[0].cloud) > 10


class Clumsy(Blocks):
    """Its expert grasps beside the block first."""

    def expert(self) -> Iterator[KeyframeAction]:
        first, *others = super().expert()
        beside = first.pose - [0.06, 0.0, 0.1, 0, 0, 0, 0]
        yield KeyframeAction(beside, True)
        yield KeyframeAction(beside, False)
        assert not self.held
        yield replace(first, begins=True)
        yield from others


def test_an_attempt_that_failed_is_not_recorded_but_what_it_left_is() -> None:
    episode, plain = demonstrate_in(blocks(Clumsy), TASK, 2), demonstrate_in(blocks(), TASK, 2)
    assert len(episode.keyframes) == len(plain.keyframes)
    assert not episode.keyframes[0].gripper_open
    assert plain.keyframes[0].gripper_open
    assert episode.keyframes[0].pose[:3] != pytest.approx(plain.keyframes[0].pose[:3], abs=0.05)
    assert episode.keyframes[1].pose == pytest.approx(plain.keyframes[1].pose, abs=2e-3)


class Measured(Blocks):
    """One whose motions end a little above, which only their report says, and whose second camera sees nothing."""

    def move(self, candidates: list[KeyframeMode]) -> MotionReport:
        report = super().move(candidates)
        return replace(report, missed=True, reached=np.add(report.reached, [0, 0, 0.004, 0, 0, 0, 0]))

    def views(self) -> list[CameraView]:
        front, left = super().views()
        return [front, replace(left, depth=np.zeros_like(left.depth))]


def test_the_pose_is_the_reports_and_what_measures_nothing_is_left_out() -> None:
    episode, plain = demonstrate_in(blocks(Measured), TASK, 2), demonstrate_in(blocks(), TASK, 2)
    above = [one.pose[2] - other.pose[2] for one, other in zip(episode.keyframes, plain.keyframes, strict=True)]
    assert above == pytest.approx([0.0] + [0.004] * (len(above) - 1), abs=1e-6)
    assert {view.name for keyframe in episode.keyframes for view in keyframe.views} == {"front"}


class Pressed(Blocks):
    """One whose second camera is against something."""

    def views(self) -> list[CameraView]:
        front, left = super().views()
        return [front, replace(left, depth=np.full_like(left.depth, 0.025))]


def test_a_camera_that_is_nearer_than_one_measures_is_left_out() -> None:
    episode = demonstrate_in(blocks(Pressed), TASK, 2)
    assert {view.name for keyframe in episode.keyframes for view in keyframe.views} == {"front"}


class Millimetres(Blocks):
    """One whose depth is another's."""

    def views(self) -> list[CameraView]:
        return [replace(view, depth=(1000 * view.depth).astype(np.uint16)) for view in super().views()]


def test_a_view_that_can_be_none_is_the_worlds_failure() -> None:
    with pytest.raises(WorldError, match="Millimetres: view of camera 'front': depth is uint16"):
        demonstrate_in(blocks(Millimetres), TASK, 2)


class Stuck(Blocks):
    def move(self, candidates: list[KeyframeMode]) -> MotionReport:
        raise UserError("the arm is blocked")


class Lost(Blocks):
    def expert(self) -> Iterator[KeyframeAction]:
        yield KeyframeAction(np.array([9.0, 0, 0, 1, 0, 0, 0]), True)


class Idle(Blocks):
    def expert(self) -> Iterator[KeyframeAction]:
        yield KeyframeAction(self.tcp_pose(), True)


class Endless(Blocks):
    def expert(self) -> Iterator[KeyframeAction]:
        while True:
            yield KeyframeAction(self.tcp_pose(), True)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Stuck, "the arm is blocked"),
        (Lost, "workspace"),
        (Idle, "not done at the end"),
        (Endless, "has not come to an end"),
    ],
)
def test_what_does_not_reach_its_goal_is_no_demonstration(kind: type, why: str) -> None:
    world = kind(Blocks.Settings(image_size=16))
    with pytest.raises(DemonstrationFailed, match=why):
        demonstrate_in(world, TASK, 0)


class Doubtful(Blocks):
    """One that says how likely its task is done."""

    def success(self) -> float:
        return np.float64(0.5)


def test_what_is_neither_done_nor_not_done_is_no_demonstration() -> None:
    with pytest.raises(WorldError, match=r"Doubtful: success\(\) is .*expected True or False"):
        demonstrate_in(blocks(Doubtful), TASK, 2)


FAULTY = Path(__file__).parents[1] / "evaluation" / "faulty_world.py"


def record(out: Path, world: str, *words: str) -> int:
    return main(["record", "--world", world, "--out", str(out), "--workers", "1", "--seed", "0", *words])


def seeds(out: Path, task: str = TASK) -> list[int]:
    return sorted(EpisodeStore(out, "panda").seeds(task))


def test_demonstrations_are_not_of_the_layouts_that_evaluations_begin_with(tmp_path: Path) -> None:
    words = ["record", "--world", BLOCKS, "--world-options", "image_size=32", "--out", str(tmp_path), "--workers", "1"]
    assert main([*words, "--tasks", TASK, "--episodes", "1"]) == 0
    (seed,) = seeds(tmp_path)
    assert seed not in range(EvaluationProtocol().seed, EvaluationProtocol().seed + 1000)


def test_seeds_that_fail_are_replaced_and_the_reasons_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, options = tmp_path / "out", ["--world-options", "impossible=[4]", "broken=[6]", "mistaken=[7]"]
    words = ["--tasks", TASK, "--seed", "4"]
    assert record(out, f"{FAULTY}:Faulty", *words, "--episodes", "2", *options) == 0
    assert seeds(out) == [5, 8]
    said = capsys.readouterr().out
    assert f"{TASK}: 2 episodes, 3 failed and were replaced" in said
    assert f"1 x {TASK}: no room with seed #" in said
    assert "1 x the cameras fell silent" in said
    assert "ZeroDivisionError: a mistake in views" in said
    kept = (out / f"{TASK}-seed00000005.zip").stat().st_mtime_ns
    assert record(out, f"{FAULTY}:Faulty", *words, "--episodes", "3", *options) == 0
    assert seeds(out) == [5, 8, 9]
    assert (out / f"{TASK}-seed00000005.zip").stat().st_mtime_ns == kept


@pytest.mark.parametrize("kind", ["Faulty", pytest.param("Heavy", marks=pytest.mark.process)])
def test_a_task_that_always_fails_keeps_no_other_from_its_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    options = ["--world-options", f"undoable=[{TASK}]"]
    assert record(tmp_path / "out", f"{FAULTY}:{kind}", "--episodes", "2", *options) == 1
    assert seeds(tmp_path / "out") == []
    assert seeds(tmp_path / "out", "green_on_red") == [0, 1]
    told = capsys.readouterr()
    assert "green_on_red: 2 episodes\n" in told.out
    assert f"{TASK}: 0 of 2 episodes: given up, as it failed again and again; last: {TASK}: never" in told.err


def test_a_world_that_never_starts_is_tried_three_times_for_each_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "laid"
    options = ["--world-options", "never_starts=true", f"log={log}"]
    assert record(tmp_path / "out", f"{FAULTY}:Faulty", "--episodes", "20", *options) == 1
    assert len(log.read_text().splitlines()) == 6
    assert "green_on_red: 0 of 20 episodes: given up, as it failed again and again; last: " in capsys.readouterr().err


def test_mistakes_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--world-options", "image_size=32", "--episodes", "1", "--tasks", TASK]
    assert record(tmp_path / "out", BLOCKS, *small) == 0
    for world, words, said in (
        (BLOCKS, ["--episodes", "1"], "was recorded with {'world':"),
        (BLOCKS, [*small, "--renderer", "rays"], "--renderer is an option of --world tabletop alone"),
        (BLOCKS, [*small, "--tasks", "juggle"], "unknown task 'juggle'; tasks: all, red_on_green, green_on_red"),
        ("moon", small, "unknown world 'moon'"),
        ("tabletop", ["--episodes", "1", "--world-options", "a=1"], "--world-options are for worlds that"),
        (f"{FAULTY}:Unattended", ["--episodes", "1"], "has no expert"),
    ):
        assert record(tmp_path / "out", world, *words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error


@pytest.mark.parametrize("kind", ["Faulty", pytest.param("Heavy", marks=pytest.mark.process)])
def test_a_mistake_of_one_tasks_expert_keeps_no_other_from_its_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    log = tmp_path / "laid"
    options = ["--world-options", f"untaught=[{TASK}]", f"log={log}"]
    assert record(tmp_path / "out", f"{FAULTY}:{kind}", "--episodes", "2", *options) == 1
    assert seeds(tmp_path / "out", "green_on_red") == [0, 1]
    assert len([line for line in log.read_text().splitlines() if TASK in line]) == 3
    assert f"{TASK}: 0 of 2 episodes: given up" in (said := capsys.readouterr().err)
    assert "no grasp of it is known; add one" in said


def test_a_mistake_of_every_tasks_expert_ends_the_recording_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "laid"
    options = ["--world-options", f"untaught=[{TASK}, green_on_red]", f"log={log}"]
    assert record(tmp_path / "out", f"{FAULTY}:Faulty", "--episodes", "2", *options) == 2
    assert capsys.readouterr().err.endswith("mini-diffuser record: no grasp of it is known; add one\n")
    assert len(log.read_text().splitlines()) == 2, "one try of each"


@pytest.mark.process
def test_a_world_that_hangs_costs_its_seed_and_one_that_never_closes_keeps_nobody_waiting(tmp_path: Path) -> None:
    source = WorldSource(f"{FAULTY}:Faulty", ("hanging=[0]", "clinging=true", "image_size=32"))
    recorder = Recorder(source, tmp_path, [TASK], 2, 0, workers=2, limits=WorkerLimits(item=40.0, close=1.0))
    outcomes = {outcome.seed: outcome.failure for outcome in recorder.run()}
    assert seeds(tmp_path) == [1, 2]
    assert "was killed that had not come to an end in 40 s" in (outcomes[0] or "")
    assert outcomes[1] is outcomes[2] is None


def test_a_recording_goes_on_in_the_same_world_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, small = tmp_path / "out", ["--tasks", TASK, "--world-options", "image_size=32"]
    assert record(out, f"{FAULTY}:Faulty", "--tasks", TASK, "--episodes", "1") == 0
    # By another path, with a default said, and with what a former version wrote.
    monkeypatch.chdir(FAULTY.parents[1])
    assert record(out, "evaluation/../evaluation/faulty_world.py:Faulty", *small, "--episodes", "2") == 0
    (out / ".world").write_text(json.dumps({"world": f"{FAULTY}:Faulty", "options": ["image_size=32"]}))
    assert record(out, f"{FAULTY}:Faulty", "--tasks", TASK, "--episodes", "3") == 0
    assert len(seeds(out)) == 3


def test_worlds_do_not_come_together_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, table = tmp_path / "blocks", tmp_path / "table"
    blocks_in = ["--world-options", "image_size=32", "--tasks", TASK]
    push = ["--tasks", "push_buttons", "--image-size", "32"]
    assert record(out, BLOCKS, *blocks_in, "--episodes", "1") == 0
    assert record(table, "tabletop", *push, "--episodes", "1") == 0

    def refused(folder: Path, world: str, *words: str) -> str:
        assert record(folder, world, *words, "--episodes", "2") == 2
        return capsys.readouterr().err

    assert "was recorded with {'world':" in refused(out, "tabletop", *push)
    assert "was recorded with {'world': 'tabletop'" in refused(table, BLOCKS, *blocks_in)
    assert "was recorded with --image-size 32, not 48" in refused(table, "tabletop", *push[:2], "--image-size", "48")
    assert "'settings'" in refused(out, BLOCKS, "--world-options", "image_size=33", "--tasks", TASK)
    other = tmp_path / "other.py"
    named = "from mini_diffuser_ros.running.world_names import world_class"
    other.write_text(f"{named}\nBlocks = world_class({BLOCKS!r})\n")
    assert "was recorded with" in refused(out, f"{other}:Blocks", *blocks_in)

    # Without the file that says it: what episodes say is known of the table-top alone.
    (out / ".world").unlink()
    (table / ".world").unlink()
    assert "holds episodes, and no .world" in refused(out, BLOCKS, *blocks_in)
    assert "holds episodes of blocks, not of simulated table alone" in refused(out, "tabletop", *push)
    assert record(table, "tabletop", *push, "--episodes", "2") == 0
    (out / f"{TASK}-seed{seeds(out)[0]:08d}.zip").rename(table / f"{TASK}-seed00000007.zip")
    said = refused(table, "tabletop", *push)
    assert "holds episodes of blocks, simulated table, not of simulated table alone" in said


class Posing(Blocks):
    """One that says to be a real arm's cell."""

    name = "cell"


def test_no_simulation_is_recorded_as_a_real_arms_cell() -> None:
    with pytest.raises(UserError, match="Posing: name is 'cell', which is kept for real arms"):
        demonstrate_in(blocks(Posing), TASK, 2)


def test_episodes_come_to_where_the_command_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    options = ["--world-options", f"moves_to={there}"]
    assert record(Path("out"), f"{os.path.relpath(FAULTY)}:Faulty", "--tasks", TASK, "--episodes", "1", *options) == 0
    assert not any(there.iterdir())
    assert len(seeds(here / "out")) == 1


@pytest.mark.process
def test_a_process_records_one_task_of_a_heavy_world(tmp_path: Path) -> None:
    out, laid = tmp_path / "out", tmp_path / "laid"
    options = ["--world-options", "impossible=[1]", f"log={laid}"]
    assert record(out, f"{FAULTY}:Heavy", "--episodes", "2", *options) == 0
    assert seeds(out) == seeds(out, "green_on_red") == [0, 2]
    lines = [line.split() for line in laid.read_text().splitlines()]
    by_process = {process: {task for other, task, _ in lines if other == process} for process, _, _ in lines}
    assert all(len(tasks) == 1 for tasks in by_process.values())
