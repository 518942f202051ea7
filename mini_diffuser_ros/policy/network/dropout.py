"""Dropout that costs little on a CPU, where random numbers for PyTorch's own take longer than a layer's products."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 256  # one random byte an element decides; eight of them come from one draw of 64 bits
_PIECE = 1 << 17  # elements; half a megabyte of factors


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Zero a share of the elements and scale up the others, in training only (Srivastava et al. 2014).

    On a CPU the share is rounded to 1/256 (0.1 to 0.1016); the expectation is exact all the same.

    Args:
        x: (...), any floating type.
        share: of elements that are zeroed, 0 to 1, 1 excluded.
        training: False passes x through.
    """
    if not training or share == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, share)
    dropped: Tensor = _ByteDropout.apply(x, round(share * _LEVELS))
    return dropped


class Dropout(nn.Module):
    """:func:`dropout` as a layer."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(...) to (...)."""
        return dropout(x, self.share, self.training)


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        drawn = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        drawn = drawn.view(torch.uint8)[: x.numel()]
        kept = torch.ge(drawn, threshold, out=torch.empty_like(drawn))
        ctx.save_for_backward(kept)
        ctx.scale = _LEVELS / (_LEVELS - threshold)
        return _scaled_where(x, kept, ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _scaled_where(gradients[0], kept, ctx.scale), None


def _scaled_where(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    """``scale * x`` where ``kept`` (flat, bytes) is 1, else 0; in pieces, so that the factors stay in the cache."""
    flat, out = x.reshape(-1), torch.empty_like(x, memory_format=torch.contiguous_format)
    for values, mask, result in zip(flat.split(_PIECE), kept.split(_PIECE), out.view(-1).split(_PIECE), strict=True):
        torch.mul(values, mask.to(x.dtype).mul_(scale), out=result)
    return out
