"""``eval --world file.py:Class``: any world of tasks is evaluated, whatever it does, and gone on with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.evaluation.episode_log import EpisodeLog
from mini_diffuser_ros.evaluation.evaluating import evaluate as evaluate_trials
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.world_episodes import WorldProtocol, run_world_trial, world_trials
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.running.world_names import world_class
from mini_diffuser_ros.support.workers import WorkerLimits

WORLDS = Path(__file__).with_name("faulty_world.py")
DEADLINE = 300.0  # seconds, on a busy machine
QUICK = ["--samples", "2", "--steps", "1", "--keyframe-limit", "1", "--workers", "1", "--tasks", "red_on_green"]
world_class(f"{WORLDS}:Faulty")  # here, as MuJoCo starts a process when it is imported first


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    config = MiniDiffuserConfig.small(scene={"voxel_size": 0.02}, losses={"heatmap_level": 0})
    torch.manual_seed(0)
    save_policy(MiniDiffuser(config), folder, fusion=FusionConfig())
    return folder


def evaluate(checkpoint: Path, report: Path, *words: str, world: str = "Faulty", options: tuple[str, ...] = ()) -> int:
    named = ["--world", f"{WORLDS}:{world}", *(["--world-options", *options] if options else [])]
    return main(["eval", str(checkpoint), *QUICK, "--json", str(report), *named, *words])


def report_of(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def test_the_report_is_as_for_the_worlds_of_the_package(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    assert evaluate(checkpoint, file, "--episodes", "2", "--seed", "5", "--tasks", "all") == 0
    report = report_of(file)
    told = [(episode["task"], episode["seed"], episode["sentence"]) for episode in report["episodes"]]
    assert told == [
        (task, seed, f"stack the {task.split('_')[0]} block on the {task.split('_')[2]} block")
        for seed in (5, 6)
        for task in ("red_on_green", "green_on_red")
    ]
    assert report["protocol"]["tasks"] == ["red_on_green", "green_on_red"]
    assert report["protocol"]["world"] == f"{WORLDS}:Faulty"
    assert all(episode["decisions"][0]["modes"] for episode in report["episodes"])
    assert report["tasks"]["green_on_red"]["interval"][1] < 1.0
    assert "green_on_red" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_its_page_shows_what_was_seen_in_episodes_that_failed(checkpoint: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert evaluate(checkpoint, tmp_path / "report.json", "--episodes", "2", "--report", str(page)) == 0
    text = page.read_text()
    data = text.split('id="data">')[1].split("</script>")[0]
    blocks = {block["kind"]: block for block in json.loads(data)["blocks"]}
    assert [episode["label"] for episode in blocks["episodes"]["episodes"]] == [
        "red_on_green, seed 0",
        "red_on_green, seed 1",
    ]
    scenes = blocks["episodes"]["episodes"][0]["scenes"]
    assert scenes
    assert all(scene["scene"]["cloud"]["steps"] for scene in scenes)
    assert "scene" not in json.dumps(report_of(tmp_path / "report.json"))


def test_a_page_that_cannot_be_written_costs_no_figures(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, pages = tmp_path / "report.json", tmp_path / "pages"
    pages.mkdir()
    words = ("--episodes", "2", "--report", str(pages / "page.html"))
    assert evaluate(checkpoint, file, *words, options=(f"removed={pages}",)) == 2
    told = capsys.readouterr()
    assert "red_on_green" in told.out
    assert f"--report {pages / 'page.html'}: cannot be written: No such file" in told.err
    assert [episode["seed"] for episode in report_of(file)["episodes"]] == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_episodes_are_kept_where_the_file_of_the_figures_cannot_be_written(checkpoint: Path, tmp_path: Path) -> None:
    file, laid = tmp_path / "report.json", tmp_path / "laid"
    words, options = ("--episodes", "2"), (f"occupied={file}", f"log={laid}")
    assert evaluate(checkpoint, file, *words, options=options) == 2
    assert len(laid.read_text().splitlines()) == 2
    file.rmdir()
    assert evaluate(checkpoint, file, *words, options=options) == 0
    assert len(laid.read_text().splitlines()) == 2, "none was run again"
    assert [episode["seed"] for episode in report_of(file)["episodes"]] == [0, 1]


def test_what_fails_that_is_not_the_policy_is_counted_apart_and_run_again(checkpoint: Path, tmp_path: Path) -> None:
    file, log = tmp_path / "report.json", tmp_path / "laid"
    broken = ("impossible=[1]", "broken=[2]", "mistaken=[3]")
    assert evaluate(checkpoint, file, "--episodes", "5", options=broken) == 0
    report = report_of(file)
    assert (report["tasks"]["red_on_green"]["episodes"], report["tasks"]["red_on_green"]["failures"]) == (2, 3)
    failures = [episode["failure"] for episode in report["episodes"]]
    assert failures[0] == failures[4] == ""
    assert failures[1] == "red_on_green: no room with seed 1"
    assert failures[2] == "the cameras fell silent"
    assert failures[3].startswith("red_on_green, seed 3: ZeroDivisionError: a mistake in views (faulty_world.py, line ")
    assert evaluate(checkpoint, file, "--episodes", "5", options=(*broken, f"log={log}")) == 2, "other settings"
    assert not log.exists()


def test_answers_of_numpy_are_taken_and_blind_cameras_counted_apart(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert evaluate(checkpoint, file, "--episodes", "2", world="Numpys") == 0
    assert [episode["success"] for episode in report_of(file)["episodes"]] == [False, False]
    assert evaluate(checkpoint, file, "--episodes", "2", world="Blind") == 0
    figures = report_of(file)["tasks"]["red_on_green"]
    assert (figures["episodes"], figures["failures"]) == (0, 2)
    assert "Blind: no camera measures anything" in report_of(file)["episodes"][0]["failure"]


def test_an_evaluation_goes_on_where_it_was_ended(checkpoint: Path, tmp_path: Path) -> None:
    file, laid = tmp_path / "report.json", tmp_path / "laid"
    words, options = ("--episodes", "3"), ("broken=[1]", f"log={laid}")
    assert evaluate(checkpoint, file, *words, options=options) == 0
    assert [line.split()[2] for line in laid.read_text().splitlines()] == ["0", "1", "2"]
    before = report_of(file)
    assert evaluate(checkpoint, file, *words, options=options) == 0
    assert [line.split()[2] for line in laid.read_text().splitlines()] == ["0", "1", "2", "1"]
    assert report_of(file)["episodes"] == before["episodes"]


def test_a_world_that_never_starts_ends_the_evaluation(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laid = tmp_path / "laid"
    assert evaluate(checkpoint, tmp_path / "r.json", options=("never_starts=true", f"log={laid}")) == 2
    assert "no power (3 times in a row)" in capsys.readouterr().err
    assert len(laid.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("kind", "fault", "why"),
    [
        ("Faulty", "unstartable=[red_on_green]", "red_on_green lacks a model"),
        # A mistake in lay_out, told with its line.
        ("Faulty", "unfinished=[red_on_green]", "LaidTask.sentences is 'red_on_green, one day', expected a tuple of"),
        pytest.param("Heavy", "unstartable=[red_on_green]", "lacks a model", marks=pytest.mark.process),
    ],
)
def test_a_task_that_never_starts_keeps_no_other_from_its_episodes(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, fault: str, why: str
) -> None:
    file, laid = tmp_path / "report.json", tmp_path / "laid"
    words, options = ("--episodes", "5", "--tasks", "all"), (fault, f"log={laid}")
    assert evaluate(checkpoint, file, *words, world=kind, options=options) == 0
    report = report_of(file)
    assert (report["tasks"]["green_on_red"]["episodes"], report["tasks"]["green_on_red"]["failures"]) == (5, 0)
    assert (report["tasks"]["red_on_green"]["episodes"], report["tasks"]["red_on_green"]["failures"]) == (0, 5)
    assert len([line for line in laid.read_text().splitlines() if "red_on_green" in line]) == 3
    failures = [episode["failure"] for episode in report["episodes"] if episode["task"] == "red_on_green"]
    assert all(why in failure for failure in failures)
    assert "is given up, as it never starts: " in failures[-1]
    if "unfinished" in fault:
        assert "faulty_world.py, line " in failures[0]
    assert "not counted, as the simulator failed: 5 of red_on_green" in capsys.readouterr().out
    if kind == "Heavy":
        return
    # The other's are not run again, and tell that the world starts.
    before = laid.read_text()
    assert evaluate(checkpoint, file, *words, world=kind, options=options) == 0
    assert [line.split()[1] for line in laid.read_text()[len(before) :].splitlines()] == ["red_on_green"] * 3
    assert report_of(file) == report


def test_a_single_bad_seed_never_keeps_a_report_back(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    for _ in range(2):
        assert evaluate(checkpoint, file, "--episodes", "2", options=("unlit=[1]",)) == 0
        assert [episode["failure"] for episode in report_of(file)["episodes"]] == ["", "no light with seed 1"]


def test_a_task_that_has_worked_is_not_given_up_for_a_few_bad_seeds(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    for _ in range(2):  # where it worked now, and where it worked before
        assert evaluate(checkpoint, file, "--episodes", "6", options=("unlit=[1, 2, 3, 5]",)) == 0
        failures = [episode["failure"] for episode in report_of(file)["episodes"]]
        assert failures == ["", *(f"no light with seed {seed}" for seed in (1, 2, 3)), "", "no light with seed 5"]


def test_a_task_that_no_longer_starts_is_given_up_with_what_is_true_of_it(checkpoint: Path, tmp_path: Path) -> None:
    file, unlit = tmp_path / "report.json", f"unlit={list(range(1, 13))}"
    assert evaluate(checkpoint, file, "--episodes", "13", options=(unlit,)) == 0
    failures = [episode["failure"] for episode in report_of(file)["episodes"]]
    assert failures[10] == "no light with seed 10"
    assert failures[12] == "red_on_green is given up, as its last 10 starts failed: no light with seed 10"


def test_the_report_says_by_content_what_was_evaluated(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert evaluate(checkpoint, file, "--episodes", "1", world="Measuring") == 0
    protocol = report_of(file)["protocol"]
    assert protocol["policy"] == hashlib.sha256((checkpoint / "config.json").read_bytes()).hexdigest()
    assert protocol["software"] == {name: version(name) for name in ("mini_diffuser_ros", "mujoco", "hypothesis")}


def policy_of(folder: Path, seed: int) -> Path:
    config = MiniDiffuserConfig.small(scene={"voxel_size": 0.02}, losses={"heatmap_level": 0})
    torch.manual_seed(seed)
    save_policy(MiniDiffuser(config), folder, fusion=FusionConfig())
    return folder


@pytest.mark.process
def test_a_process_that_takes_anothers_place_does_not_go_on_with_another_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, newer = policy_of(tmp_path / "policy", 1), policy_of(tmp_path / "newer", 2)
    file = tmp_path / "report.json"
    options = (f"exported={newer}", f"policy={policy}", "deadly=[1]")
    assert evaluate(policy, file, "--episodes", "4", world="Heavy", options=options) == 2
    assert f"{policy}: holds another policy than when the evaluation began" in capsys.readouterr().err
    assert not file.exists()


def test_an_episode_is_not_run_with_another_policy_than_its_evaluations(checkpoint: Path) -> None:
    protocol = WorldProtocol(world=f"{WORLDS}:Faulty", tasks=("red_on_green",), episodes=1)
    (trial,) = world_trials(str(checkpoint), protocol)
    with pytest.raises(EvaluationError, match="holds another policy"):
        run_world_trial(replace(trial, policy="0" * 64))


@pytest.mark.parametrize("changed", ["world.py", "base.py"])
def test_an_evaluation_does_not_go_on_in_a_world_that_was_changed(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    file, base, world = tmp_path / "report.json", tmp_path / f"base_{changed}", tmp_path / "world.py"
    named = "from mini_diffuser_ros.running.world_names import world_class\n"
    base.write_text(f"{named}Base = type('Base', (world_class({f'{WORLDS}:Faulty'!r}),), {{'__module__': __name__}})\n")
    world.write_text(f"{named}class World(world_class({f'{base}:Base'!r})):\n    pass\n")
    words = ["eval", str(checkpoint), *QUICK, "--json", str(file), "--world", f"{world}:World"]
    words += ["--episodes", "2", "--world-options", "broken=[1]"]
    assert main(words) == 0
    assert main(words) == 0, "nothing has changed"
    with (world if changed == "world.py" else base).open("a") as source:
        source.write("# other physics\n")
    assert main(words) == 2
    assert "episodes of another evaluation, with other source" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["Faulty", pytest.param("Heavy", marks=pytest.mark.process)])
def test_results_come_to_where_the_command_was_given(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    world = f"{os.path.relpath(WORLDS)}:{kind}"
    words = [os.path.relpath(checkpoint), "--world", world, "--world-options", f"moves_to={there}", "broken=[1]"]
    outputs = ["--json", "report.json", "--report", "page.html"]
    assert main(["eval", *words, *QUICK, *outputs, "--episodes", "2"]) == 0
    assert not any(there.iterdir())
    assert {path.name for path in here.iterdir()} >= {"report.json", "page.html", "report.json.episodes"}
    figures = report_of(here / "report.json")["tasks"]["red_on_green"]
    assert (figures["episodes"], figures["failures"]) == (1, 1)


def test_a_world_that_starts_for_no_task_ends_the_evaluation(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laid = tmp_path / "laid"
    options = ("unstartable=[red_on_green, green_on_red]", f"log={laid}")
    assert evaluate(checkpoint, tmp_path / "r.json", "--tasks", "all", options=options) == 2
    assert "lacks a model (3 times in a row)" in capsys.readouterr().err
    assert len({line.split()[1] for line in laid.read_text().splitlines()}) == 2, "each task was tried"
    assert evaluate(checkpoint, tmp_path / "r.json", "--tasks", "all", "--episodes", "1", options=options) == 2


@pytest.mark.process
def test_a_process_does_one_task_of_a_heavy_world_and_one_that_dies_costs_its_episode(
    checkpoint: Path, tmp_path: Path
) -> None:
    file, laid = tmp_path / "report.json", tmp_path / "laid"
    options = ("deadly=[1]", f"log={laid}")
    assert evaluate(checkpoint, file, "--episodes", "3", "--tasks", "all", world="Heavy", options=options) == 0
    lines = [line.split() for line in laid.read_text().splitlines()]
    assert [(task, seed) for _, task, seed in lines] == [
        (task, seed) for task in ("red_on_green", "green_on_red") for seed in "012"
    ]
    assert len({process for process, _, _ in lines}) == 4, "one that died was replaced in each task"
    failures = [bool(episode["failure"]) for episode in report_of(file)["episodes"]]
    assert failures == [False, False, True, True, False, False]


@pytest.mark.process
def test_a_world_that_hangs_costs_its_episode_and_one_that_never_closes_keeps_nobody_waiting(checkpoint: Path) -> None:
    loop = LoopSettings(samples=2, steps=1, keyframe_limit=1)
    options = ("hanging=[1]", "broken=[2]", "clinging=true", "image_size=32")
    protocol = WorldProtocol(world=f"{WORLDS}:Faulty", tasks=("red_on_green",), episodes=4, loop=loop, options=options)
    trials = world_trials(str(checkpoint), protocol)
    limits = WorkerLimits(item=60.0, close=1.0)
    records = evaluate_trials(run_world_trial, trials, 2, EpisodeLog(None, {}), limits=limits)
    failures = {record["seed"]: record["failure"] for record in records}
    assert failures[0] == failures[3] == ""
    assert "was killed that had not come to an end in 60 s: red_on_green, seed 1" in failures[1]
    assert failures[2] == "the cameras fell silent", "said before its world is closed"


@pytest.mark.process
@pytest.mark.parametrize("fault", [(), ("broken=[0]",)])
def test_a_command_ends_whose_own_world_never_closes(checkpoint: Path, tmp_path: Path, fault: tuple[str, ...]) -> None:
    file = tmp_path / "report.json"
    words = ["eval", str(checkpoint), *QUICK, "--json", str(file), "--world", f"{WORLDS}:Faulty", "--episodes", "2"]
    call = [sys.executable, "-m", "mini_diffuser_ros.commands.main", *words, "--world-options", "clinging=true", *fault]
    ended = subprocess.run(call, capture_output=True, text=True, timeout=DEADLINE)
    assert ended.returncode == 1
    assert "close() of the world does not come to an end in 15 s" in ended.stderr
    assert file.exists() == (not fault), "at the end nothing is lost; before, the episodes are kept"
    assert file.exists() or Path(f"{file}.episodes").exists()


def test_mistakes_are_told_in_one_line(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    for words, options, said in (
        (["--tasks", "blue_on_red"], (), "unknown task 'blue_on_red'"),
        ([], ("sise=3",), "sise is unknown"),
        ([], ("image_size=large",), "image_size is 'large', expected a whole number"),
        (["--renderer", "rays"], (), "--renderer is an option of --world tabletop alone"),
        (["--fusion", "voxel=1"], (), "fusion.voxel is unknown"),
    ):
        assert evaluate(checkpoint, file, *words, options=options) == 2
        assert said in capsys.readouterr().err
    assert main(["eval", str(checkpoint), "--world", "moon"]) == 2
    assert "unknown world 'moon'; known: " in capsys.readouterr().err
    assert main(["eval", str(checkpoint), "--world-options", "image_size=3"]) == 2
    assert "--world-options is an option of --world package.module:Class alone" in capsys.readouterr().err
