"""From hypotheses to ranked modes: samples that mean the same keyframe are one candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import KeyframeMode

POSITION_RADIUS = 0.03
"""Metres; hypotheses this close to a mode's representative belong to it."""

ROTATION_RADIUS = np.deg2rad(30.0)
"""Radians; and turned by no more than this."""

_DENSITY_WIDTH = 0.01  # metres; narrower than a mode, so that its densest point is its peak and not its rim


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """K keyframes the policy holds possible.

    Attributes:
        positions: (K, 3) metres, base frame.
        quaternions: (K, 4) xyzw, unit length.
        gripper_open: (K,) bool.
        terminate: (K,) bool.
    """

    positions: NDArray[np.float64]
    quaternions: NDArray[np.float64]
    gripper_open: NDArray[np.bool_]
    terminate: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.positions)
        for name, shape in (
            ("positions", (count, 3)),
            ("quaternions", (count, 4)),
            ("gripper_open", (count,)),
            ("terminate", (count,)),
        ):
            actual = getattr(self, name).shape
            if actual != shape:
                raise ValueError(f"Hypotheses.{name} has shape {actual}, expected {shape} like positions")


def rank_modes(hypotheses: Hypotheses, symmetric: bool) -> list[KeyframeMode]:
    """Group hypotheses by position, rotation and gripper, the most probable mode first.

    Greedy: the hypothesis in the densest place represents the first mode and takes all that are near it; the rest
    goes on among themselves. A mode terminates the task if most of its hypotheses do. The order of the hypotheses
    does not matter.

    Args:
        hypotheses: at least one.
        symmetric: rotations by 180 degrees about the approach axis count as equal.
    """
    count = len(hypotheses.positions)
    if count == 0:
        raise ValueError("hypotheses is empty, expected at least one")
    hypotheses = _in_canonical_order(hypotheses)
    distance = np.linalg.norm(hypotheses.positions[:, None] - hypotheses.positions[None], axis=2)
    angle = angles_between(hypotheses.quaternions, hypotheses.quaternions, symmetric)
    same_gripper = hypotheses.gripper_open[:, None] == hypotheses.gripper_open[None]
    alike = same_gripper & (angle <= ROTATION_RADIUS)
    near = alike & (distance <= POSITION_RADIUS)
    weight = np.exp(-((distance / _DENSITY_WIDTH) ** 2) / 2) * near
    left = np.ones(count, dtype=bool)
    modes = []
    while left.any():
        density = np.where(left, (weight * left).sum(1), -1.0)
        representative = int(density.argmax())
        members = near[representative] & left
        modes.append(_mode(hypotheses, representative, members, count))
        left &= ~members
    return sorted(modes, key=lambda mode: mode.share, reverse=True)


def _in_canonical_order(hypotheses: Hypotheses) -> Hypotheses:
    """The same hypotheses sorted by their values: of two equally dense places the same one always comes first."""
    columns = (hypotheses.terminate, hypotheses.gripper_open, *hypotheses.quaternions.T, *hypotheses.positions.T)
    order = np.lexsort(columns)
    return Hypotheses(
        hypotheses.positions[order],
        hypotheses.quaternions[order],
        hypotheses.gripper_open[order],
        hypotheses.terminate[order],
    )


def _mode(hypotheses: Hypotheses, representative: int, members: NDArray[np.bool_], count: int) -> KeyframeMode:
    position = hypotheses.positions[representative]
    squared = ((hypotheses.positions[members] - position) ** 2).sum(1)
    return KeyframeMode(
        pose=np.concatenate([position, hypotheses.quaternions[representative]]),
        gripper_open=bool(hypotheses.gripper_open[representative]),
        terminate=bool(hypotheses.terminate[members].mean() > 0.5),
        share=float(members.sum() / count),
        spread=float(np.sqrt(squared.mean())),
    )


def angles_between(first: NDArray[np.floating], second: NDArray[np.floating], symmetric: bool) -> NDArray[np.floating]:
    """Angles (A, B) between rotations (A, 4) and (B, 4), radians.

    Args:
        first: unit quaternions xyzw.
        second: likewise.
        symmetric: rotations by 180 degrees about the approach axis count as equal.
    """
    cosine = np.abs(first @ second.T)
    if symmetric:
        x, y, z, w = second.T
        cosine = np.maximum(cosine, np.abs(first @ np.stack([y, -x, w, -z])))
    return 2 * np.arccos(np.clip(cosine, 0.0, 1.0))
