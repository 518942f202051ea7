"""Decisions that were written down, and whether they come out the same again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.policy.arithmetic import Arithmetic
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running.deciding import DecidingPolicy, decide
from mini_diffuser_ros.running.settings import LoopSettings


@dataclass(frozen=True, eq=False)
class RecordedDecision:
    """Everything that a decision follows from, and what it was.

    Attributes:
        cloud: what was looked at.
        sentence: that was obeyed.
        seed: of the noise.
        samples: hypotheses that were drawn.
        steps: of denoising.
        checkpoint: digest of the checkpoint that decided.
        arithmetic: by which it was computed.
        modes: ranked, the most probable first.
    """

    cloud: Cloud
    sentence: str
    seed: int
    samples: int
    steps: int
    checkpoint: str
    arithmetic: Arithmetic
    modes: tuple[KeyframeMode, ...]


def cloud_digest(cloud: Cloud) -> str:
    """SHA-256 of a cloud's points, colours, stamp and frame, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{cloud.frame} {round(cloud.stamp * 1e6)} {len(cloud)}".encode())
    digest.update(np.ascontiguousarray(cloud.points, "<f4").tobytes())
    digest.update(np.ascontiguousarray(cloud.colors, "u1").tobytes())
    return digest.hexdigest()


def differences(policy: DecidingPolicy, recorded: RecordedDecision) -> list[str]:
    """Decide again, and say in lines what is not as it was, to the bit; empty if nothing is.

    Share and spread are compared as they travel, in single precision.

    Raises:
        DecisionError: the policy cannot decide on this cloud or sentence.
    """
    settings = LoopSettings(samples=recorded.samples, steps=recorded.steps)
    modes = decide(policy, recorded.cloud, recorded.sentence, settings, recorded.seed)
    if len(modes) != len(recorded.modes):
        return [f"{len(modes)} modes instead of {len(recorded.modes)}"]
    pairs = zip(recorded.modes, modes, strict=True)
    return [f"mode {number}: {line}" for number, pair in enumerate(pairs, 1) for line in _differ(*pair)]


def _differ(was: KeyframeMode, now: KeyframeMode) -> Sequence[str]:
    lines = []
    if np.asarray(was.pose, "<f8").tobytes() != np.asarray(now.pose, "<f8").tobytes():
        apart = float(np.linalg.norm(np.subtract(was.pose[:3], now.pose[:3])))
        turned = float(np.abs(np.subtract(was.pose[3:], now.pose[3:])).max())
        lines.append(f"its pose is {apart:.2g} m away, its quaternion differs by {turned:.2g}")
    for name in ("gripper_open", "terminate"):
        if getattr(was, name) != getattr(now, name):
            lines.append(f"{name} was {getattr(was, name)}, is {getattr(now, name)}")
    for name in ("share", "spread"):
        before, after = np.float32(getattr(was, name)), np.float32(getattr(now, name))
        if before.tobytes() != after.tobytes():
            lines.append(f"{name} was {before:.9g}, is {after:.9g}")
    return lines
