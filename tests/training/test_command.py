"""``mini-diffuser train`` from recordings to a policy, its exit codes and its one-line errors."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mini_diffuser_ros.policy import MiniDiffuser, load_policy
from mini_diffuser_ros.training.command import main

RECIPE = """
model:
  overrides:
    encoder_channels: [24, 24]
    encoder_heads: [1, 1]
    decoder_channels: [24]
    decoder_heads: [1]
    windows: [32, 32]
    text_hidden: 24
    neck_channels: 24
    neck_heads: 1
    head_hidden: 16
    voxel_size: 0.02
    heatmap_level: 0
data: {workers: 1}
batch: {scenes: 4, level2: 2}
budget: {steps: 4}
validate: {samples: 2, steps: 1}
shards: 2
"""


@pytest.fixture
def words(tmp_path: Path, recordings: Path) -> list[str]:
    """The command's arguments for a tiny recipe."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return ["--config", str(recipe), "--data", str(recordings), "--out", str(tmp_path / "out")]


def test_exports_a_policy_with_a_card_of_measured_numbers(words: list[str], tmp_path: Path) -> None:
    assert main([*words, "--seed", "7", "--optim.lr=1e-4"]) == 0
    policy = load_policy(tmp_path / "out" / "policy")
    assert policy.config.encoder_channels == (24, 24)
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
    monkeypatch.undo()
    assert main(words) == 0
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert [record["step"] for record in map(json.loads, lines) if "lr" in record] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--optim.lrr", "1"], "optim.lrr"),
        (["--seed"], "--seed"),
        (["stray"], "stray"),
        (["--model.overrides.wings", "2"], "wings"),
        (["--data.tasks", "juggle"], "juggle"),
        (["--shards", "3"], "shards"),
    ],
)
def test_faults_are_one_line_and_exit_code_2(
    words: list[str], extra: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *extra]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser train:")]
    assert len(lines) == 1
    assert named in lines[0]


def test_processes_of_torchrun_train_like_shards_of_one(words: list[str], tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out = tmp_path / "torchrun"
    command = [*launcher, "-m", "mini_diffuser_ros.training.command", *words, "--out", str(out)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    assert main(words) == 0
    together, alone = (losses(directory / "metrics.jsonl") for directory in (out, tmp_path / "out"))
    assert len(alone) == 4
    assert together == pytest.approx(alone, rel=1e-4)


def losses(log: Path) -> list[float]:
    return [record["total"] for record in map(json.loads, log.read_text().splitlines()) if "total" in record]
