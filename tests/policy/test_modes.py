"""Hypotheses become ranked modes."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.geometry import gripper_symmetric_pose, top_down_quaternion
from mini_diffuser_ros.policy.modes import Hypotheses, rank_modes


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
