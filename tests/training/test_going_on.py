"""A training goes on only as the training that it was: by the content of its data and recipe, not by its folder."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.policy import read_checkpoint
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.support.holding import Hold
from mini_diffuser_ros.support.sealing import sealed, unsealed

from .test_command import RECIPE

EpisodeMaker = Callable[[int], Episode]
Train = Callable[..., tuple[int, str]]


@pytest.fixture
def train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Trains on a data set up to a number of steps in one output directory; gives exit code and error lines."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")

    def run(data: Path, steps: int, *words: str) -> tuple[int, str]:
        capsys.readouterr()
        fixed = ["train", "--config", str(recipe), "--out", str(tmp_path / "out"), "--data.cache", str(tmp_path / "c")]
        code = main([*fixed, "--data", str(data), "--budget.steps", str(steps), *words])
        lines = capsys.readouterr().err.splitlines()
        return code, "\n".join(line for line in lines if line.startswith("mini-diffuser train:"))

    return run


@pytest.fixture
def others(tmp_path: Path, make_episode: EpisodeMaker) -> Path:
    """Another data set of three episodes, under the same names."""
    store = EpisodeStore(tmp_path / "others")
    for seed in range(3):
        store.write(make_episode(seed + 50), seed)
    return store.path


def steps(out: Path) -> list[int]:
    """The steps that were made, by the log."""
    records = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [record["step"] for record in records if "lr" in record]


def test_other_data_in_the_same_directory_is_refused_before_it_is_fused(
    train: Train, recordings: Path, others: Path, tmp_path: Path
) -> None:
    assert train(recordings, 2) == (0, "")
    policy = tmp_path / "out" / "policy"
    before = {file.name: file.read_bytes() for file in policy.iterdir()}
    recipe = (tmp_path / "out" / "recipe.yaml").read_bytes()
    code, error = train(others, 4, "--optim.lr", "0.002", "--budget.minutes", "5")
    assert code == 2
    assert error == (
        f"mini-diffuser train: {tmp_path / 'out'} holds another training, at step 2: 3 episodes are new, 3 are gone; "
        "optim.lr is 0.002, was 0.001; choose another --out, or --continue-anyway"
    )
    assert {file.name: file.read_bytes() for file in policy.iterdir()} == before
    assert (tmp_path / "out" / "recipe.yaml").read_bytes() == recipe
    assert len(list((tmp_path / "c").glob("clouds-*"))) == 1
    assert steps(tmp_path / "out") == [1, 2]


def test_what_is_edited_gone_new_or_set_otherwise_is_named(
    train: Train, recordings: Path, make_episode: EpisodeMaker
) -> None:
    assert train(recordings, 1) == (0, "")
    first = sorted(recordings.glob("*.zip"))[0]
    original = first.read_bytes()
    store = EpisodeStore(recordings)
    store.write(replace(make_episode(0), sentences=("put the red block elsewhere",)), 0)
    assert first.read_bytes() != original
    assert "1 episode is new, 1 is gone; choose" in train(recordings, 2)[1]
    first.write_bytes(original)
    new = store.write(make_episode(8), 8)
    assert "1 episode is new; choose" in train(recordings, 2)[1]
    new.unlink()
    for words, named in (
        (("--seed", "3"), "seed is 3, was 0"),
        (("--batch.task_weights.stack_blobs", "2"), "batch.task_weights.stack_blobs is 2.0, was not set"),
        (("--precision", "bfloat16"), 'precision is "bfloat16", was "float32"'),
        (("--data.validation_share", "0"), "data.validation_share is 0.0, was 0.07"),
        (("--data.fusion.voxel_size", "0.02"), "fusion.voxel_size is 0.02, was "),
        (("--model.overrides.scene.max_points", "999"), "network.scene.max_points is 999, was "),
    ):
        code, error = train(recordings, 2, *words)
        assert (code, error.count("\n")) == (2, 0)
        assert named in error
    first.rename(first.with_name("stack_blobs-seed00000009.zip"))
    assert "the episodes are in another order" in train(recordings, 2)[1]
    first.with_name("stack_blobs-seed00000009.zip").unlink()
    assert "1 episode is gone; choose" in train(recordings, 2)[1]


def test_the_same_data_elsewhere_or_converted_and_other_ways_to_work_go_on(
    train: Train, recordings: Path, tmp_path: Path
) -> None:
    assert train(recordings, 1) == (0, "")
    shutil.copytree(recordings, tmp_path / "moved")
    shutil.rmtree(recordings)
    assert train(tmp_path / "moved", 2, "--shards", "1", "--validate.interval", "7") == (0, "")
    for contents in Contents:
        assert not [
            done.fault
            for done in convert(open_episodes(tmp_path / "moved"), tmp_path / contents.value, contents, 1)
            if done.fault
        ]
    for number, contents in enumerate(Contents):
        code, error = train(tmp_path / contents.value, 3 + number, "--precision", "float32", "--checkpoint.keep", "9")
        assert (code, error) == (0, "")
    assert steps(tmp_path / "out") == list(range(1, 3 + len(Contents)))
    assert "--continue-anyway" not in (tmp_path / "out" / "policy" / "README.md").read_text()


def test_going_on_anyway_is_on_the_card(train: Train, recordings: Path, others: Path, tmp_path: Path) -> None:
    card = tmp_path / "out" / "policy" / "README.md"
    assert train(recordings, 2) == (0, "")
    first = data_of(card)
    assert train(others, 2, "--continue-anyway") == (0, "")
    assert "* no step after 2: " in card.read_text()
    assert train(others, 4, "--continue-anyway", "--ema", "0.9") == (0, "")
    second = data_of(card)
    assert first != second
    assert f"* steps 1 to 2: {first}\n" in card.read_text()
    changes = "3 episodes are new, 3 are gone; ema is 0.9, was 0.998"
    assert f"* steps 3 to 4: {second}; {changes}\n" in card.read_text()
    # From now on that is the training; what it was made of before stays on the card.
    assert train(others, 5, "--ema", "0.9") == (0, "")
    assert f"* steps 1 to 2: {first}\n* steps 3 to 5: {second}; {changes}\n" in card.read_text()
    assert train(recordings, 6)[0] == 2


def test_a_policy_names_the_sentences_of_all_that_it_was_trained_on(
    train: Train, recordings: Path, others: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "out" / "policy"
    assert train(recordings, 2) == (0, "")
    first = set(read_checkpoint(policy).tasks["stack_blobs"])
    assert train(others, 2, "--continue-anyway") == (0, "")
    assert set(read_checkpoint(policy).tasks["stack_blobs"]) == first  # no step was made on the others
    assert train(others, 4, "--continue-anyway") == (0, "")
    both = read_checkpoint(policy).tasks["stack_blobs"]
    assert train(others, 2, "--out", str(tmp_path / "alone")) == (0, "")
    second = set(read_checkpoint(tmp_path / "alone" / "policy").tasks["stack_blobs"])
    assert first != second
    assert both == tuple(sorted(first | second))
    assert train(others, 5) == (0, "")
    assert read_checkpoint(policy).tasks["stack_blobs"] == both


def test_the_best_score_is_of_the_data_that_it_was_measured_on(
    train: Train, recordings: Path, others: Path, tmp_path: Path
) -> None:
    def latest() -> Path:
        return sorted((tmp_path / "out" / "checkpoints").glob("*/progress.json"))[-1]

    assert train(recordings, 2) == (0, "")
    values = unsealed(json.loads(latest().read_text()))
    latest().write_text(json.dumps(sealed({**values, "best_score": 1e6})))
    assert train(recordings, 3) == (0, "")
    assert json.loads(latest().read_text())["best_step"] == 2
    assert train(others, 4, "--continue-anyway") == (0, "")
    after = json.loads(latest().read_text())
    assert after["best_step"] == 4
    assert after["best_score"] < 1e6


def data_of(card: Path) -> str:
    (line,) = [line for line in card.read_text().splitlines() if line.startswith("| data | ")]
    return line.removeprefix("| data | ").removesuffix(" |")


def test_a_checkpoint_that_does_not_say_what_it_is_of_asks_for_a_word(
    train: Train, recordings: Path, tmp_path: Path
) -> None:
    assert train(recordings, 2) == (0, "")
    (progress,) = (tmp_path / "out" / "checkpoints").glob("*/progress.json")
    values = unsealed(json.loads(progress.read_text()))
    del values["stages"]
    progress.write_text(json.dumps(sealed(values)))
    code, error = train(recordings, 3)
    assert code == 2
    assert error.endswith("of which data and recipe it is; choose another --out, or --continue-anyway")
    assert train(recordings, 3, "--continue-anyway") == (0, "")
    card = (tmp_path / "out" / "policy" / "README.md").read_text()
    assert "* steps 1 to 2: not known\n* steps 3 to 3: 3 episodes, digest " in card
    assert train(recordings, 4) == (0, "")


def test_an_output_directory_has_one_training(train: Train, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with Hold(tmp_path / "out" / ".training", "another training"):
        code, error = train(recordings, 1)
    assert code == 2
    assert "is being written by process" in error
    assert not (tmp_path / "c").exists()
    assert train(recordings, 1) == (0, "")


def test_versions_that_are_made_otherwise_are_other_demonstrations(
    train: Train, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(recordings, 2, "--augment.recolored", "4") == (0, "")
    monkeypatch.setattr("mini_diffuser_ros.training.identity.RECOLOURING", "another way")
    code, line = train(recordings, 4, "--augment.recolored", "4")
    assert code == 2
    assert "recolouring" in line


@pytest.mark.parametrize(("first", "then"), [("adamw", "muon"), ("muon", "adamw")])
def test_moments_of_another_optimiser_are_not_taken_for_its_own(
    train: Train, recordings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, first: str, then: str
) -> None:
    assert train(recordings, 2, "--optim.method", first) == (0, "")
    assert train(recordings, 4, "--optim.method", then, "--continue-anyway") == (0, "")
    assert "the checkpoint is of another optimiser: the moments of this one begin anew" in caplog.text
    assert steps(tmp_path / "out") == [1, 2, 3, 4]
    caplog.clear()
    assert train(recordings, 5, "--optim.method", then) == (0, "")
    assert "begin anew" not in caplog.text


def test_what_was_trained_is_kept_when_the_last_validation_fails(
    train: Train, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mini_diffuser_ros.training.trainer.validate", fail)
    with pytest.raises(MemoryError):
        train(recordings, 2)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()] == ["step_00000002"]
    assert train(recordings, 3) == (0, "")
    assert steps(tmp_path / "out") == [1, 2, 3]
