"""``eval --world rlbench`` gets to its end, whatever its simulators do, and goes on where it was ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import RLBENCH_FUSION
from mini_diffuser_ros.evaluation import EpisodeResult, evaluation_report
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol
from mini_diffuser_ros.evaluation.world_episodes import _held, _policy
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.records import Workspace

from . import rlbench_double as double
from .rlbench_demos import write_layout

WORDS = ["--world", "rlbench", "--tasks", "touch_ball", "--cameras", "front", "--image-size", "64", "--samples", "2"]
WORDS += ["--steps", "1", "--max-keyframes", "2", "--workers", "1", "--episodes", "3", "--seed", "7"]


@pytest.fixture(autouse=True)
def _no_simulator_of_another_test() -> None:
    _held.cache_clear()
    _policy.cache_clear()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    workspace = Workspace((-0.5, -1.0, 0.7505), (1.5, 1.0, 2.0))
    scene = {"workspace": workspace, "table_height": 0.7505, "voxel_size": 0.02}
    config = MiniDiffuserConfig.small(scene=scene, losses={"heatmap_level": 0})
    save_policy(MiniDiffuser(config), folder, fusion=RLBENCH_FUSION)
    return folder


def evaluate(checkpoint: Path, *words: str) -> int:
    return main(["eval", str(checkpoint), *WORDS, *words])


def report_of(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser eval:")]
    return line


@pytest.mark.parametrize("distribution", ["S", "P", "G"])
def test_the_report_is_as_for_the_table_top(
    distribution: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    double.install(monkeypatch, distribution=distribution)
    file = tmp_path / "report.json"
    assert evaluate(checkpoint, "--json", str(file)) == 0
    report = report_of(file)
    like = evaluation_report("c", TabletopProtocol(tasks=("t",)), [EpisodeResult("t", 0, "s", True, "o", ())])
    assert report.keys() == like.keys()
    assert report["tasks"]["touch_ball"].keys() == like["tasks"]["t"].keys()
    assert report["episodes"][0].keys() == like["episodes"][0].keys()
    assert (report["tasks"]["touch_ball"]["episodes"], report["tasks"]["touch_ball"]["failures"]) == (3, 0)
    assert report["protocol"]["loop"]["keyframe_limit"] == 2
    told = [(episode["seed"], episode["sentence"]) for episode in report["episodes"]]
    assert told == [(7 + number, f"touch ball, variation {number}") for number in range(3)]
    shown = capsys.readouterr().out
    assert "touch_ball" in shown
    assert "not the stored test episodes of published results: see --protocol mini_diffuser" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_what_fails_that_is_not_the_policy_is_counted_apart_and_run_again(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour = double.install(monkeypatch, unplaceable=(0,), broken=(1,), unlaunched=0)
    file = tmp_path / "report.json"
    assert evaluate(checkpoint, "--json", str(file)) == 0
    report = report_of(file)
    figures = report["tasks"]["touch_ball"]
    assert (figures["episodes"], figures["failures"]) == (1, 2)
    placing, moving, judged = (episode["failure"] for episode in report["episodes"])
    assert "TaskEnvironmentError" in placing
    assert "RuntimeError: The call failed" in moving
    assert judged == ""
    assert "not counted, as the simulator failed: 2 of touch_ball" in capsys.readouterr().out
    assert behaviour.calls.count(("launch",)) == 3, "one that has failed is not gone on with"
    assert behaviour.calls.count(("shutdown",)) == 2

    mended = double.install(monkeypatch)
    _held.cache_clear()
    assert evaluate(checkpoint, "--json", str(file)) == 0
    assert [call[1] for call in mended.calls if call[0] == "reset"] == [0, 1], "the third was judged before"
    again = report_of(file)
    assert again["tasks"]["touch_ball"]["failures"] == 0
    assert again["episodes"][2] == report["episodes"][2]
    assert not Path(f"{file}.episodes").exists()


def test_an_evaluation_that_was_ended_goes_on_where_it_was(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour = double.install(monkeypatch)
    file, log = tmp_path / "report.json", tmp_path / "report.json.episodes"

    def interrupt(*_: Any) -> None:
        if behaviour.calls.count(("load", "touch_ball")) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(double.TaskEnvironment, "_start", lambda self: interrupt() or START(self))
        assert evaluate(checkpoint, "--json", str(file)) == 130
    assert "interrupted" in error_of(capsys)
    assert not file.exists()
    kept = log.read_text()
    assert len(kept.splitlines()) == 3
    log.write_text(kept + '{"key": "half a li')
    behaviour.calls.clear()
    assert evaluate(checkpoint, "--json", str(file)) == 0
    assert [call[1] for call in behaviour.calls if call[0] == "reset"] == [2]
    assert len(report_of(file)["episodes"]) == 3

    log.write_text(kept)
    assert evaluate(checkpoint, "--json", str(file), "--seed", "8") == 2
    assert "episodes of another evaluation, with other seed; remove it" in error_of(capsys)
    log.write_text("something else\n")
    assert evaluate(checkpoint, "--json", str(file)) == 2
    assert "report.json.episodes: holds no episodes" in error_of(capsys)


START = double.TaskEnvironment._start


def test_a_simulator_that_never_starts_ends_the_evaluation_with_what_to_do(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour = double.install(monkeypatch, unlaunched=1000)
    assert evaluate(checkpoint, "--episodes", "50") == 2
    assert behaviour.calls.count(("launch",)) == 3
    line = error_of(capsys)
    for named in ("COPPELIASIM_ROOT not defined", "LD_LIBRARY_PATH", "xvfb-run", "gymnasium", "cshizhe/PyRep"):
        assert named in line
    assert not line.endswith("...")
    double.install(monkeypatch, unlaunched=2)
    assert evaluate(checkpoint) == 0, "one that starts at last is used"


@pytest.mark.process
def test_stored_layouts_are_run_in_processes_and_one_that_dies_costs_its_episode(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.install_in_workers(monkeypatch, tmp_path / "installed", distribution="S", deadly=(1,))
    for variation in range(3):
        write_layout(tmp_path / f"test/touch_ball/variation{variation}/episodes/episode0", attempts=2)
    file = tmp_path / "report.json"
    words = ["--workers", "2", "--demonstrations", str(tmp_path / "test"), "--json", str(file)]
    assert evaluate(checkpoint, *words) == 0
    failures = [episode["failure"] for episode in report_of(file)["episodes"]]
    assert [bool(failure) for failure in failures] == [False, True, False]
    assert "a worker process died" in failures[1]
    assert "touch_ball, episode 1" in failures[1]


@pytest.mark.process
def test_a_simulator_that_ends_its_process_at_once_is_not_started_for_ever(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    double.install_in_workers(monkeypatch, tmp_path / "installed", no_display=True)
    assert evaluate(checkpoint, "--workers", "2", "--episodes", "2") == 2
    line = error_of(capsys)
    assert "a worker process died" in line
    assert "xvfb-run" in line


def test_mistakes_are_told_in_one_line(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    double.install(monkeypatch)
    for extra, named in (
        (["--cameras", "rear"], "rear"),
        (["--cameras", "front,front"], "cameras has 'front' twice"),
        (["--tasks", "juggle"], "juggle"),
        (["--tasks", "touch_ball,"], "tasks has '' as a name"),
        (["--sentences", "absent.json"], "absent.json"),
        (["--demonstrations", str(tmp_path)], "touch_ball"),
        (["--renderer", "rays"], "renderer"),
        (["--settle-time", "0.1"], "settle-time"),
        (["--protocol", "mine"], "known: deployed, published, mini_diffuser"),
        (["--protocol", "mini_diffuser"], "--protocol mini_diffuser needs --demonstrations DIR"),
        (["--json", str(tmp_path / "absent" / "report.json")], "absent/report.json: cannot be written"),
        (["--json", str(tmp_path)], "is a directory"),
    ):
        assert evaluate(checkpoint, *extra) == 2
        assert named in error_of(capsys)
    assert main(["eval", str(checkpoint), "--protocol", "mini_diffuser"]) == 2
    assert "--world rlbench alone" in error_of(capsys)
    with pytest.raises(SystemExit):
        evaluate(checkpoint, "--candidates", "0")
    assert "argument --candidates: '0' is not a whole number of at least 1" in capsys.readouterr().err


def test_without_rlbench_one_line_says_what_to_install(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # None in sys.modules makes the import fail whether or not it is installed.
    monkeypatch.setitem(double.sys.modules, "rlbench", None)
    monkeypatch.setitem(double.sys.modules, "pyrep", None)
    assert main(["eval", str(checkpoint), "--world", "rlbench"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    for part in ("CoppeliaSim", "stepjam/RLBench", "not on PyPI", "unrelated"):
        assert part in error
