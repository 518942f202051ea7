"""Frames of demonstrations that no policy has been trained on, for the benchmarks that ask one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mini_diffuser_ros.policy import MiniDiffuserConfig, sentence_encoder
from mini_diffuser_ros.training.dataset import Frame, TokenStates, frames_of
from mini_diffuser_ros.training.demonstrations import Demonstration, load_demonstrations


@dataclass(frozen=True, eq=False)
class HeldOutFrame:
    """One frame with the sentence it is asked with.

    Attributes:
        frame: the keyframe and the demonstrator's action.
        episode: number of its demonstration.
        sentence: one of the frame's sentences.
    """

    frame: Frame
    episode: int
    sentence: str

    @property
    def presses(self) -> bool:
        """True if the action goes down onto a button, where the height decides."""
        frame = self.frame
        return frame.task == "push_buttons" and not frame.kind.decides_object and not frame.terminate


def held_out_frames(path: str, cache: Path, episodes: int, seed: int) -> list[HeldOutFrame]:
    """All frames of the first ``episodes`` demonstrations of each task, one sentence drawn for each frame.

    Args:
        path: what ``open_episodes`` opens.
        cache: directory of fused clouds, made if missing.
        episodes: demonstrations a task, 0 for all.
        seed: of the sentences.
    """
    random = np.random.default_rng(seed)
    chosen = _first_of_each_task(load_demonstrations(path, cache), episodes)
    return [
        HeldOutFrame(frame, episode, frame.sentences[random.integers(len(frame.sentences))])
        for episode, demonstration in enumerate(chosen)
        for frame in frames_of([demonstration])
    ]


def token_states(frames: Sequence[HeldOutFrame], config: MiniDiffuserConfig) -> TokenStates:
    """The token states of the frames' sentences, by the encoder that the configuration names."""
    return dict(sentence_encoder(config).many(sorted({each.sentence for each in frames})))


def _first_of_each_task(demonstrations: Sequence[Demonstration], episodes: int) -> list[Demonstration]:
    tasks = sorted({demonstration.task for demonstration in demonstrations})
    by_task = [[each for each in demonstrations if each.task == task] for task in tasks]
    return [demonstration for mine in by_task for demonstration in mine[: episodes or None]]
