"""Hypotheses become ranked modes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import gripper_symmetric_pose, top_down_quaternion
from mini_diffuser_ros.policy.modes import POSITION_RADIUS, Hypotheses, rank_modes
from mini_diffuser_ros.records import KeyframeMode


def _around(centres: list[tuple[float, float, float]], counts: list[int], yaw: float = 0.0) -> Hypotheses:
    random = np.random.default_rng(0)
    positions = np.concatenate(
        [np.add(centre, random.normal(0, 0.004, (count, 3))) for centre, count in zip(centres, counts, strict=True)]
    )
    count = len(positions)
    quaternions = np.tile(top_down_quaternion(yaw), (count, 1))
    return Hypotheses(positions, quaternions, np.ones(count, dtype=bool), np.zeros(count, dtype=bool))


def test_two_goals_are_two_modes_the_larger_first() -> None:
    modes = rank_modes(_around([(0.4, 0.2, 0.1), (0.6, -0.2, 0.1)], [20, 44]), symmetric=True)
    assert [mode.share for mode in modes] == [44 / 64, 20 / 64]
    np.testing.assert_allclose(modes[0].pose[:3], (0.6, -0.2, 0.1), atol=0.005)
    assert modes[0].spread == pytest.approx(0.004 * np.sqrt(3), rel=0.4)


def test_shares_sum_to_one_with_stragglers() -> None:
    hypotheses = _around([(0.4, 0.2, 0.1), (0.5, 0.0, 0.3), (0.7, 0.1, 0.2)], [30, 1, 1])
    modes = rank_modes(hypotheses, symmetric=True)
    assert sum(mode.share for mode in modes) == pytest.approx(1.0)
    assert len(modes) == 3


def test_an_open_and_a_closed_gripper_are_two_modes() -> None:
    hypotheses = _around([(0.4, 0.2, 0.1)], [10])
    hypotheses.gripper_open[:3] = False
    modes = rank_modes(hypotheses, symmetric=True)
    assert [(mode.gripper_open, mode.share) for mode in modes] == [(True, 0.7), (False, 0.3)]


def test_a_grasp_and_its_mirror_image_are_one_mode_for_a_parallel_gripper() -> None:
    hypotheses = _around([(0.4, 0.2, 0.1)], [10])
    for number in range(5):
        pose = np.concatenate([hypotheses.positions[number], hypotheses.quaternions[number]])
        hypotheses.quaternions[number] = gripper_symmetric_pose(pose)[3:]
    assert len(rank_modes(hypotheses, symmetric=True)) == 1
    assert len(rank_modes(hypotheses, symmetric=False)) == 2


def test_most_hypotheses_decide_about_termination() -> None:
    hypotheses = _around([(0.4, 0.2, 0.1)], [10])
    hypotheses.terminate[:6] = True
    assert rank_modes(hypotheses, symmetric=True)[0].terminate


def test_the_representative_is_one_of_the_hypotheses() -> None:
    hypotheses = _around([(0.4, 0.2, 0.1)], [32])
    pose = rank_modes(hypotheses, symmetric=True)[0].pose
    assert (np.abs(hypotheses.positions - pose[:3]).sum(1) == 0).any()


def test_no_hypotheses_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        rank_modes(_around([(0.0, 0.0, 0.0)], [0]), symmetric=True)


seeds = st.integers(0, 2**32)


def _scattered(seed: int) -> Hypotheses:
    """Up to 40 hypotheses in a few clusters of either gripper, some of them twice."""
    random = np.random.default_rng(seed)
    count, centres = random.integers(1, 41), random.uniform(-0.1, 0.1, (random.integers(1, 5), 3))
    positions = centres[random.integers(len(centres), size=count)] + random.normal(0, 0.01, (count, 3))
    quaternions = np.stack([top_down_quaternion(yaw) for yaw in random.uniform(-np.pi, np.pi, count)])
    again = random.integers(count, size=count // 4)
    return _select(
        Hypotheses(positions, quaternions, random.random(count) < 0.7, random.random(count) < 0.3),
        np.concatenate([np.arange(count), again]),
    )


def _select(hypotheses: Hypotheses, index: np.ndarray) -> Hypotheses:
    return Hypotheses(
        hypotheses.positions[index],
        hypotheses.quaternions[index],
        hypotheses.gripper_open[index],
        hypotheses.terminate[index],
    )


def _values(modes: list[KeyframeMode]) -> list[tuple[float, ...]]:
    return [(*mode.pose, mode.gripper_open, mode.terminate, mode.share, mode.spread) for mode in modes]


@given(seeds, st.booleans())
def test_modes_divide_the_hypotheses_among_themselves(seed: int, symmetric: bool) -> None:
    hypotheses = _scattered(seed)
    modes = rank_modes(hypotheses, symmetric)
    shares = [mode.share for mode in modes]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    for mode in modes:
        assert 0 <= mode.spread <= POSITION_RADIUS
        chosen = (hypotheses.positions == mode.pose[:3]).all(1) & (hypotheses.quaternions == mode.pose[3:]).all(1)
        assert (hypotheses.gripper_open[chosen] == mode.gripper_open).any()
    open_share = sum(mode.share for mode in modes if mode.gripper_open)
    assert open_share == pytest.approx(hypotheses.gripper_open.mean())


@given(seeds, st.booleans())
def test_the_order_of_the_hypotheses_does_not_matter(seed: int, symmetric: bool) -> None:
    hypotheses = _scattered(seed)
    shuffled = _select(hypotheses, np.random.default_rng(seed).permutation(len(hypotheses.positions)))
    assert _values(rank_modes(shuffled, symmetric)) == _values(rank_modes(hypotheses, symmetric))


@given(seeds, st.integers(5, 60), st.integers(5, 60))
def test_two_separate_clusters_are_the_two_modes_whichever_finger_is_which(seed: int, first: int, second: int) -> None:
    random = np.random.default_rng(seed)
    direction = random.normal(size=3)
    centres = np.stack([np.zeros(3), 0.1 * direction / np.linalg.norm(direction)])
    positions = np.repeat(centres, [first, second], axis=0) + random.uniform(-0.006, 0.006, (first + second, 3))
    count = first + second
    quaternions = np.tile(top_down_quaternion(0.3), (count, 1))
    turned = gripper_symmetric_pose(np.concatenate([np.zeros(3), quaternions[0]]))[3:]
    quaternions[random.random(count) < 0.5] = turned
    modes = rank_modes(Hypotheses(positions, quaternions, np.ones(count, bool), np.zeros(count, bool)), True)
    assert [mode.share * count for mode in modes] == pytest.approx(sorted((first, second), reverse=True))
    nearest = [int(np.linalg.norm(centres - mode.pose[:3], axis=1).argmin()) for mode in modes]
    assert sorted(nearest) == [0, 1]
