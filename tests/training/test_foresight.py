"""What will not work is said before anything is fused, all of it at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.policy import sentence_encoder
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.demonstrations import survey_demonstrations
from mini_diffuser_ros.training.foresight import check_training
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.run import model_configuration

from .test_command import RECIPE

EpisodeMaker = Callable[[int], Episode]
Refuse = Callable[..., str]
WORDS = "put the red block on the green block and then the blue block on the red block and then wait"


@pytest.fixture
def refuse(tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """The line that a training is refused with; nothing has been fused then."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")

    def run(*words: str) -> str:
        capsys.readouterr()
        out = tmp_path / "out"
        assert main(["train", "--config", str(recipe), "--data", str(recordings), "--out", str(out), *words]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser train:")]
        assert not list(tmp_path.rglob("clouds-*"))
        return line

    return run


def add(recordings: Path, make_episode: EpisodeMaker, seed: int, **changed: object) -> None:
    episode = replace(make_episode(seed), **changed)
    EpisodeStore(recordings).write(episode, seed)


def test_sentences_tasks_and_sizes_are_told_at_once(
    refuse: Refuse, recordings: Path, make_episode: EpisodeMaker
) -> None:
    add(recordings, make_episode, 7, sentences=(WORDS,), task="pile")
    network = ("--model.overrides.layers.dropout", "0.1", "--model.overrides.text.max_tokens", "16")
    line = refuse("--shards", "2", "--batch.scenes", "4", *network)
    assert "3 things will not work: " in line
    assert "pile-seed00000007: sentence of " in line
    assert "model.overrides.text.max_tokens" in line
    assert "task 'pile' has a single demonstration" in line
    assert "shards is above 1 with dropout in the network" in line


def test_of_many_damaged_episodes_it_says_how_many(
    refuse: Refuse, recordings: Path, make_episode: EpisodeMaker
) -> None:
    for seed in range(20, 26):
        add(recordings, make_episode, seed)
        file = recordings / f"stack_blobs-seed{seed:08d}.zip"
        file.write_bytes(file.read_bytes()[:40])
    line = refuse()
    assert "6 things will not work: " in line
    assert "stack_blobs-seed00000020.zip" in line
    assert line.count(".zip") >= 2
    assert line.endswith("...") or line.endswith("and 2 more")


def test_clouds_that_the_network_does_not_look_at(refuse: Refuse) -> None:
    workspace = "{lower: [2.0, 2.0, 2.0], upper: [3.0, 3.0, 3.0]}"
    assert "have no point in the network's workspace" in refuse("--model.overrides.scene.workspace", workspace)


def test_a_disk_that_cannot_hold_the_checkpoints(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    def little(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=3_000_000)

    monkeypatch.setattr("mini_diffuser_ros.training.foresight.shutil.disk_usage", little)
    line = refuse("--checkpoint.keep", "7")
    assert "3 MB free, and checkpoints of " in line
    assert "lower checkpoint.keep (7)" in line


def test_a_gpu_that_cannot_hold_the_weights(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    config = read_settings(TrainConfig, recipe, [("data.path", str(recordings)), ("out", str(tmp_path))])
    network = model_configuration(config)
    survey, encoder = survey_demonstrations(config.data), sentence_encoder(network)
    gpu = torch.device("cuda")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (1_000_000, 10**11))
    with pytest.raises(UserError, match=r"the GPU has 1 MB free, and [\d,]+ weights take \d+ MB before any cloud does"):
        check_training(config, network, survey, encoder, gpu, Processes())
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (10**10, 10**11))
    check_training(config, network, survey, encoder, gpu, Processes())


def test_what_a_recipe_says_in_vain_is_refused(refuse: Refuse) -> None:
    assert "batch.task_weights.stack_blob: unknown task 'stack_blob'; did you mean 'stack_blobs'?" in refuse(
        "--batch.task_weights.stack_blob", "3"
    )
    line = refuse("--augment.center", "[525, 0]")
    assert "augment.center is [525.0, 0.0], outside of the network's workspace" in line
    assert "set it to its middle, [0.525, 0], in metres" in line
    assert "2 things will not work" in refuse("--augment.center", "[0.5, 2]", "--validate.steps", "101")
    # What is not turned has no middle.
    assert "augment.center" not in refuse(
        "--augment.center", "[525, 0]", "--augment.yaw", "0", "--validate.steps", "101"
    )


def test_more_sampling_steps_than_the_network_has_levels(refuse: Refuse) -> None:
    assert "validate.steps is 101, expected at most the network's diffusion.steps, 100" in refuse(
        "--validate.steps", "101"
    )


def test_weights_of_tasks_that_are_left_out_may_stay_in_a_recipe(
    refuse: Refuse, caplog: pytest.LogCaptureFixture
) -> None:
    press, blobs = ("--batch.task_weights.press", "3"), ("--batch.task_weights.stack_blobs", "2")
    for words in (("--data.tasks", "stack_blobs", *press), (*press, *blobs)):
        caplog.clear()
        assert "task_weights" not in refuse(*words, "--validate.steps", "101")
        assert "batch.task_weights.press: unknown task 'press'" in caplog.text
    assert "batch.task_weights.stack_blobz" in (line := refuse(*press, "--batch.task_weights.stack_blobz", "2"))
    assert "batch.task_weights.press" not in line


def test_what_was_begun_goes_on(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "out" / "checkpoints" / "step_00000001").mkdir(parents=True)
    line = refuse("--augment.center", "[525, 0]", "--batch.task_weights.stack_blob", "3")
    assert "augment.center" not in line
    assert "task_weights" not in line
