"""Failures made up from demonstrations, and what learns from them when a task is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy, load_policy, save_policy
from mini_diffuser_ros.policy.knowledge.completion import Completion
from mini_diffuser_ros.policy.knowledge.ends import without_hand
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge, write_knowledge
from mini_diffuser_ros.policy.scene import scene_points
from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.augmentation import PlanarMotion
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.knowledge import learning
from mini_diffuser_ros.training.knowledge.completion import cases_of, learn_completion
from mini_diffuser_ros.training.knowledge.failures import end_of, made_up, moved_points
from mini_diffuser_ros.training.knowledge.lesson import Demonstrations, Lesson

RED, GREEN = (220, 20, 20), (20, 160, 30)
TOP, BOTTOM = np.array([0.42, -0.12]), np.array([0.58, 0.1])
DOWN = (1.0, 0.0, 0.0, 0.0)


def block(color: tuple[int, int, int], spot: np.ndarray, foot: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    steps = np.arange(0.0025, 0.04, 0.005)
    grid = np.stack(np.meshgrid(steps - 0.02, steps - 0.02, steps + 0.005), -1).reshape(-1, 3)
    points = (grid + np.array([*spot, foot])).astype(np.float32)
    return points, np.tile(np.uint8(color), (len(points), 1))


def seen(*parts: tuple[np.ndarray, np.ndarray], hand: np.ndarray) -> Cloud:
    """Blocks, and the fingers of a hand."""
    fingers = np.random.default_rng(0).uniform((-0.01, -0.04, 0.0), (0.01, 0.04, 0.05), (40, 3)) + hand
    points = np.concatenate([*(points for points, _ in parts), fingers.astype(np.float32)])
    return Cloud(points, np.concatenate([*(own for _, own in parts), np.full((40, 3), 120, np.uint8)]), "base")


def stacking(moves: bool = True) -> Demonstration:
    """Red goes onto green, or nothing moves where somebody only touches it."""
    way = np.array([[0.45, 0.0, 0.3], [*TOP, 0.02], [*BOTTOM, 0.18], [*BOTTOM, 0.065], [*BOTTOM, 0.19]])
    poses = np.array([[*place, *DOWN] for place in way])
    before = [block(RED, TOP), block(GREEN, BOTTOM)]
    after = [block(RED, BOTTOM, 0.04), block(GREEN, BOTTOM)] if moves else before
    clouds = tuple(seen(*(after if t >= 3 else before), hand=place) for t, place in enumerate(way))
    opens = np.array([True, False, False, True, True])
    return Demonstration("stack", ("red on green", "stack red on green"), "drawn", poses, opens, clouds)


def reddish(cloud: Cloud) -> np.ndarray:
    return cloud.points[cloud.colors[:, 0] > 200]


def test_what_moved_is_found_without_the_hand() -> None:
    demonstration = stacking()
    before, after = moved_points(demonstration)
    assert len(before) == len(after) == len(reddish(demonstration.clouds[0]))
    assert (demonstration.clouds[0].colors[before, 0] > 200).all()
    assert (demonstration.clouds[-1].colors[after, 0] > 200).all()


@given(seed=st.integers(0, 1000))
def test_failures_show_what_was_moved_where_it_was_or_beside_where_it_was_put(seed: int) -> None:
    demonstration = stacking()
    earlier = {id(cloud) for cloud in demonstration.clouds}
    made = [end for end in made_up(demonstration, np.random.default_rng(seed)) if id(end.cloud) not in earlier]
    assert len(made) >= 2
    back, *beside = made
    assert reddish(back.cloud)[:, :2].mean(0) == pytest.approx(TOP, abs=1e-3)
    for end in beside:
        middle = reddish(end.cloud).mean(0)
        assert np.linalg.norm(middle[:2] - BOTTOM) > 0.05
        assert middle[2] < 0.04  # on the table
    assert all(np.array_equal(end.rest, demonstration.poses[-1]) for end in made)


def test_where_nothing_that_shows_was_moved_the_hand_stops_before_where_it_was() -> None:
    demonstration = stacking(moves=False)
    end = end_of(demonstration)
    made = made_up(demonstration, np.random.default_rng(0))
    short = [one for one in made if one.cloud is end.cloud]
    assert len(short) >= 2
    for one in short:
        offset = one.deed[:3] - end.deed[:3]
        assert offset[2] > 0.005  # the tool points down
        np.testing.assert_allclose(offset[:2], 0.0, atol=1e-9)


def test_cases_are_ends_that_are_done_and_others_that_are_not() -> None:
    other = replace(stacking(), sentences=("green on red",))
    cases = cases_of([stacking(), other], np.random.default_rng(0), MiniDiffuserConfig.small().scene.workspace)
    done = [case for case in cases if case.done]
    assert len(done) == 6
    assert len(cases) > 12
    other_words = [case for case in cases if not case.done and any(case.end is one.end for one in done)]
    assert {case.sentence for case in other_words} <= {"green on red", "red on green", "stack red on green"}


@pytest.mark.parametrize("turn", [90.0, 180.0])
def test_ends_are_turned_about_the_middle_of_the_workspace_wherever_the_table_stands(turn: float) -> None:
    motion = PlanarMotion(np.radians(turn), (0.0, 0.0), (0.0, 0.0, 0.0))
    shown = stacking()
    elsewhere = replace(
        shown,
        poses=np.stack([motion.of_pose(pose) for pose in shown.poses]),
        clouds=tuple(replace(cloud, points=motion.of_points(cloud.points)) for cloud in shown.clouds),
    )
    here = MiniDiffuserConfig.small().scene.workspace
    corners = motion.of_points(np.array([here.lower, here.upper])).astype(np.float64)
    there = Workspace(tuple(corners.min(0).tolist()), tuple(corners.max(0).tolist()))
    network = MiniDiffuserConfig.small()
    network = replace(network, scene=replace(network.scene, workspace=there))
    deeds = []
    for seed in range(5):
        cases = cases_of([elsewhere], np.random.default_rng(seed), there)
        deeds += [case.end.deed for case in cases if case.done]
        for case in cases:
            assert len(scene_points(without_hand(case.end), network).points)
    # They are turned, not left where they are.
    assert np.ptp(np.stack(deeds)[:, :2], axis=0).max() > 0.1


def test_an_end_that_leaves_a_narrow_table_stays_where_it_was() -> None:
    narrow = Workspace((0.35, -0.2, 0.004), (0.65, 1.8, 0.6))  # whose middle is far from what was done
    network = MiniDiffuserConfig.small()
    network = replace(network, scene=replace(network.scene, workspace=narrow))
    for seed in range(8):
        for case in cases_of([stacking()], np.random.default_rng(seed), narrow):
            assert len(scene_points(without_hand(case.end), network).points)


def test_what_one_part_cannot_be_learned_from_leaves_the_others(
    policy: Policy, learned: Completion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Lesson) -> Completion:
        raise ValueError("cloud.points (3, 3) has no point inside the workspace")

    lesson = Lesson(policy, lambda: Demonstrations([], []), progress=False)
    monkeypatch.setattr(learning, "LEARNERS", {"completion": lambda _: learned, "presence": fail})
    known = learning.learn(lesson, ("completion", "presence"), Knowledge())
    assert known.completion is learned
    assert known.presence is None
    assert "presence is not learned: cloud.points (3, 3) has no point inside the workspace" in caplog.text
    with pytest.raises(DatasetError, match="no point inside the workspace"):
        learning.learn(lesson, ("presence",), Knowledge())


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.manual_seed(0)
    return Policy(MiniDiffuser(MiniDiffuserConfig.small()), tasks={"stack": ("red on green",)})


@pytest.fixture(scope="module")
def learned(policy: Policy) -> Completion:
    demonstrations = [stacking() for _ in range(6)]
    return learn_completion(
        Lesson(policy, lambda: Demonstrations(demonstrations[:4], demonstrations[4:]), progress=False)
    )


def test_it_tells_what_is_done_from_what_is_not(policy: Policy, learned: Completion) -> None:
    end = end_of(stacking())
    failed = next(one for one in made_up(stacking(), np.random.default_rng(5)) if one.rest is not end.rest)
    words = policy.text("red on green")
    assert learned.read(policy.model, end, words).score > learned.read(policy.model, failed, words).score
    facts = learned.facts.thresholds["end"]
    assert facts.cases == 6
    assert facts.catches is not None


def test_it_comes_back_from_a_checkpoint_as_it_was(
    policy: Policy, learned: Completion, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_policy(policy.model, folder, tasks=policy.tasks)
    write_knowledge(Knowledge(completion=learned), folder)
    judged = load_policy(folder).completion("red on green", end_of(stacking()))
    before = learned.read(policy.model, end_of(stacking()), policy.text("red on green"))
    assert judged is not None
    assert judged.score == pytest.approx(before.score, abs=2e-3)  # stored in half precision
    assert judged.threshold == before.threshold


def test_a_policy_that_was_not_taught_ends_judges_none(policy: Policy) -> None:
    assert policy.completion("red on green", end_of(stacking())) is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mean", torch.zeros(3), "mean"),
        ("deviation", None, "deviation"),
        ("judge1.1.weight", torch.tensor([torch.nan]), "judge1.1.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    learned: Completion, name: str, value: torch.Tensor | None, said: str
) -> None:
    tensors = {**learned.tensors(), name: value}
    with pytest.raises(ValueError, match=said):
        Completion.restored(
            learned.facts, {k: v for k, v in tensors.items() if v is not None}, MiniDiffuserConfig.small()
        )


def test_nothing_is_learned_without_held_out_demonstrations(policy: Policy) -> None:
    with pytest.raises(DatasetError, match="held out"):
        learn_completion(Lesson(policy, lambda: Demonstrations([stacking()], []), progress=False))
