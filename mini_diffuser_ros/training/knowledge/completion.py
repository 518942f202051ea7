"""Learning when a task is done, from how demonstrations end and from failures made up of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mini_diffuser_ros.policy.knowledge.completion import Completion, EndJudge, standardised
from mini_diffuser_ros.policy.knowledge.ends import end_features, without_hand
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.records import SeenEnd, Workspace
from mini_diffuser_ros.training.augmentation import draw_motion
from mini_diffuser_ros.training.config import AugmentConfig
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.knowledge.failures import end_of, made_up
from mini_diffuser_ros.training.knowledge.lesson import Lesson
from mini_diffuser_ros.training.knowledge.thresholds import measured_threshold

DOUBTED = 0.01
"""Share of the good ends held out that three times the threshold would doubt."""

_MARGIN = 1.0 / 3.0  # asked for in words that were never taught, a good end scores as little as this share of the least

MOST = 300
"""Demonstrations that are learned from; more cost minutes and tell little."""

MISSES = 0.002
"""Metres by which a policy that has learned from demonstrations ends beside where they do: no failure."""

_TURNED = 2  # times that an end is seen turned and shifted, beside as it is
_OTHER_WORDS = 2  # sentences of other demonstrations that an end is asked for
_AT_ONCE = 24
_JUDGES, _CHANNELS = 3, 128
_EPOCHS, _BATCH, _RATE, _DECAY = 30, 128, 2e-3, 0.05


@dataclass(frozen=True, eq=False)
class Case:
    """An end with what was asked for, and whether that is done."""

    end: SeenEnd
    sentence: str
    done: bool


def learn_completion(lesson: Lesson) -> Completion:
    """What the ends of the policy's tasks look like.

    Raises:
        DatasetError: the policy has no maps of where to go, as published ones, or there are too few demonstrations.
    """
    if lesson.policy.config.official_behaviour is not None:
        raise DatasetError("the ends of a published network's tasks cannot be learned: it knows no maps of where to go")
    random = np.random.default_rng(lesson.seed)
    shown = _some(lesson.demonstrations.training, MOST, random)
    held_out = lesson.demonstrations.held_out
    if not shown or not held_out:
        raise DatasetError("to learn when a task is done takes demonstrations to learn from and others held out")
    workspace = lesson.policy.config.scene.workspace
    cases = cases_of(shown, random, workspace)
    tests = cases_of(held_out, random, workspace)
    features = _features(lesson, cases, "looking at ends")
    judges, mean, deviation = _learned(lesson, features, cases)
    words = (
        f"learned from the ends of {len(shown)} demonstrations and {sum(not c.done for c in cases)} made-up failures"
    )
    undecided = Completion(judges, mean, deviation, Threshold(0.5, 0.0, 0), words)
    scores = undecided.scores(_features(lesson, tests, "looking at others"))
    done = torch.tensor([case.done for case in tests])
    return Completion(judges, mean, deviation, _threshold(scores[done], scores[~done]), words)


def cases_of(demonstrations: Sequence[Demonstration], random: np.random.Generator, workspace: Workspace) -> list[Case]:
    """Ends of demonstrations as they are and turned, ends had they failed, and ends of which something else was asked.

    A sentence of another demonstration of the task asks for something else, unless this one has it as well.

    Args:
        demonstrations: what they are made of.
        random: source of all draws.
        workspace: of the network, about whose middle ends are turned.
    """
    (x_low, y_low, _), (x_high, y_high, _) = workspace.lower, workspace.upper
    augmentation = AugmentConfig(center=((x_low + x_high) / 2, (y_low + y_high) / 2))
    others: dict[str, list[Demonstration]] = {}
    for demonstration in demonstrations:
        others.setdefault(demonstration.task, []).append(demonstration)
    cases = []
    for demonstration in demonstrations:
        end = end_of(demonstration)
        good = [replace(end), *(_turned(end, augmentation, random, workspace) for _ in range(_TURNED))]
        cases += [Case(_missed(each, random), _drawn(demonstration.sentences, random), True) for each in good]
        bad = made_up(demonstration, random)
        bad += [_turned(each, augmentation, random, workspace) for each in bad]
        cases += [Case(each, _drawn(demonstration.sentences, random), False) for each in bad]
        for number in range(_OTHER_WORDS):
            other = others[demonstration.task][random.integers(len(others[demonstration.task]))]
            if not set(other.sentences) & set(demonstration.sentences):
                cases.append(Case(good[number], _drawn(other.sentences, random), False))
    return cases


def _some(demonstrations: Sequence[Demonstration], most: int, random: np.random.Generator) -> list[Demonstration]:
    """At most so many, of each task alike."""
    tasks: dict[str, list[Demonstration]] = {}
    for index in random.permutation(len(demonstrations)):
        tasks.setdefault(demonstrations[index].task, []).append(demonstrations[index])
    share = max(1, most // max(1, len(tasks)))
    return [demonstration for mine in tasks.values() for demonstration in mine[:share]]


def _drawn(sentences: Sequence[str], random: np.random.Generator) -> str:
    return sentences[int(random.integers(len(sentences)))]


def _turned(end: SeenEnd, augmentation: AugmentConfig, random: np.random.Generator, workspace: Workspace) -> SeenEnd:
    """The same end elsewhere on the table, in another light and with other noise; where it was if it left the table."""
    motion = draw_motion(augmentation, random)
    cloud = end.cloud
    kept = np.flatnonzero(random.random(len(cloud)) >= random.uniform(0.0, augmentation.dropout))
    points = motion.of_points(cloud.points[kept])
    points += random.normal(0.0, augmentation.jitter, points.shape).astype(np.float32)
    gain = random.uniform(1.0 - augmentation.color_gain, 1.0 + augmentation.color_gain, 3)
    colors = np.clip(np.rint(cloud.colors[kept] * gain), 0, 255).astype(np.uint8)
    turned = replace(
        end,
        cloud=replace(cloud, points=points, colors=colors),
        deed=motion.of_pose(end.deed),
        rest=motion.of_pose(end.rest),
    )
    return turned if _shows_something(turned, workspace) else end


def _shows_something(end: SeenEnd, workspace: Workspace) -> bool:
    points = without_hand(end).points
    return bool(((points >= workspace.lower) & (points <= workspace.upper)).all(axis=1).any())


def _missed(end: SeenEnd, random: np.random.Generator) -> SeenEnd:
    """The same end as a policy would have brought it about, which misses by a little."""
    return replace(end, deed=_near(end.deed, random), rest=_near(end.rest, random))


def _near(pose: NDArray[np.floating], random: np.random.Generator) -> NDArray[np.float64]:
    return np.concatenate([pose[:3] + random.normal(0.0, MISSES, 3), pose[3:]])


def _features(lesson: Lesson, cases: Sequence[Case], description: str) -> Tensor:
    """(N, F) numbers of the cases."""
    found = []
    with lesson.bar(len(cases), description) as bar:
        words = lesson.token_states(case.sentence for case in cases)
        for start in range(0, len(cases), _AT_ONCE):
            chunk = cases[start : start + _AT_ONCE]
            tokens = [words[case.sentence] for case in chunk]
            found.append(end_features(lesson.policy.model, [case.end for case in chunk], tokens))
            bar.update(len(chunk))
    return torch.cat(found)


def _learned(lesson: Lesson, features: Tensor, cases: Sequence[Case]) -> tuple[list[EndJudge], Tensor, Tensor]:
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    x = standardised(features, mean, deviation)
    wanted = torch.tensor([float(case.done) for case in cases])
    weights = torch.where(wanted > 0, 0.5 / wanted.mean(), 0.5 / (1.0 - wanted.mean()))
    with lesson.bar(_JUDGES * _EPOCHS, "judging ends") as bar, torch.random.fork_rng(devices=[]):
        judges = []
        for number in range(_JUDGES):
            torch.manual_seed(lesson.seed + number)
            judge = EndJudge(x.shape[1], _CHANNELS)
            optimizer = torch.optim.AdamW(judge.parameters(), _RATE, weight_decay=_DECAY)
            steps = _EPOCHS * -(-len(x) // _BATCH)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
            for _ in range(_EPOCHS):
                for chosen in torch.randperm(len(x)).split(_BATCH):
                    losses = F.binary_cross_entropy_with_logits(
                        judge(x[chosen])[:, 0], wanted[chosen], reduction="none"
                    )
                    optimizer.zero_grad()
                    (losses * weights[chosen]).mean().backward()
                    optimizer.step()
                    schedule.step()
                bar.update()
            judges.append(judge.eval())
    return judges, mean, deviation


def _threshold(good: Tensor, bad: Tensor) -> Threshold:
    """A third of the score that doubts :data:`DOUBTED` of good ends held out: to go on from a good end may spoil it."""
    value = _MARGIN * float(good.sort().values[int(DOUBTED * len(good))])
    return measured_threshold(min(max(round(value - 5e-7, 6), 0.0), 1.0), good, bad)
