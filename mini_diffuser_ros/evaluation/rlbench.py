"""Episodes in RLBench: which ones an evaluation has, and one of them in a worker process."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mini_diffuser_ros.data import RLBENCH_FUSION
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.rlbench_rollout import RlbenchProtocol, roll_out_rlbench
from mini_diffuser_ros.evaluation.rlbench_world import RlbenchWorld, check_installed, stored_layouts
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.training.fusion_settings import read_fusion


@dataclass(frozen=True, eq=False)
class RlbenchEpisode:
    """One episode to be run.

    Attributes:
        checkpoint: directory of the policy.
        protocol: of the evaluation.
        task: its task.
        number: among the episodes of the task.
        layout: variation and generator state of a stored demonstration; None for one of the seed's.
    """

    checkpoint: str
    protocol: RlbenchProtocol
    task: str
    number: int
    layout: tuple[int, tuple[Any, ...]] | None


def rlbench_episodes(checkpoint: str, protocol: RlbenchProtocol) -> list[RlbenchEpisode]:
    """The episodes of an evaluation, task by task, as loading one into the simulator takes long.

    Raises:
        EvaluationError: if RLBench is not installed, or demonstrations or sentences cannot be read.
    """
    check_installed()
    if protocol.sentences != "environment":
        _sentences(protocol.sentences)
    episodes = []
    for task in protocol.tasks:
        stored = stored_layouts(Path(protocol.demonstrations), task) if protocol.demonstrations else []
        count = min(protocol.episodes, len(stored)) if stored else protocol.episodes
        for number in range(count):
            # Spread over all variations where there are more than enough.
            layout = stored[number * len(stored) // count] if stored else None
            episodes.append(RlbenchEpisode(checkpoint, protocol, task, number, layout))
    return episodes


def run_rlbench_episode(episode: RlbenchEpisode) -> EpisodeResult:
    """Run one, with the simulator that this process keeps for all of its episodes.

    Raises:
        EvaluationError: an unknown task or camera, or no sentence for a variation.
    """
    protocol, seed = episode.protocol, episode.protocol.seed + episode.number
    policy, world = _bench(episode.checkpoint, protocol)
    variations = world.choose(episode.task)
    variation, state = episode.layout or (episode.number % variations, seed)
    offered, sight = world.reset(variation, state)
    sentence = offered[0] if protocol.sentences == "environment" else _sentence(protocol, episode.task, variation)
    return roll_out_rlbench(policy, world, episode.task, seed, sentence, sight, protocol)


@cache
def _bench(checkpoint: str, protocol: RlbenchProtocol) -> tuple[Policy, RlbenchWorld]:
    """What a worker process needs for every episode, made once."""
    tune_cpu(threads=1)
    fusion = read_fusion(checkpoint) or RLBENCH_FUSION
    world = RlbenchWorld(protocol.cameras, protocol.image_size, fusion)
    atexit.register(world.close)
    return load_policy(checkpoint), world


def _sentence(protocol: RlbenchProtocol, task: str, variation: int) -> str:
    """The first sentence of a variation, as published."""
    sentences = _sentences(protocol.sentences)
    for key in (f"{task}_peract+{variation}", f"{task}+{variation}"):
        if key in sentences:
            return sentences[key][0]
    raise EvaluationError(f"{protocol.sentences}: has no sentences for {task}+{variation}")


@cache
def _sentences(file: str) -> Mapping[str, tuple[str, ...]]:
    try:
        values = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise EvaluationError(f"{file}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise EvaluationError(f"{file}: holds a {type(values).__name__}, expected task+variation to sentences")
    for key, listed in values.items():
        if not isinstance(listed, list) or not listed or not all(isinstance(one, str) and one for one in listed):
            raise EvaluationError(f"{file}: {key} is {listed!r:.40}, expected a list of at least one sentence")
    return {key: tuple(listed) for key, listed in values.items()}
