"""The loop: an interrupted run goes on as if nothing had happened, and what it leaves behind is readable."""

import json
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.training.config import (
    BatchConfig,
    BudgetConfig,
    CheckpointConfig,
    OptimConfig,
    TrainConfig,
    ValidateConfig,
)
from mini_diffuser_ros.training.dataset import frames_of, split
from mini_diffuser_ros.training.demonstrations import fuse_episode
from mini_diffuser_ros.training.errors import DivergedError, GpuMemoryError, TrainingCheckpointError
from mini_diffuser_ros.training.trainer import Trainer, TrainingOutcome

TINY = MiniDiffuserConfig.small(
    scene={"voxel_size": 0.02},
    text={"width": 8, "hidden": 24},
    backbone={
        "encoder_channels": (24, 24),
        "encoder_heads": (1, 1),
        "decoder_channels": (24,),
        "decoder_heads": (1,),
        "windows": (32, 32),
    },
    neck={"channels": 24, "heads": 1},
    heads={"hidden": 16},
    losses={"heatmap_level": 0},
)

Run = Callable[..., TrainingOutcome]


@pytest.fixture(scope="module")
def run(make_episode: Callable[[int], Episode]) -> Run:
    """Trains in a directory up to a number of steps."""
    demonstrations = [fuse_episode(make_episode(seed)) for seed in range(6)]
    sentences = sorted({sentence for demonstration in demonstrations for sentence in demonstration.sentences})
    tokens = {s: torch.randn(4, 8, generator=torch.Generator().manual_seed(i)) for i, s in enumerate(sentences)}
    training, held_out = (frames_of(part) for part in split(demonstrations, 0.3, seed=0))

    def train(out: Path, steps: int, progress_bar: bool = False, **changes: Any) -> TrainingOutcome:
        config = TrainConfig(
            batch=BatchConfig(scenes=4, level2=3),
            budget=BudgetConfig(steps=steps),
            validate=ValidateConfig(interval=3, episodes=1, samples=2, steps=2),
            checkpoint=CheckpointConfig(interval=2, keep=2),
            out=str(out),
            seed=5,
        )
        config = replace(config, **changes)
        return Trainer(config, TINY, training, held_out, tokens, torch.device("cpu")).run(progress_bar)

    return train


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def losses(out: Path) -> list[tuple[int, float, float]]:
    return [(r["step"], r["position"], r["gradient"]) for r in records(out) if "position" in r]


@pytest.mark.slow
@pytest.mark.parametrize(("shards", "method"), [(1, "adamw"), (2, "adamw"), (1, "muon")])
def test_resuming_repeats_the_uninterrupted_run_exactly(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int, method: Literal["adamw", "muon"]
) -> None:
    optim = OptimConfig(method=method)
    whole = run(tmp_path / "whole", 8, shards=shards, optim=optim)
    real_loss, calls = MiniDiffuser.loss, count()

    def dying(self: MiniDiffuser, *arguments: Any, **named: Any) -> dict[str, torch.Tensor]:
        if next(calls) == 5 * shards:
            raise MemoryError("killed")
        return real_loss(self, *arguments, **named)

    monkeypatch.setattr(MiniDiffuser, "loss", dying)
    with pytest.raises(MemoryError):
        run(tmp_path / "killed", 8, shards=shards, optim=optim)
    monkeypatch.undo()
    resumed = run(tmp_path / "killed", 8, shards=shards, optim=optim)

    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 8
    assert resumed.progress.best_score == whole.progress.best_score
    assert resumed.report == whole.report
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0)


def test_training_twice_gives_the_same_and_another_seed_does_not(run: Run, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / name, 2, seed=seed)
    assert losses(tmp_path / "a") == losses(tmp_path / "b") != losses(tmp_path / "c")


