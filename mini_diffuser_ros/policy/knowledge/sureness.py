"""How sure the policy is of a mode: what its hypotheses and heads say, made true by held-out demonstrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.knowledge.facts import PartFacts, Threshold
from mini_diffuser_ros.policy.knowledge.part import Part, only_threshold
from mini_diffuser_ros.policy.modes import POSITION_RADIUS, ROTATION_RADIUS, Hypotheses, angles_between
from mini_diffuser_ros.policy.network.heads import ActionLogits
from mini_diffuser_ros.policy.network.rotation import BIN_DEGREES, BINS
from mini_diffuser_ros.records import KeyframeMode, ModeSureness
from mini_diffuser_ros.support.settings import from_mapping, to_mapping

Array = NDArray[np.float64]

SHARE = "share"
"""Name of the threshold, of the share of the first mode."""

_NEAR_BINS = int(np.rad2deg(ROTATION_RADIUS) / BIN_DEGREES)


@dataclass(frozen=True)
class Calibration:
    """A map from what is said to how often that is true, linear between knots and level beyond them.

    Attributes:
        said: in [0, 1], rising.
        true: in [0, 1], never falling.
    """

    said: tuple[float, ...]
    true: tuple[float, ...]

    def __post_init__(self) -> None:
        said, true = np.array(self.said), np.array(self.true)
        rises = len(said) == len(true) >= 1 and (np.diff(said) > 0).all() and (np.diff(true) >= 0).all()
        if not rises or min(said.min(), true.min()) < 0 or max(said.max(), true.max()) > 1:
            raise ValueError(f"has a curve that does not rise within [0, 1]: {self.said} to {self.true}")

    def __call__(self, said: float) -> float:
        """How often it is true."""
        return float(np.interp(said, self.said, self.true))


@dataclass(frozen=True)
class Calibrations:
    """One for each number of :class:`ModeSureness`."""

    share: Calibration
    place: Calibration
    rotation: Calibration
    gripper: Calibration
    end: Calibration


class Sureness(Part):
    """Calibrations, and the threshold below which no mode is worth a move.

    Args:
        curves: learned on demonstrations that were held out.
        threshold: of the first mode's share.
        learned_from: in words.
    """

    def __init__(self, curves: Calibrations, threshold: Threshold, learned_from: str) -> None:
        self._curves = curves
        self._threshold = threshold
        self._learned_from = learned_from

    def calibrated(self, said: ModeSureness) -> ModeSureness:
        """What a mode says of itself, made true."""
        return ModeSureness(
            *(getattr(self._curves, each.name)(getattr(said, each.name)) for each in fields(ModeSureness))
        )

    def objection(self, modes: Sequence[ModeSureness]) -> str:
        """One line on why no mode is worth a move; empty if the first is."""
        if not modes or modes[0].share >= self._threshold.value:
            return ""
        return (
            f"the policy is not sure where to go (first keyframe right with {modes[0].share:.3f}, "
            f"{self._threshold.value:.3f} and more where it goes on)"
        )

    @property
    def facts(self) -> PartFacts:
        """See :class:`Part`."""
        return PartFacts({SHARE: self._threshold}, to_mapping(self._curves), self._learned_from)

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`Part`; there are none."""
        return {}

    @classmethod
    def restored(cls, facts: PartFacts, tensors: Mapping[str, Tensor], network: MiniDiffuserConfig) -> Sureness:
        """See :class:`Part`."""
        threshold = only_threshold(facts, SHARE)
        curves = from_mapping(Calibrations, facts.settings, "", "settings", complete=True)
        return cls(curves, threshold, facts.learned_from)


def said_of(
    modes: Sequence[KeyframeMode], hypotheses: Hypotheses, logits: ActionLogits, symmetric: bool
) -> list[ModeSureness]:
    """What the network says of each mode: shares of its hypotheses, and the confidence of its heads in them.

    Args:
        modes: of the hypotheses.
        hypotheses: K.
        logits: of the K hypotheses, in their order.
        symmetric: rotations by 180 degrees about the approach axis count as equal.
    """
    turning = _turning(logits.rotation)
    opening, ending = (_numpy(part.double().sigmoid()) for part in (logits.gripper, logits.termination))
    said = []
    for mode in modes:
        near = np.linalg.norm(hypotheses.positions - mode.pose[:3], axis=1) <= POSITION_RADIUS
        turned = angles_between(mode.pose[None, 3:], hypotheses.quaternions[near], symmetric)[0]
        said.append(
            ModeSureness(
                share=mode.share,
                place=float(near.mean()),
                rotation=float((turning[near] * (turned <= ROTATION_RADIUS)).mean()),
                gripper=float((opening[near] if mode.gripper_open else 1.0 - opening[near]).mean()),
                end=float((ending[near] if mode.terminate else 1.0 - ending[near]).mean()),
            )
        )
    return said


def _turning(logits: Tensor) -> Array:
    """(K,) probability that the rotation is near the decoded one, from logits (K, 72, 3)."""
    shares = logits.double().softmax(1)
    offsets = torch.arange(-_NEAR_BINS, _NEAR_BINS + 1, device=logits.device)
    near = (logits.argmax(1)[:, None] + offsets[:, None]) % BINS
    return _numpy(shares.gather(1, near).sum(1).prod(1))


def _numpy(values: Tensor) -> Array:
    return values.cpu().numpy().astype(np.float64)
