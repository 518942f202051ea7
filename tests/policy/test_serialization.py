"""Curves visit every voxel once; windows give every point one place among its own scene."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.policy.network.serialization import curve_code, cut_windows

CURVES = ("z", "z-trans", "hilbert", "hilbert-trans")


def _cube(depth: int) -> torch.Tensor:
    axis = torch.arange(1 << depth)
    return torch.cartesian_prod(axis, axis, axis)


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_numbers_the_voxels_of_a_cube(curve: str) -> None:
    codes = curve_code(_cube(3), curve, 3)
    assert sorted(codes.tolist()) == list(range(512))


@pytest.mark.parametrize("curve", ["hilbert", "hilbert-trans"])
def test_neighbours_on_a_hilbert_curve_are_neighbours_in_space(curve: str) -> None:
    grid = _cube(3)
    along = grid[curve_code(grid, curve, 3).argsort()]
    assert ((along[1:] - along[:-1]).abs().sum(1) == 1).all()


@pytest.mark.parametrize("curve", CURVES)
def test_dropping_three_bits_gives_the_code_of_the_larger_voxel(curve: str) -> None:
    grid = _cube(4)
    assert torch.equal(curve_code(grid, curve, 4) >> 3, curve_code(grid >> 1, curve, 3))


def test_morton_order_interleaves_x_first() -> None:
    grid = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 0]])
    assert curve_code(grid, "z", 2).tolist() == [4, 2, 1, 32]
    assert curve_code(grid, "z-trans", 2).tolist() == [2, 4, 1, 16]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 16))
def test_every_point_has_one_place_in_a_window_of_its_scene(counts: list[int], size: int) -> None:
    batch = torch.repeat_interleave(torch.tensor(counts))
    points = torch.arange(len(batch))
    windows = cut_windows(torch.tensor(counts), size)
    slots = points if windows.slots is None else windows.slots
    assert torch.equal(windows.members.flatten()[slots], points)
    assert windows.valid.flatten()[slots].all()
    assert (batch[windows.members] == windows.scene[:, None])[windows.valid].all()
    assert windows.full == bool(windows.valid.all())
    full = torch.tensor(counts)[windows.scene] >= size
    assert windows.valid[full].all()


def test_the_last_window_borrows_the_same_slots_of_the_one_before() -> None:
    windows = cut_windows(torch.tensor([7]), 4)
    assert windows.members.tolist() == [[0, 1, 2, 3], [4, 5, 6, 3]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 6))
def test_rows_come_back_from_their_windows_with_their_gradients(counts: list[int], size: int) -> None:
    windows = cut_windows(torch.tensor(counts), size)
    rows = torch.randn((sum(counts), 2), dtype=torch.float64, requires_grad=True)
    assert torch.equal(windows.put_back(windows.take(rows)), rows)
    weight = torch.randn((*windows.members.shape, 2), dtype=torch.float64) * windows.valid[..., None]
    (given,) = torch.autograd.grad((windows.take(rows) * weight).sum(), rows)
    (expected,) = torch.autograd.grad((rows[windows.members] * weight).sum(), rows)
    torch.testing.assert_close(given, expected)
    in_slots = torch.randn((*windows.members.shape, 2), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(windows.put_back, (in_slots,))
