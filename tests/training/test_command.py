"""``mini-diffuser train`` from recordings to a policy, its exit codes and its one-line errors."""

import json
import logging
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mini_diffuser_ros.commands.main import main as mini_diffuser
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import MiniDiffuser, load_policy, read_checkpoint, read_fusion
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.config import TrainConfig

RECIPE = """
model:
  overrides:
    scene: {voxel_size: 0.02}
    text: {hidden: 24}
    backbone:
      encoder_channels: [24, 24]
      encoder_heads: [1, 1]
      decoder_channels: [24]
      decoder_heads: [1]
      windows: [32, 32]
    neck.channels: 24
    neck.heads: 1
    heads: {hidden: 16}
    losses.heatmap_level: 0
data: {workers: 1}
batch: {scenes: 4, level2: 2}
budget: {steps: 4}
validate: {samples: 2, steps: 1}
shards: 2
"""


def main(words: list[str]) -> int:
    """Run the verb; returns its exit code."""
    return mini_diffuser(["train", *words])


@pytest.fixture
def words(tmp_path: Path, recordings: Path) -> list[str]:
    """The command's arguments for a tiny recipe."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return ["--config", str(recipe), "--data", str(recordings), "--out", str(tmp_path / "out")]


def test_exports_a_policy_with_a_card_of_measured_numbers(words: list[str], tmp_path: Path) -> None:
    assert main([*words, "--seed", "7", "--optim.lr=1e-4"]) == 0
    policy = load_policy(tmp_path / "out" / "policy")
    assert policy.config.backbone.encoder_channels == (24, 24)
    card = (tmp_path / "out" / "policy" / "README.md").read_text()
    for part in (
        "| seed | 7 |",
        "2 stack_blobs; held out: 1 stack_blobs",
        "4 steps of 4 scenes",
        "lr: 0.0001",
        "later",
    ):
        assert part in card
    assert str(tmp_path) not in card
    assert "| data | 3 episodes, digest " in card
    assert "fusing clouds" in card
    assert policy.fusion == read_fusion(tmp_path / "out" / "policy") == FusionConfig()
    assert list(policy.tasks) == ["stack_blobs"]
    world = read_checkpoint(tmp_path / "out" / "policy").world
    assert (world.worlds, world.robots) == (("unknown",), ())  # recorded without a robot
    assert world.cameras == tuple(sorted(world.cameras)) != ()
    assert any((tmp_path / "out" / "tensorboard").iterdir())
    page = (tmp_path / "out" / "report.html").read_text()
    assert "stack_blobs: decisions within 3 cm" in page


def test_bad_episodes_end_the_run_or_are_skipped_and_listed(
    words: list[str], recordings: Path, make_episode: Callable[[int], Episode], caplog: pytest.LogCaptureFixture
) -> None:
    store = EpisodeStore(recordings)
    whole = store.write(make_episode(3), 3).read_bytes()
    (recordings / "stack_blobs-seed00000003.zip").write_bytes(whole[: len(whole) // 2])
    image = store.write(make_episode(4), 4)
    damaged = bytearray(image.read_bytes())
    damaged[damaged.index(b"IDAT") + 40] ^= 255
    image.write_bytes(damaged)
    assert main(words) == 2
    caplog.set_level(logging.INFO)
    # Twice: the second run has the clouds from its cache, and still says what is not among them.
    for _ in range(2):
        caplog.clear()
        assert main([*words, "--skip-bad"]) == 0
        skipped = [record.getMessage() for record in caplog.records if record.getMessage().startswith("skipped")]
        assert len(skipped) == 2
        assert all("\n" not in line for line in skipped)
        assert ["seed00000003" in skipped[0], "seed00000004" in skipped[1]] == [True, True]


def test_tasks_of_one_episode_cannot_be_validated_on(
    words: list[str], recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in sorted(recordings.iterdir())[1:]:
        file.unlink()
    assert main(words) == 2
    assert "validation_share" in capsys.readouterr().err
    assert main([*words, "--data.validation_share", "0"]) == 0


@pytest.mark.process
def test_a_kill_loses_no_checkpoint_and_the_next_run_goes_on(words: list[str], tmp_path: Path) -> None:
    # Imports take seconds: the run is forked from a server that has done them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mini_diffuser_ros.commands.train"])
    endless = [*words, "--budget.steps", "1000000", "--checkpoint.interval", "1", "--validate.interval", "1000000"]
    checkpoints = tmp_path / "out" / "checkpoints"
    run = context.Process(target=main, args=(endless,))
    run.start()
    deadline = time.monotonic() + 120
    while steps_in(checkpoints) < 3 and run.is_alive():
        assert time.monotonic() < deadline
    seen = steps_in(checkpoints)
    run.kill()
    run.join()
    assert steps_in(checkpoints) >= seen >= 3
    assert main([*words, "--budget.steps", str(steps_in(checkpoints) + 2), "--checkpoint.interval", "1"]) == 0
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    steps = [record["step"] for record in map(json.loads, lines) if "lr" in record]
    assert steps == list(range(1, len(steps) + 1))
    assert steps[-1] == steps_in(checkpoints)


def steps_in(checkpoints: Path) -> int:
    """The latest step with a checkpoint, 0 without any."""
    return max((int(path.name.removeprefix("step_")) for path in checkpoints.glob("step_*")), default=0)


def test_interrupt_leaves_a_checkpoint_to_go_on_from(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_loss = MiniDiffuser.loss

    def interrupted(self: MiniDiffuser, *arguments: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return real_loss(self, *arguments, **named)

    monkeypatch.setattr(MiniDiffuser, "loss", interrupted)
    assert main([*words, "--shards", "1"]) == 130
    assert not (tmp_path / "out" / "policy").exists()
    assert (tmp_path / "out" / "report.html").exists()
    monkeypatch.undo()
    assert main(words) == 0
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert [record["step"] for record in map(json.loads, lines) if "lr" in record] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("field", "in_the_way"),
    [("out", "."), ("out", "checkpoints"), ("out", "tensorboard"), ("policy", "."), ("data.cache", ".")],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_images_are_fused(
    words: list[str], tmp_path: Path, field: str, in_the_way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    (place / in_the_way).parent.mkdir(parents=True, exist_ok=True)
    (place / in_the_way).write_text("a file in the way")
    assert main([*words, f"--{field}", str(place)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mini-diffuser train: {field} {place / in_the_way}: cannot be written into (")
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("clouds-*"))


@pytest.mark.parametrize("name", ["metrics.jsonl", "recipe.yaml"])
def test_a_folder_in_the_place_of_a_file_is_refused_as_early(
    words: list[str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / name).mkdir(parents=True)
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert f"out {tmp_path / 'run' / name}: cannot be written (it is a directory)" in capsys.readouterr().err
    assert not list(tmp_path.rglob("clouds-*"))


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--optim.lrr", "1"], "optim.lrr"),
        (["--seed"], "--seed"),
        (["stray"], "stray"),
        (["--model.overrides.wings", "2"], "model.overrides.wings is unknown"),
        (["--data.tasks", "juggle"], "juggle"),
        (["--shards", "3"], "shards"),
        (["--batch.scenes", "many"], "batch.scenes"),
        (["--data.fusion.voxel", "1"], "voxel"),
        (
            ["--model.overrides.scene.workspace", "{lower: [5, 5, 5], upper: [6, 6, 6]}"],
            "no point in the network's workspace",
        ),
    ],
)
def test_faults_are_one_line_and_exit_code_2(
    words: list[str], extra: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *extra]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser train:")]
    assert len(lines) == 1
    assert named in lines[0]


@pytest.mark.parametrize("option", ["--data", "--from", "--rehearse", "--out"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_unset_variable_of_the_shell_is_no_path(
    words: list[str], option: str, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, option, empty])
    assert ended.value.code == 2
    assert f"{option}: is empty, expected a path" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--data.path", "--start_from", "--rehearsal.path"])
def test_nor_is_it_by_its_whole_name(words: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, f"{option}="]) == 2
    assert f"command line: {option} is empty, expected a path" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["rec #2", "20261130", "2026-11-30", "on", "null", "a: b", "it's", "\u00e4\U0001f600"])
def test_paths_are_taken_as_the_shell_gives_them(
    words: list[str], tmp_path: Path, recordings: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    short = ["--budget.steps", "1", "--knowledge", "false", "--wandb="]
    assert main([*words, "--data", name, "--out", f"of {name}", *short]) == 0
    assert read_settings(TrainConfig, tmp_path / f"of {name}" / "recipe.yaml").data.path == name
    assert (tmp_path / f"of {name}" / "policy").is_dir()


@pytest.mark.process
def test_processes_of_torchrun_train_like_shards_of_one(words: list[str], tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out = tmp_path / "torchrun"
    command = [*launcher, "-m", "mini_diffuser_ros.training", *words, "--out", str(out)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    assert main(words) == 0
    together, alone = (losses(directory / "metrics.jsonl") for directory in (out, tmp_path / "out"))
    assert len(alone) == 4
    assert together == pytest.approx(alone, rel=1e-4)


def losses(log: Path) -> list[float]:
    return [record["total"] for record in map(json.loads, log.read_text().splitlines()) if "total" in record]
