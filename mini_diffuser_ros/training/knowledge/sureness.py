"""Learning how much of what the policy says of its modes is true, from decisions on held-out demonstrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.policy import Policy
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.policy.knowledge.sureness import Calibration, Calibrations, Sureness
from mini_diffuser_ros.policy.modes import POSITION_RADIUS, ROTATION_RADIUS, angles_between
from mini_diffuser_ros.records import KeyframeMode, ModeSureness
from mini_diffuser_ros.training.dataset import Frame, frames_of
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.knowledge.lesson import Lesson
from mini_diffuser_ros.training.knowledge.thresholds import measured_threshold

Array = NDArray[np.float64]

EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0)
"""Between the groups of claims of which each makes a knot of a curve at most."""

HIGHEST = 0.3
"""Threshold at most: a keyframe that is as likely right as this is tried, as long as motion finds it safe."""


@dataclass(frozen=True)
class Claim:
    """What was said of a mode, and what of it was true.

    Attributes:
        said: numbers in [0, 1].
        true: 0 or 1 each.
        first: whether it was the decision's first mode.
        decides_object: whether only the sentence told where to go.
    """

    said: ModeSureness
    true: ModeSureness
    first: bool
    decides_object: bool


def learn_sureness(lesson: Lesson) -> Sureness:
    """Calibrations and threshold from the held-out demonstrations of a lesson.

    Raises:
        DatasetError: none are held out.
    """
    held_out = lesson.demonstrations.held_out
    if not held_out:
        raise DatasetError("no demonstration is held out, so nobody can say how sure the policy is; set a share for it")
    frames = frames_of(held_out)
    claims: list[Claim] = []
    random = np.random.default_rng(lesson.seed)
    with lesson.bar(len(frames), "asking how sure it is") as bar:
        for frame in frames:
            claims += claims_on(lesson.policy, frame, random)
            bar.update()
    curves = Calibrations(**{name: fitted(claims, name) for name in names()})
    return Sureness(curves, _threshold(claims, curves), f"{len(claims)} modes on {len(frames)} frames held out")


def claims_on(policy: Policy, frame: Frame, random: np.random.Generator) -> Iterator[Claim]:
    """What a policy says of its modes on a frame, asked with one of its sentences."""
    sentence = frame.sentences[int(random.integers(len(frame.sentences)))]
    modes = policy.claims(frame.cloud, sentence, seed=int(random.integers(2**31)))
    for number, (mode, said) in enumerate(modes):
        true = truth(mode, frame, policy.config.heads.gripper_symmetry)
        yield Claim(said, true, number == 0, frame.kind.decides_object)


def truth(mode: KeyframeMode, frame: Frame, symmetric: bool) -> ModeSureness:
    """What of a mode is right (1) or wrong (0), by the demonstrator's action."""
    turned = angles_between(mode.pose[None, 3:], frame.pose[None, 3:], symmetric)
    place = float(np.linalg.norm(mode.pose[:3] - frame.pose[:3])) <= POSITION_RADIUS
    rotation = bool(turned[0, 0] <= ROTATION_RADIUS)
    gripper = mode.gripper_open == frame.gripper_open
    parts = (place and rotation and gripper, place, rotation, gripper, mode.terminate == frame.terminate)
    return ModeSureness(*map(float, parts))


def names() -> list[str]:
    """Of the numbers of a :class:`ModeSureness`."""
    return [each.name for each in fields(ModeSureness)]


def columns(claims: Sequence[Claim], name: str) -> tuple[Array, Array, Array]:
    """Of one number what was said (C,), what was true (C,), and the weight of each claim (C,): its mode's share."""
    rows = [(getattr(one.said, name), getattr(one.true, name), one.said.share) for one in claims]
    said, true, weight = np.array(rows, np.float64).reshape(-1, 3).T
    return said, true, weight


def fitted(claims: Sequence[Claim], name: str) -> Calibration:
    """The curve from what was said to how often it was true, which never falls (pool adjacent violators)."""
    said, true, weight = columns(claims, name)
    knots: list[_Knot] = []
    for low, high in pairwise(EDGES):
        inside = (said >= low) & ((said < high) | (high == 1.0))
        if inside.any():
            own, heavy = said[inside], weight[inside]
            mean = float(np.clip(np.average(own, weights=heavy), own.min(), own.max()))
            knots.append(_Knot(mean, float(heavy.sum()), float(heavy @ true[inside])))
    pooled: list[list[_Knot]] = []
    for knot in knots:
        pooled.append([knot])
        while len(pooled) > 1 and _rate(pooled[-2]) >= _rate(pooled[-1]):
            group = pooled.pop()
            pooled[-1] += group
    rates = [_rate(group) for group in pooled for _ in group]
    return Calibration(tuple(knot.said for knot in knots), tuple(rates))


class _Knot(NamedTuple):
    """Claims of about equal confidence: the mean of what was said, the sum of their weights, and that of the true."""

    said: float
    total: float
    true: float


def _rate(group: Sequence[_Knot]) -> float:
    """How often it was true; what was said counts as half a claim more, so that a few are no certainty."""
    total = sum(knot.total for knot in group)
    said = sum(knot.said * knot.total for knot in group) / total
    return (sum(knot.true for knot in group) + 0.5 * said) / (total + 0.5)


def _threshold(claims: Sequence[Claim], curves: Calibrations) -> Threshold:
    first = [(curves.share(one.said.share), one.true.share == 1.0) for one in claims if one.first]
    good, bad = (np.array([share for share, right in first if right == wanted]) for wanted in (True, False))
    value = min(HIGHEST, float(good.min())) if len(good) else 0.0
    return measured_threshold(value, good, bad)
