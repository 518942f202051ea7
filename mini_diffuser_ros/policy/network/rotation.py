"""Orientations as three distributions over 72 bins of 5 degrees: the published rotation head's language.

The angles are extrinsic x, y, z (roll, pitch, yaw of the base frame's axes); bin b stands for 5 b - 180 degrees and
bins wrap around.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BINS = 72
BIN_DEGREES = 360 / BINS
_GIMBAL_DEGREES = 1.0
_REFINEMENT = 2  # bins on either side that refine a decoded angle


def euler_degrees(quaternions: Tensor) -> Tensor:
    """Extrinsic x, y, z angles (B, 3) in degrees of unit quaternions xyzw (B, 4).

    Within one degree of gimbal lock the pitch is +-90 and the yaw 0.
    """
    x, y, z, w = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    sin_pitch = (2 * (w * y - x * z)).clamp(-1, 1)
    roll = torch.atan2(2 * (y * z + w * x), 1 - 2 * (x * x + y * y))
    yaw = torch.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
    pitch = torch.asin(sin_pitch)
    locked = pitch.abs() > math.radians(90 - _GIMBAL_DEGREES)
    locked_roll = torch.atan2(torch.sign(sin_pitch) * 2 * (x * y - w * z), 1 - 2 * (x * x + z * z))
    angles = torch.stack(
        [
            torch.where(locked, locked_roll, roll),
            torch.where(locked, torch.sign(sin_pitch) * (math.pi / 2), pitch),
            torch.where(locked, torch.zeros_like(yaw), yaw),
        ],
        -1,
    )
    return torch.rad2deg(angles)


def quaternion_from_euler(degrees: Tensor) -> Tensor:
    """Unit quaternions xyzw (B, 4) of extrinsic x, y, z angles (B, 3) in degrees."""
    half = torch.deg2rad(degrees) / 2
    (sr, sp, sy), (cr, cp, cy) = half.sin().unbind(-1), half.cos().unbind(-1)
    return torch.stack(
        [
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ],
        -1,
    )


def rotation_labels(quaternions: Tensor, sigma: float, symmetric: bool) -> Tensor:
    """Target distributions (B, 72, 3) of quaternions xyzw (B, 4).

    Args:
        quaternions: unit quaternions.
        sigma: degrees, width of the distribution around each angle on the circle; 0 for the nearest bin alone.
        symmetric: give orientations that differ by half a turn about the approach axis the same target: that of
            the one with a yaw in [-90, 90). Where the approach axis is vertical the distribution is periodic over
            that half circle, so that the target does not jump at its ends.
    """
    if not symmetric:
        return _bin_distribution(euler_degrees(quaternions), sigma)
    first, second = euler_degrees(quaternions), euler_degrees(turned_half(quaternions))
    swap = ~_is_front(first[:, 2:]) & _is_front(second[:, 2:])
    chosen, other = torch.where(swap, second, first), torch.where(swap, first, second)
    labels = _bin_distribution(chosen, sigma)
    vertical = (_circular(chosen[:, :2] - other[:, :2]).abs() < BIN_DEGREES / 2).all(1)
    centres = torch.arange(BINS, device=labels.device) * BIN_DEGREES - 180
    yaw = (labels[..., 2] + _bin_distribution(other, sigma)[..., 2]) * _is_front(centres)
    yaw = yaw / yaw.sum(1, keepdim=True).clamp(min=1e-12)
    yaw = torch.where(vertical[:, None], yaw, labels[..., 2])
    return torch.stack([labels[..., 0], labels[..., 1], yaw], -1)


def decode_rotation(logits: Tensor, refine: bool) -> Tensor:
    """Unit quaternions xyzw (Q, 4) of logits (Q, 72, 3).

    Args:
        logits: one column of bins an angle.
        refine: weigh the best bin's neighbours in, which resolves less than a bin after training on soft labels;
            else its centre, as published.
    """
    best = logits.argmax(1)  # (Q, 3)
    degrees = best * BIN_DEGREES - 180
    if refine:
        offsets = torch.arange(-_REFINEMENT, _REFINEMENT + 1, device=logits.device)
        near = (best[:, None] + offsets[:, None]) % BINS  # (Q, 5, 3)
        weights = logits.softmax(1).gather(1, near)
        degrees = degrees + BIN_DEGREES * (weights * offsets[:, None]).sum(1) / weights.sum(1)
    return quaternion_from_euler(degrees.to(logits.dtype))


def turned_half(quaternions: Tensor) -> Tensor:
    """Quaternions xyzw (B, 4) turned by 180 degrees about their own z axis: the same grasp of a parallel gripper."""
    x, y, z, w = quaternions.unbind(-1)
    return torch.stack([y, -x, w, -z], -1)


def _is_front(yaw: Tensor) -> Tensor:
    return (yaw >= -90) & (yaw < 90)


def _circular(degrees: Tensor) -> Tensor:
    return torch.remainder(degrees + 180, 360) - 180


def _bin_distribution(degrees: Tensor, sigma: float) -> Tensor:
    """Distributions (B, 72, 3) around angles (B, 3)."""
    if sigma == 0:
        bins = torch.round((degrees + 180) / BIN_DEGREES).long() % BINS
        return torch.nn.functional.one_hot(bins, BINS).transpose(1, 2).to(degrees.dtype)
    centres = torch.arange(BINS, device=degrees.device, dtype=degrees.dtype) * BIN_DEGREES - 180
    distance = _circular(degrees[:, None] - centres[:, None])
    return torch.softmax(-(distance**2) / (2 * sigma**2), 1)
