"""Space-filling curves over voxels, and the attention windows cut from them.

Curves: Morton order and John Skilling's Hilbert curve ("Programming the Hilbert curve", AIP 2004), each also with
x and y swapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MAX_DEPTH = 16  # bits an axis: 48 bits of curve leave 15 for the number of the scene
_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def curve_code(grid: Tensor, curve: str, depth: int) -> Tensor:
    """Position of voxels along a curve.

    Args:
        grid: (N, 3) int64 voxel coordinates, each in [0, 2**depth).
        curve: ``z``, ``z-trans``, ``hilbert`` or ``hilbert-trans``.
        depth: bits an axis, at most ``MAX_DEPTH``.

    Returns:
        (N,) int64 in [0, 8**depth). Dropping the last three bits gives the code of the voxel twice as large.
    """
    x, y, z = grid.unbind(1)
    if curve.endswith("-trans"):
        x, y = y, x
    if curve.startswith("hilbert"):
        return _binary_from_gray(_morton(*_hilbert_axes(x, y, z, depth)))
    return _morton(x, y, z)


@dataclass(frozen=True, eq=False)
class Windows:
    """Groups of consecutive points that attend to one another.

    Attributes:
        members: (W, K) int64, the point in each slot; unused slots repeat a point of the same scene.
        valid: (W, K) bool, slots that count as keys.
        full: whether all do.
        slots: (N,) int64, the slot of the flattened (W * K) that holds a point's own output; None where slot n
            holds point n.
        borrowed: (E,) int64, slots whose point has its own output elsewhere.
        scene: (W,) int64, the scene a window belongs to.
    """

    members: Tensor
    valid: Tensor
    full: bool
    slots: Tensor | None
    borrowed: Tensor
    scene: Tensor

    def take(self, rows: Tensor) -> Tensor:
        """Rows of points (N, C) in their windows (W, K, C); unused slots must not be read."""
        shape = (*self.members.shape, rows.shape[1])
        return rows.view(shape) if self.slots is None else _IntoSlots.apply(rows, self).view(shape)

    def put_back(self, windows: Tensor) -> Tensor:
        """Each point's own row (N, C) of windows (W, K, C)."""
        rows = windows.flatten(0, 1)
        return rows if self.slots is None else _OutOfSlots.apply(rows, self.slots)

    @property
    def key_mask(self) -> Tensor | None:
        """``valid`` as attention takes it, (W, 1, 1, K); None where there is nothing to leave out."""
        return None if self.full else self.valid[:, None, None]


class _IntoSlots(torch.autograd.Function):
    """Copy rows into slots; the gradient is gathered, so that only borrowed slots need a slow scattered sum."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, windows: Windows) -> Tensor:
        ctx.members, ctx.slots, ctx.borrowed = windows.members.flatten(), windows.slots, windows.borrowed
        return rows.index_select(0, ctx.members)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        own = gradient.index_select(0, ctx.slots)
        lent = ctx.members.index_select(0, ctx.borrowed)
        return own.index_add_(0, lent, gradient.index_select(0, ctx.borrowed)), None


class _OutOfSlots(torch.autograd.Function):
    """Copy rows out of their slots; no slot is read twice."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, slots: Tensor) -> Tensor:
        ctx.slots, ctx.count = slots, len(rows)
        return rows.index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return gradient.new_zeros(ctx.count, gradient.shape[1]).index_copy_(0, ctx.slots, gradient), None


def cut_windows(counts: Tensor, size: int) -> Windows:
    """Cut points, which are sorted by scene and along a curve, into windows that never cross scenes.

    A scene of at most ``size`` points is one window. A longer one is cut every ``size`` points; its last window is
    filled up with the points that hold the same slots of the window before, as extra keys.

    Args:
        counts: (B,) int64, points of each scene, all positive.
        size: points a window.
    """
    sizes = counts.tolist()
    width = min(size, max(sizes))
    per_scene = (counts + size - 1) // size
    scene = torch.repeat_interleave(per_scene)
    first = torch.cumsum(per_scene, 0) - per_scene
    start = torch.cumsum(counts, 0) - counts
    slot = torch.arange(width, device=counts.device)
    local = (torch.arange(len(scene), device=counts.device) - first[scene])[:, None] * size + slot  # (W, K)
    beyond = local >= counts[scene][:, None]
    filled = torch.where(beyond, local - size, local)
    valid = filled >= 0
    members = start[scene][:, None] + filled.clamp(min=0)
    if all(count % width == 0 for count in sizes):
        return Windows(members, valid, True, None, members.new_zeros(0), scene)
    slots = (~beyond).flatten().nonzero()[:, 0]  # points and slots are in the same order
    borrowed = (beyond & valid).flatten().nonzero()[:, 0]
    full = all(count >= width for count in sizes)
    return Windows(members, valid, full, slots, borrowed, scene)


def _morton(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return _spread(x) << 2 | _spread(y) << 1 | _spread(z)


def _spread(value: Tensor) -> Tensor:
    """Put two zero bits before each of the 21 low bits."""
    for shift, mask in _SPREAD:
        value = (value | value << shift) & mask
    return value


def _hilbert_axes(x: Tensor, y: Tensor, z: Tensor, depth: int) -> tuple[Tensor, Tensor, Tensor]:
    """Skilling's transpose of the Hilbert index: interleaved, it is the index in Gray code."""
    axes = [x, y, z]
    for bit in reversed(range(1, depth)):
        low = (1 << bit) - 1
        for axis in range(3):
            is_set = (axes[axis] >> bit & 1).bool()
            swap = (axes[0] ^ axes[axis]) & low
            flipped = torch.where(is_set, axes[0] ^ low, axes[0] ^ swap)
            axes[axis] = torch.where(is_set, axes[axis], axes[axis] ^ swap) if axis else flipped
            axes[0] = flipped
    return axes[0], axes[1], axes[2]


def _binary_from_gray(code: Tensor) -> Tensor:
    for shift in (1, 2, 4, 8, 16, 32):
        code = code ^ code >> shift
    return code
