"""What a set of demonstrations holds: counts, lengths, extents, sentences; and pictures of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.support.drawing import OTHER_COLORS, GripperGlyph, draw_cloud

Array = NDArray[np.float64]
T = TypeVar("T")

_PANEL = (1280, 560)  # pixels of one keyframe's picture
_TITLE = 160  # characters of a sentence in a title; data bound them by the size of a file alone
_NOW = (60, 60, 60)


@dataclass(frozen=True, eq=False)
class TaskSummary:
    """What is known of one task's episodes.

    Attributes:
        episodes: how many.
        variations: how many different ones.
        lengths: keyframes an episode to how many episodes have that many.
        sentences: every sentence, the most frequent first.
        poses_low, poses_high: (3,) extent of the end effector's positions, metres in the base frame.
    """

    episodes: int
    variations: int
    lengths: Counter[int]
    sentences: tuple[str, ...]
    poses_low: Array
    poses_high: Array


@dataclass(frozen=True, eq=False)
class CloudSummary:
    """What is known of the clouds of some episodes.

    Attributes:
        clouds: how many were looked at.
        points: (3,) fewest, median and most points of a cloud.
        low, high: (3,) extent of the points, metres in the base frame.
    """

    clouds: int
    points: Array
    low: Array
    high: Array


def summarise_tasks(episodes: Sequence[Episode]) -> dict[str, TaskSummary]:
    """Summaries by task, without reading an image."""
    by_task: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_task.setdefault(episode.task, []).append(episode)
    return {task: _summarise_task(found) for task, found in sorted(by_task.items())}


def summarise_clouds(episodes: Sequence[Episode], count: int) -> CloudSummary:
    """Summary of the clouds of ``count`` episodes, spread evenly over all."""
    sizes: list[int] = []
    corners: list[Array] = []
    for episode in spread(episodes, count):
        for keyframe in episode.keyframes:
            points = keyframe.cloud.points.astype(np.float64)
            sizes.append(len(points))
            if len(points):
                corners += [points.min(axis=0), points.max(axis=0)]
    extent = np.array(corners) if corners else np.full((1, 3), np.nan)
    return CloudSummary(len(sizes), np.quantile(sizes, (0.0, 0.5, 1.0)), extent.min(axis=0), extent.max(axis=0))


def spread(several: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of them at even distances."""
    return [several[int(index)] for index in evenly_spread(len(several), count)]


def draw_episode(episode: Episode) -> Image.Image:
    """All keyframes of an episode below each other: the cloud, the gripper in grey and where it goes next in colour."""
    panels = [
        draw_cloud(keyframe.cloud, keyframe_glyphs(episode, number), keyframe_title(episode, number), _PANEL)
        for number, keyframe in enumerate(episode.keyframes)
    ]
    sheet = Image.new("RGB", (_PANEL[0], _PANEL[1] * len(panels)))
    for row, panel in enumerate(panels):
        sheet.paste(panel, (0, row * _PANEL[1]))
    return sheet


def keyframe_glyphs(episode: Episode, number: int) -> tuple[GripperGlyph, ...]:
    """Where the gripper goes next, in colour, and where it is at a keyframe, in grey; the last one is the end."""
    keyframe = episode.keyframes[number]
    if number + 1 == len(episode.keyframes):
        return (GripperGlyph(keyframe.pose, keyframe.gripper_open, "end", OTHER_COLORS[2]),)
    action = episode.keyframes[number + 1]
    following = GripperGlyph(action.pose, action.gripper_open, f"next, {_state(action.gripper_open)}")
    return following, GripperGlyph(keyframe.pose, keyframe.gripper_open, "now", _NOW)


def keyframe_title(episode: Episode, number: int) -> str:
    """A keyframe in one line: task, number, gripper, and the first sentence while something is still to be done."""
    ends = number + 1 == len(episode.keyframes)
    title = f"{episode.task}, keyframe {number}, {_state(episode.keyframes[number].gripper_open)}"
    return title if ends else f"{title}: {episode.sentences[0]:.{_TITLE}}"


def _summarise_task(episodes: Sequence[Episode]) -> TaskSummary:
    positions = np.array([keyframe.pose[:3] for episode in episodes for keyframe in episode.keyframes])
    sentences = Counter(sentence for episode in episodes for sentence in episode.sentences)
    return TaskSummary(
        episodes=len(episodes),
        variations=len({episode.variation for episode in episodes}),
        lengths=Counter(len(episode.keyframes) for episode in episodes),
        sentences=tuple(sentence for sentence, _ in sentences.most_common()),
        poses_low=positions.min(axis=0),
        poses_high=positions.max(axis=0),
    )


def _state(gripper_open: bool) -> str:
    return "open" if gripper_open else "closed"
