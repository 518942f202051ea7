"""Decisions: a cloud and a sentence in, ranked keyframes out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mini_diffuser_ros.policy import MiniDiffuser, Policy, TextError
from mini_diffuser_ros.records import Cloud

MakeCloud = Callable[..., Cloud]


@pytest.fixture
def policy(model: MiniDiffuser) -> Policy:
    return Policy(model)


def test_modes_are_ranked_poses(policy: Policy, block_cloud: MakeCloud) -> None:
    modes = policy.decide(block_cloud(), "stack the red block on the green block", samples=16, steps=3)
    shares = [mode.share for mode in modes]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    for mode in modes:
        assert np.isfinite(mode.pose).all()
        assert np.linalg.norm(mode.pose[3:]) == pytest.approx(1.0, abs=1e-5)
        assert mode.pose[2] >= 0.005


def test_equal_seeds_decide_alike(policy: Policy, block_cloud: MakeCloud) -> None:
    first, again, other = (policy.decide(block_cloud(), "press the red button", 8, 2, seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0].pose, again[0].pose)
    assert not np.array_equal(first[0].pose, other[0].pose)


def test_an_empty_sentence_is_refused(policy: Policy, block_cloud: MakeCloud) -> None:
    with pytest.raises(TextError, match="empty"):
        policy.decide(block_cloud(), " ")
