"""Fine-tuning: a training that goes on from a policy, takes its network and clouds, and rehearses what it knew."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import load_model, read_checkpoint
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge
from mini_diffuser_ros.records import TABLE, Episode, Provenance
from mini_diffuser_ros.training import run
from mini_diffuser_ros.training.config import DataConfig
from mini_diffuser_ros.training.demonstrations import survey_demonstrations
from mini_diffuser_ros.training.knowledge.lesson import Lesson

from .conftest import edit_recording
from .test_command import RECIPE

# Imported for the first time it starts a process, which tests of this module may not.
pytest.importorskip("mujoco")

EpisodeMaker = Callable[[int], Episode]
Train = Callable[..., tuple[int, str]]
NO_STEP = ("--budget.steps", "0", "--budget.minutes", "1e-9")


@pytest.fixture
def new(tmp_path: Path, make_episode: EpisodeMaker) -> Path:
    """Three demonstrations of a task that the policy does not know."""
    store = EpisodeStore(tmp_path / "new")
    for seed in range(20, 23):
        store.write(replace(make_episode(seed), task="swap_blobs", sentences=("swap the blobs",)), seed)
    return store.path


@pytest.fixture
def train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Trains in a directory below ``tmp_path``; gives exit code and error lines."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    plain = tmp_path / "plain.yaml"  # names no network
    plain.write_text("data: {workers: 1}\nbatch: {scenes: 4, level2: 2}\nbudget: {steps: 2}\n", encoding="utf-8")

    def run(out: str, data: Path, *words: str, named: bool = False) -> tuple[int, str]:
        capsys.readouterr()
        fixed = ["train", "--config", str(recipe if named else plain), "--out", str(tmp_path / out)]
        code = main(
            [*fixed, "--data", str(data), "--data.cache", str(tmp_path / "c"), "--validate.samples", "2", *words]
        )
        lines = capsys.readouterr().err.splitlines()
        return code, "\n".join(line for line in lines if line.startswith("mini-diffuser train:"))

    return run


@pytest.fixture
def policy(train: Train, recordings: Path, tmp_path: Path) -> Path:
    """A policy of the task stack_blobs."""
    assert train("before", recordings, named=True) == (0, "")
    return tmp_path / "before" / "policy"


def weights(policy: Path) -> str:
    return read_checkpoint(policy).weights_sha256


def card(out: Path) -> str:
    return (out / "policy" / "README.md").read_text(encoding="utf-8")


def test_before_the_first_step_it_is_the_policy_that_it_started_from(
    train: Train, policy: Path, new: Path, tmp_path: Path
) -> None:
    assert train("out", new, "--from", str(policy), *NO_STEP) == (0, "")
    before, after = load_model(policy).state_dict(), load_model(tmp_path / "out" / "policy").state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    known, started = read_checkpoint(policy), read_checkpoint(tmp_path / "out" / "policy")
    assert (started.network, started.fusion) == (known.network, known.fusion)
    assert started.started_from == known.weights_sha256
    assert started.tasks == known.tasks  # no step was made on the new ones
    assert known.started_from is None
    assert "started_from" not in json.loads((policy / "config.json").read_text())


def test_what_concerns_the_errors_of_cameras_may_be_otherwise(
    train: Train, policy: Path, tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    store = EpisodeStore(tmp_path / "exact")
    for seed in range(3):
        store.write(replace(make_episode(seed), provenance=Provenance((TABLE,))), seed)
    sensor = "perfect depth.subpixel=0.02"
    filters = ("--data.fusion.least_neighbors", "1", "--data.fusion.neighbor_radius", "0.05")
    assert train("out", store.path, "--from", str(policy), *filters, "--augment.sensor", sensor) == (0, "")
    known, after = read_checkpoint(policy), read_checkpoint(tmp_path / "out" / "policy")
    assert known.fusion is not None
    assert after.fusion == replace(known.fusion, least_neighbors=1, neighbor_radius=0.05)
    assert after.world.sensors == (sensor,)
    again = train("again", store.path, "--from", str(tmp_path / "out" / "policy"), *NO_STEP)
    assert again == (0, "")
    assert read_checkpoint(tmp_path / "again" / "policy").fusion == after.fusion


def test_steps_add_tasks_and_the_card_says_where_from_and_what_may_be_forgotten(
    train: Train, policy: Path, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("out", new, "--from", str(policy)) == (0, "")
    after = read_checkpoint(tmp_path / "out" / "policy")
    assert after.weights_sha256 != weights(policy)
    assert after.tasks == {**read_checkpoint(policy).tasks, "swap_blobs": ("swap the blobs",)}
    said = card(tmp_path / "out")
    assert f"| started from | policy, weights {weights(policy)} |" in said
    assert "| not rehearsed | stack_blobs: " in said
    assert str(tmp_path) not in said
    assert main(["info", str(tmp_path / "out" / "policy")]) == 0
    assert f"started from weights {weights(policy)[:12]}" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_share_of_the_weights_that_it_started_from_lies_between_both(
    train: Train, policy: Path, new: Path, tmp_path: Path, share: float
) -> None:
    assert train("learned", new, "--from", str(policy)) == (0, "")
    assert train("mixed", new, "--from", str(policy), "--start_share", str(share)) == (0, "")
    before, learned, mixed = (
        load_model(folder).state_dict()
        for folder in (policy, tmp_path / "learned" / "policy", tmp_path / "mixed" / "policy")
    )
    assert any(not torch.equal(before[name], learned[name]) for name in before)
    for name, value in mixed.items():
        torch.testing.assert_close(value, share * before[name] + (1 - share) * learned[name])
    assert f", of which the policy is {share:.0%} |" in card(tmp_path / "mixed")


def test_of_random_weights_no_share_is_kept(train: Train, recordings: Path, policy: Path, tmp_path: Path) -> None:
    assert train("shared", recordings, "--start_share", "0.5", named=True) == (0, "")
    assert weights(tmp_path / "shared" / "policy") == weights(policy)


def test_an_interrupted_one_ends_with_the_weights_of_one_that_was_not(
    train: Train, policy: Path, new: Path, recordings: Path, tmp_path: Path
) -> None:
    words = ("--from", str(policy), "--rehearse", str(recordings))
    assert train("whole", new, *words, "--budget.steps", "1", "--optim.warmup", "0", "--optim.final_lr", "1") == (0, "")
    # The schedule ends with the budget; without warm-up and with an end as its beginning it is the same for both.
    flat = ("--optim.warmup", "0", "--optim.final_lr", "1")
    assert train("once", new, *words, *flat, "--budget.steps", "3") == (0, "")
    assert train("whole", new, *words, *flat, "--budget.steps", "3") == (0, "")
    assert weights(tmp_path / "once" / "policy") == weights(tmp_path / "whole" / "policy")


def test_going_on_without_it_or_with_another_is_another_training(
    train: Train, policy: Path, new: Path, recordings: Path, tmp_path: Path
) -> None:
    assert train("out", new, "--from", str(policy)) == (0, "")
    code, error = train("out", new, "--budget.steps", "4", named=True)
    assert code == 2
    assert f'start_from is not set, was "{weights(policy)[:15]}' in error
    code, error = train("out", new, "--budget.steps", "4", "--from", str(policy), "--rehearse", str(recordings))
    assert code == 2
    assert "rehearsal.episodes is" in error
    assert "was not set" in error


def test_rehearsed_episodes_keep_their_tasks_and_are_measured_apart(
    train: Train, policy: Path, new: Path, recordings: Path, tmp_path: Path
) -> None:
    assert train("out", new, "--from", str(policy), "--rehearse", str(recordings), "--rehearsal.share", "0.25") == (
        0,
        "",
    )
    said = card(tmp_path / "out")
    assert "| rehearsed | 2 stack_blobs, in 25% of the scenes; held out here, as `(old)` below: 1 stack_blobs |" in said
    assert "stack_blobs (old)" in said
    assert "not rehearsed" not in said
    # Only measured on, they are not rehearsed.
    share = ("--rehearsal.share", "0")
    assert train("none", new, "--from", str(policy), "--rehearse", str(recordings), *share) == (0, "")
    assert "| not rehearsed | stack_blobs: " in card(tmp_path / "none")
    assert "stack_blobs (old)" in card(tmp_path / "none")


def test_it_learns_about_itself_from_old_and_new_demonstrations(
    train: Train, policy: Path, new: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    def listen(lesson: Lesson, names: Sequence[str], known: Knowledge) -> Knowledge:
        parts = (lesson.demonstrations.training, lesson.demonstrations.held_out)
        heard.append(([Counter(one.task for one in part) for part in parts], set(lesson.policy.tasks)))
        return known

    monkeypatch.setattr(run, "learn", listen)
    words = ("--from", str(policy), "--rehearse", str(recordings), "--knowledge", "true")
    assert train("out", new, *words) == (0, "")
    both = {"swap_blobs": 1, "stack_blobs": 1}
    assert heard == [([{"swap_blobs": 2, "stack_blobs": 2}, both], {"swap_blobs", "stack_blobs"})]


def test_the_same_episode_is_not_both_new_and_rehearsed(train: Train, policy: Path, recordings: Path) -> None:
    code, error = train("out", recordings, "--from", str(policy), "--rehearse", str(recordings))
    assert code == 2
    assert "3 episodes are in data.path and in rehearsal.path" in error


def test_nor_is_one_that_was_renamed_and_cut_off(train: Train, policy: Path, new: Path, recordings: Path) -> None:
    def other(index: dict[str, Any]) -> None:
        del index["keyframes"][-2:]
        index.update(task="put_blobs", sentences=["move a blob"])

    edit_recording(sorted(recordings.glob("*.zip"))[2], other, new / "put_blobs-seed00000040.zip")
    code, error = train("out", new, "--from", str(policy), "--rehearse", str(recordings))
    assert code == 2
    assert "1 episodes are in data.path and in rehearsal.path, e.g. stack_blobs-seed00000002" in error


def test_it_does_not_replace_the_policy_that_it_starts_from(
    train: Train, policy: Path, new: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(policy)
    before = weights(policy)
    code, error = train("out", new, "--from", str(policy), "--policy", str(tmp_path / "link"))
    assert code == 2
    assert f"policy {tmp_path / 'link'}: is start_from, which it would replace" in error
    assert weights(policy) == before


def test_the_policy_says_which_episodes_its_weights_come_from(
    train: Train, policy: Path, new: Path, recordings: Path, tmp_path: Path
) -> None:
    before = read_checkpoint(policy).trained_on
    old = {one.digest.hex() for one in survey_demonstrations(DataConfig(path=str(recordings))).episodes}
    assert len(before) == 2
    assert set(before) < old
    assert train("out", new, "--from", str(policy)) == (0, "")
    after = set(read_checkpoint(tmp_path / "out" / "policy").trained_on)
    shown = {one.digest.hex() for one in survey_demonstrations(DataConfig(path=str(new))).episodes}
    assert after > set(before)
    assert len(after & shown) == 2
    assert after <= set(before) | shown


def test_a_policy_of_another_sentence_encoder_is_refused(
    train: Train, policy: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mini_diffuser_ros.policy.text.minilm.MiniLMEncoder.digest", lambda _: "f" * 64)
    code, error = train("out", new, "--from", str(policy))
    assert code == 2
    assert "was trained with another sentence encoder minilm" in error


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--model.preset", "base"), ("is 24, that of model.preset base 256", "fields more")),
        (
            ("--model.overrides.neck.channels", "48", "--model.overrides.neck.heads", "2"),
            ("network.neck.channels is 24",),
        ),
        (("--model.overrides.text.encoder", "clip"), ("network.text.encoder is minilm, the recipe's clip",)),
        (("--model.overrides.scene.voxel_size", "0.01"), ("network.scene.voxel_size is 0.02, the recipe's 0.01",)),
        (("--data.fusion.voxel_size", "0.02"), ("fusion.voxel_size is 0.005, not 0.02",)),
        (("--data.cell", "CELL"), ("its clouds lie in ", "data.cell")),
    ],
)
def test_what_the_recipe_has_otherwise_is_named_in_one_line(
    train: Train, policy: Path, new: Path, tmp_path: Path, words: tuple[str, ...], named: tuple[str, ...]
) -> None:
    cell = tmp_path / "cell.yaml"
    example = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"
    cell.write_text(example.read_text().replace("upper: [0.80, 0.38, 0.55]", "upper: [0.70, 0.38, 0.55]"))
    code, error = train("out", new, "--from", str(policy), *(str(cell) if word == "CELL" else word for word in words))
    assert (code, error.count("\n")) == (2, 0)
    for part in named:
        assert part in error
    assert "--from" in error


def test_a_damaged_or_absent_policy_is_one_line(train: Train, policy: Path, new: Path, tmp_path: Path) -> None:
    absent = train("out", new, "--from", str(tmp_path / "nowhere"))
    assert absent == (2, absent[1])
    assert "nowhere: no such directory" in absent[1]
    file = policy / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    code, error = train("out", new, "--from", str(policy))
    assert code == 2
    assert "model.safetensors: damaged, or of another policy" in error
    assert error.count("\n") == 0


def test_stored_clouds_must_be_made_as_those_of_the_policy(
    train: Train, policy: Path, new: Path, tmp_path: Path
) -> None:
    made = {"same": FusionConfig(), "coarse": FusionConfig(voxel_size=0.02), "elsewhere": FusionConfig(frame="world")}
    for name, fusion in made.items():
        done = convert(open_episodes(new, fusion), tmp_path / name, Contents.CLOUDS, 1)
        assert not [one.fault for one in done if one.fault]
    assert train("out", tmp_path / "same", "--from", str(policy)) == (0, "")
    code, error = train("out", tmp_path / "coarse", "--from", str(policy))
    assert code == 2
    assert "whose fusion.voxel_size is 0.005, not 0.02" in error
    code, error = train("out", tmp_path / "elsewhere", "--from", str(policy))
    assert code == 2
    assert "its clouds are in the frame world, those of policy in panda_link0" in error
    code, error = train("out", new, "--from", str(policy), "--rehearse", str(tmp_path / "coarse"))
    assert code == 2
    assert "holds clouds made otherwise than those of data.path" in error


def test_so_many_of_each_task_are_drawn_by_the_seed_and_fewer_are_part_of_more(
    train: Train, recordings: Path, make_episode: EpisodeMaker, tmp_path: Path
) -> None:
    store = EpisodeStore(recordings)
    for seed in range(3, 9):
        store.write(make_episode(seed), seed)
    used = {}
    for out, words in {"two": ("2",), "three": ("3",), "other": ("3", "--seed", "4")}.items():
        assert train(out, recordings, "--data.per_task", *words, named=True) == (0, "")
        (progress,) = (tmp_path / out / "checkpoints").glob("step_*/progress.json")
        used[out] = set(json.loads(progress.read_text())["stages"][0]["episodes"])
    assert {out: len(episodes) for out, episodes in used.items()} == {"two": 2, "three": 3, "other": 3}
    assert used["two"] < used["three"] != used["other"]
    code, error = train("more", recordings, "--data.per_task", "10", named=True)
    assert code == 2
    assert "task 'stack_blobs' has 9 demonstrations, 10 are asked for" in error


def test_of_ten_of_which_one_is_broken_nothing_is_learned_silently(
    train: Train, recordings: Path, make_episode: EpisodeMaker, tmp_path: Path
) -> None:
    store = EpisodeStore(recordings)
    for seed in range(3, 10):
        store.write(make_episode(seed), seed)
    broken = sorted(recordings.glob("*.zip"))[4]
    broken.write_bytes(broken.read_bytes()[:999])
    code, error = train("out", recordings, named=True)
    assert (code, error.count("\n")) == (2, 0)
    assert broken.name in error
    assert train("out", recordings, "--skip-bad", named=True) == (0, "")
    assert "| demonstrations | 8 stack_blobs; held out: 1 stack_blobs |" in card(tmp_path / "out")
    assert "| left out | 1 episode that cannot be read or trained on |" in card(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    code, error = train("out", recordings, "--skip-bad", "--data.per_task", "10", named=True)
    assert code == 2
    assert "has 9 demonstrations, 10 are asked for" in error