@pytest.mark.parametrize("steps", [1, 3])
def test_the_bar_of_a_training_that_ends_is_full(run: Run, tmp_path: Path, steps: int, capsys: Any) -> None:
    run(tmp_path, steps, progress_bar=True)
    assert "training 100%|" in capsys.readouterr().err.split("\r")[-1]


def test_bfloat16_changes_the_products_and_not_the_weights(run: Run, tmp_path: Path) -> None:
    for name, precision in (("a", "float32"), ("b", "bfloat16")):
        outcome = run(tmp_path / name, 2, precision=precision)
        assert all(value.dtype is torch.float32 for value in outcome.model.state_dict().values())
    exact, rough = (losses(tmp_path / name)[0][1] for name in ("a", "b"))
    assert exact != rough
    assert rough == pytest.approx(exact, rel=0.05)


def test_a_checkpoint_that_finds_no_room_is_named_and_leaves_those_before_it(run: Run, tmp_path: Path) -> None:
    run(tmp_path, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(TrainingCheckpointError, match=r"step_00000004.*written") as caught:
            run(tmp_path, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000002"]


def test_latest_and_best_checkpoints_are_kept(run: Run, tmp_path: Path) -> None:
    outcome = run(tmp_path, 9)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names[-2:] == ["step_00000008", "step_00000009"]
    assert len(names) <= 3
    assert not [name for name in names if name.startswith(".")]
    assert outcome.progress.step == 9


def test_a_finished_run_only_measures_again(run: Run, tmp_path: Path) -> None:
    first = run(tmp_path, 3)
    second = run(tmp_path, 3)
    assert second.progress.step == 3
    assert second.report == first.report
    assert len(losses(tmp_path)) == 3


def test_damaged_checkpoint_is_named(run: Run, tmp_path: Path) -> None:
    run(tmp_path, 2)
    (state,) = (tmp_path / "checkpoints").glob("*/state.safetensors")
    progress = state.with_name("progress.json")
    weights, said = bytearray(state.read_bytes()), progress.read_bytes()
    weights[-9] ^= 1  # a weight that is another one
    damages = (
        (state, bytes(weights[:1000])),
        (state, bytes(weights)),
        (progress, said.replace(b'"step": 2', b'"step": 3')),
    )
    for file, damaged in damages:
        whole = file.read_bytes()
        file.write_bytes(damaged)
        with pytest.raises(TrainingCheckpointError, match="step_00000002") as caught:
            run(tmp_path, 4)
        assert "\n" not in str(caught.value)
        file.write_bytes(whole)


def test_divergence_is_reported_with_its_step(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_loss = MiniDiffuser.loss

    def exploding(self: MiniDiffuser, *arguments: Any, **named: Any) -> dict[str, torch.Tensor]:
        return {name: value * torch.nan for name, value in real_loss(self, *arguments, **named).items()}

    monkeypatch.setattr(MiniDiffuser, "loss", exploding)
    with pytest.raises(DivergedError, match="step 1"):
        run(tmp_path, 2)


def test_validation_tells_decision_frames_apart(run: Run, tmp_path: Path) -> None:
    report = run(tmp_path, 3).report
    assert list(report["stack_blobs"]) == ["first", "later", "rest"]
    assert report["stack_blobs"]["first"].frames == 2
    measured = [record for record in records(tmp_path) if "validation" in record]
    assert [record["step"] for record in measured] == [3, 3]


def test_a_full_gpu_is_said_with_the_fields_that_help_and_what_is_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_loss, calls = MiniDiffuser.loss, count()

    def filling(self: MiniDiffuser, *arguments: Any, **named: Any) -> dict[str, torch.Tensor]:
        if next(calls) == 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real_loss(self, *arguments, **named)

    monkeypatch.setattr(MiniDiffuser, "loss", filling)
    with pytest.raises(GpuMemoryError, match=r"3 steps.*batch.scenes \(4\).*batch.level2 \(3\).*step_00000002 is kept"):
        run(tmp_path, 8)
