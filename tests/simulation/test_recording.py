"""Recording is resumable, and what it records does not depend on how often it was interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.running.recording import GIVEN_UP_AFTER, SeedPlan
from mini_diffuser_ros.simulation import TASKS

RECORD = ["--tasks", "push_buttons", "--seed", "7", "--image-size", "32"]


@given(
    failing=st.sets(st.integers(5, 20), max_size=5),
    present=st.sets(st.integers(5, 12)),
    wanted=st.integers(1, 12),
    workers=st.integers(1, 5),
    data=st.data(),
)
def test_the_first_seeds_that_succeed_are_recorded_whatever_the_order(
    failing: set[int], present: set[int], wanted: int, workers: int, data: st.DataObject
) -> None:
    kept = frozenset(present - failing)
    plan = SeedPlan(wanted, next_seed=5, present=kept)
    recorded, running = set(kept), list[int]()
    while True:
        while len(running) < workers and (seed := plan.take()) is not None:
            running.append(seed)
        if not running:
            break
        seed = running.pop(data.draw(st.integers(0, len(running) - 1)))
        plan.finish("it failed" if seed in failing else None)
        recorded |= {seed} - failing
    assert recorded - kept == set([s for s in range(5, 60) if s not in failing][:wanted]) - kept
    assert plan.recorded == wanted


def test_a_task_is_given_up_when_too_many_fail_in_a_row() -> None:
    plan = SeedPlan(wanted=40, next_seed=0)
    for seed in range(GIVEN_UP_AFTER - 1):
        assert plan.take() == seed
        plan.finish("no path")
    plan.take()
    plan.finish(None)
    for _ in range(GIVEN_UP_AFTER):
        assert plan.take() is not None
        plan.finish("no path")
    assert plan.take() is None
    assert (plan.given_up, plan.recorded, len(plan.failures)) == (True, 1, 2 * GIVEN_UP_AFTER - 1)


@pytest.mark.process
def test_record_keeps_what_is_there_and_adds_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", *RECORD, "--episodes", "1", "--out", str(tmp_path), "--workers", "1"]) == 0
    [first] = tmp_path.glob("*.zip")
    before = first.stat()
    assert main(["record", *RECORD, "--episodes", "2", "--out", str(tmp_path), "--workers", "2"]) == 0
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(file.name for file in tmp_path.glob("*.zip")) == [
        "push_buttons-seed00000007.zip",
        "push_buttons-seed00000008.zip",
    ]
    assert "push_buttons: 2 episodes\n1 recorded in" in capsys.readouterr().out
    episode = open_episodes(tmp_path)[1]
    assert [view.name for view in episode.keyframes[0].views] == ["front", "left_shoulder", "wrist"]
    assert episode.keyframes[0].stamp == 0.0
    assert episode.keyframes[-1].stamp > 1.0


@pytest.mark.process
def test_cameras_that_are_not_wanted_are_not_recorded_and_others_do_not_come_among_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = ["record", *RECORD, "--out", str(tmp_path), "--workers", "1"]
    assert main([*record, "--episodes", "1", "--cameras", "wrist", "front"]) == 0
    assert [view.name for view in open_episodes(tmp_path)[0].keyframes[0].views] == ["front", "wrist"]
    assert main([*record, "--episodes", "2", "--cameras", "front"]) == 2
    assert "was recorded with --cameras front,wrist, not front" in capsys.readouterr().err
    assert main([*record, "--episodes", "2", "--cameras", "frnt"]) == 2
    assert "unknown camera 'frnt'; did you mean 'front'?" in capsys.readouterr().err


@pytest.mark.process
def test_a_camera_that_is_too_near_to_measure_is_left_out_where_it_is(tmp_path: Path) -> None:
    sizes = ["--tasks", "put_item_in_bowl", "--image-size", "256", "--workers", "1"]
    assert (
        main(["record", *sizes, "--seed", "7000", "--episodes", "1", "--sensor", "d435", "--out", str(tmp_path)]) == 0
    )
    seen = [keyframe.views for keyframe in open_episodes(tmp_path)[0].keyframes]
    assert [view.name for view in seen[0]] == ["front", "left_shoulder", "wrist"]
    # Where the fingers are about to close, the wrist's looks at the table from nearer than it measures.
    assert [view.name for view in seen[2]] == ["front", "left_shoulder"]
    assert all((view.depth > 0).mean() > 0.02 for views in seen for view in views)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}"
        time.sleep(0.02)


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_gone(process: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or while it is read
        return True


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_recording_leaves_no_process_and_no_half_episode(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [
        sys.executable,
        "-m",
        "mini_diffuser_ros.commands.main",
        "record",
        *RECORD,
        "--episodes",
        "500",
        "--workers",
        "2",
    ]
    recorder = subprocess.Popen(
        [*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert recorder.stderr is not None
    try:
        wait_until(lambda: any(tmp_path.glob("*.zip")), "an episode is recorded")
        workers = children(recorder.pid)
        assert workers
        if number == signal.SIGINT:
            os.killpg(recorder.pid, number)  # as a terminal does it
        else:
            recorder.send_signal(number)
        message = recorder.communicate(timeout=300)[1]
        assert recorder.returncode == code
    finally:
        recorder.kill()
    assert "Traceback" not in message
    for worker in workers:
        wait_until(lambda worker=worker: is_gone(worker), f"process {worker} ends")
    episodes = open_episodes(tmp_path)
    assert all(len(keyframe.views) == 3 for keyframe in episodes[-1].keyframes)
    assert all(episode.keyframes for episode in episodes)


def test_an_unknown_task_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--tasks", "juggle", "--episodes", "1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"mini-diffuser record: unknown task 'juggle'; tasks: all, {', '.join(TASKS)}\n"


@pytest.mark.parametrize("names", [["push_buttons,stack_blocks"], ["push_buttons", "stack_blocks"]])
def test_names_may_be_parted_by_commas_or_spaces(tmp_path: Path, names: list[str]) -> None:
    small = ["--episodes", "1", "--image-size", "32", "--workers", "1", "--seed", "7", "--cameras", "wrist,front"]
    assert main(["record", *small, "--out", str(tmp_path), "--tasks", *names]) == 0
    episodes = open_episodes(tmp_path)
    assert {episode.task for episode in episodes} == {"push_buttons", "stack_blocks"}
    assert {view.name for view in episodes[0].keyframes[0].views} == {"wrist", "front"}


def test_a_name_that_lacks_behind_a_comma_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--tasks", "push_buttons,", "--episodes", "1", "--out", str(tmp_path)]) == 2
    assert "unknown task ''; tasks: all, " in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--episodes", "--workers", "--image-size"])
def test_a_number_too_small_is_refused_by_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit):
        main(["record", "--episodes", "1", "--out", str(tmp_path), option, "0"])
    assert f"argument {option}: '0' is not a whole number of at least" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["record", "--episodes", "1", "--out", str(tmp_path / "file")]) == 2
    assert f"--out {tmp_path / 'file'}: cannot be written into (File exists)" in capsys.readouterr().err
