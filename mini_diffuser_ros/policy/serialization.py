"""Space-filling curves over voxels, and the attention windows cut from them.

Curves: Morton order and John Skilling's Hilbert curve ("Programming the Hilbert curve", AIP 2004), each also with
x and y swapped.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """Groups of points that attend to one another.

    Attributes:
        members: (W, K) int64, the point in each slot; unused slots repeat a point of the same scene.
        valid: (W, K) bool, slots that count as keys.
        slots: (N,) int64, the slot of the flattened (W * K) that holds a point's own output.
        scene: (W,) int64, the scene a window belongs to.
    """

    members: Tensor
    valid: Tensor
    slots: Tensor
    scene: Tensor


def cut_windows(order: Tensor, counts: Tensor, size: int) -> Windows:
    """Cut serialised points into windows that never cross scenes.

    A scene of at most ``size`` points is one window. A longer one is cut every ``size`` points; its last window is
    filled up with the points that hold the same slots of the window before, as extra keys.

    Args:
        order: (N,) int64, points sorted by scene, then along the curve.
        counts: (B,) int64, points of each scene, all positive.
        size: points a window.
    """
    width = min(size, int(counts.max()))
    per_scene = (counts + size - 1) // size
    scene = torch.repeat_interleave(per_scene)
    first = torch.cumsum(per_scene, 0) - per_scene
    start = torch.cumsum(counts, 0) - counts
    slot = torch.arange(width, device=order.device)
    local = (torch.arange(len(scene), device=order.device) - first[scene])[:, None] * size + slot  # (W, K)
    total = counts[scene][:, None]
    beyond = local >= total
    borrowed = torch.where(beyond, local - size, local)
    valid = borrowed >= 0
    members = order[start[scene][:, None] + torch.where(valid, borrowed, torch.zeros_like(borrowed))]
    slots = torch.empty_like(order)
    own = ~beyond
    slots[members[own]] = torch.arange(members.numel(), device=order.device).view_as(members)[own]
    return Windows(members, valid, slots, scene)


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
