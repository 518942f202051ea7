"""What `mini-diffuser info` and `check` say of good and of bad data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data.formats.episode_file import write_clouds
from mini_diffuser_ros.records import Episode

from . import rlbench_writer as writer

EpisodeMaker = Callable[..., Episode]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    writer.write_raw(tmp_path / "raw", "stack_cups", 3, 3, ["stack the cups"], cameras=("front", "overhead"))
    return tmp_path / "raw"


def episode_folder(raw: Path, number: int) -> Path:
    return raw / f"stack_cups/variation3/episodes/episode{number}"


def test_good_data_has_no_errors_and_a_small_set_is_worth_a_warning(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(raw), "--workers", "1"]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    assert summary == "3 episodes of 1 task: 0 errors in 0 episodes, 4 warnings"
    assert lines == [
        "warning: the same episode twice: 2 episodes (stack_cups/variation3/episode1, stack_cups/variation3/episode2); "
        "stack_cups/variation3/episode1: all of its keyframes show, bit for bit, what "
        "stack_cups/variation3/episode0 shows",
        "warning: stack_cups/variation3/episode0: task stack_cups has 1 episode (2 more copied or with errors), "
        "fewer than 10",
        "warning: stack_cups/variation3/episode0: task stack_cups has one sentence, 'stack the cups': other words for "
        "it will not be known",
    ]
    assert main(["check", str(raw), "--workers", "1", "--strict"]) == 1


def test_every_fault_is_a_line_or_counted(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = episode_folder(raw, 0), episode_folder(raw, 2)
    for frame in (0, 12):
        (first / f"front_rgb/{frame}.png").write_bytes(b"no PNG")
    (last / "low_dim_obs.pkl").write_bytes(writer.dumps(writer.Demo()))
    assert main(["check", str(raw), "--workers", "1", "--all"]) == 1
    *lines, summary = capsys.readouterr().out.splitlines()
    assert summary == "3 episodes of 1 task: 3 errors in 2 episodes, 3 warnings"
    assert [line.split(": ")[2] for line in lines if line.startswith("error: ")] == [
        str(first / "front_rgb/0.png"),
        str(first / "front_rgb/12.png"),
        str(last / "low_dim_obs.pkl"),
    ]
    assert main(["check", str(raw), "--workers", "1"]) == 1
    [line, *_] = capsys.readouterr().out.splitlines()
    assert line.startswith("error: it cannot be read: 3 times in 2 episodes (stack_cups/variation3/episode0, ")


@pytest.mark.parametrize("command", ["info", "check", "convert"])
def test_a_path_without_data_is_a_usage_error(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path), *(["out"] if command == "convert" else [])]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mini-diffuser {command}: {tmp_path}: holds no episodes, expected recordings")
    assert error.count("\n") == 1


def test_info_summarises_and_draws(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(raw), "--plot", str(tmp_path / "plots"), "--plot-episodes", "1"]) == 0
    out = capsys.readouterr().out
    assert "3 episodes, 12 keyframes, 1 tasks" in out
    assert "stack the cups" in out
    with Image.open(tmp_path / "plots" / "stack_cups-variation3-episode0.png") as picture:
        assert picture.size[1] > 1000


def test_info_goes_on_after_a_bad_episode_if_told_to(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = episode_folder(raw, 1) / "low_dim_obs.pkl"
    bad.unlink()
    assert main(["info", str(raw)]) == 2
    complaint = f"{bad}: cannot be read (No such file or directory)"
    assert capsys.readouterr().err == f"mini-diffuser info: {complaint}\n"
    assert main(["info", str(raw), "--skip-bad"]) == 0
    captured = capsys.readouterr()
    assert "2 episodes, 8 keyframes" in captured.out
    assert captured.err == f"skipped {complaint}\n"


def test_info_says_an_absurd_place_in_few_digits(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = make_episode()
    last = replace(episode.keyframes[-1], pose=np.array([0.4, -3e280, 0.1, 1.0, 0.0, 0.0, 0.0]))
    with (tmp_path / "far.zip").open("wb") as stream:
        write_clouds(stream, replace(episode, keyframes=(*episode.keyframes[:-1], last)))
    assert main(["info", str(tmp_path)]) == 0
    assert "y -3e+280 to " in capsys.readouterr().out
