"""Dropout keeps the expectation, and passes gradients exactly where it passes values."""

from __future__ import annotations

import pytest
import torch

from mini_diffuser_ros.policy.network.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mean_stays_and_the_share_is_zeroed(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1000, 333, dtype=dtype), share, training=True)
    assert dropped.dtype == dtype
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.003)
    assert dropped.float().mean().item() == pytest.approx(1.0, abs=0.005)


def test_gradients_pass_where_values_do() -> None:
    x = torch.randn(50, 7, requires_grad=True)
    dropped = dropout(x, 0.3, training=True)
    dropped.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(dropped, x * x.grad)


def test_nothing_is_dropped_outside_training() -> None:
    x = torch.randn(5, 3)
    assert dropout(x, 0.9, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_a_seed_repeats_the_draw() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(torch.ones(100), 0.5, training=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
