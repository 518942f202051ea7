"""Episodes in RLBench: which ones an evaluation has, and one of them in a worker process."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mini_diffuser_ros.data import RLBENCH_FUSION
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.rlbench_world import RlbenchWorld, check_installed, stored_layouts
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, roll_out
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.support.settings import bounded

PERACT_TASKS = (
    "close_jar",
    "insert_onto_square_peg",
    "light_bulb_in",
    "meat_off_grill",
    "open_drawer",
    "place_cups",
    "place_shape_in_shape_sorter",
    "place_wine_at_rack_location",
    "push_buttons",
    "put_groceries_in_cupboard",
    "put_item_in_drawer",
    "put_money_in_safe",
    "reach_and_drag",
    "slide_block_to_color_target",
    "stack_blocks",
    "stack_cups",
    "sweep_to_dustpan_of_size",
    "turn_tap",
)
"""The 18 tasks of the published results."""


@dataclass(frozen=True)
class RlbenchProtocol(EvaluationProtocol):
    """Everything besides the checkpoint that a success rate depends on; the defaults are the published ones.

    Attributes:
        seed: episode i of every task is laid out with seed ``seed + i`` and has variation i, modulo their number; of
            decisions' noise too.
        sentences: ``environment``, RLBench's own first one, or the name of a JSON file: task+variation to sentences.
        loop: how a sentence is obeyed; its settle time is 0, as the simulator stands between moves.
        demonstrations: directory of stored test demonstrations, raw RLBench layout, whose layouts are used instead.
        cameras: names of the cameras.
        image_size: width and height of their images, pixels.
    """

    world: str = "rlbench"
    tasks: tuple[str, ...] = PERACT_TASKS
    episodes: int = bounded(25, 1, 1_000_000)
    sentences: str = "environment"
    loop: LoopSettings = field(default_factory=LoopSettings.published_rlbench)
    demonstrations: str = ""
    cameras: tuple[str, ...] = ("left_shoulder", "right_shoulder", "wrist", "front")
    image_size: int = bounded(256, 16, 4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loop.settle_time:
            raise EvaluationError(
                f"loop.settle_time is {self.loop.settle_time}, expected 0: RLBench's simulator stands between moves"
            )


@dataclass(frozen=True, eq=False)
class RlbenchTrial:
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


def rlbench_trials(checkpoint: str, protocol: RlbenchProtocol) -> list[RlbenchTrial]:
    """The episodes of an evaluation, task by task, as loading one into the simulator takes long.

    Raises:
        EvaluationError: if RLBench is not installed, or demonstrations or sentences cannot be read.
    """
    check_installed()
    if protocol.sentences != "environment":
        _sentences(protocol.sentences)
    trials = []
    for task in protocol.tasks:
        stored = stored_layouts(Path(protocol.demonstrations), task) if protocol.demonstrations else []
        count = min(protocol.episodes, len(stored)) if stored else protocol.episodes
        for number in range(count):
            # Spread over all variations where there are more than enough.
            layout = stored[number * len(stored) // count] if stored else None
            trials.append(RlbenchTrial(checkpoint, protocol, task, number, layout))
    return trials


def run_rlbench_trial(trial: RlbenchTrial) -> EpisodeResult:
    """Run one, with the simulator that this process keeps for all of its episodes.

    Raises:
        EvaluationError: an unknown task or camera, or no sentence for a variation.
    """
    protocol, seed = trial.protocol, trial.protocol.seed + trial.number
    policy, world = _bench(trial.checkpoint, protocol)
    variations = world.choose(trial.task)
    variation, state = trial.layout or (trial.number % variations, seed)
    offered = world.reset(variation, state)
    sentence = offered[0] if protocol.sentences == "environment" else _sentence(protocol, trial.task, variation)
    return roll_out(world, policy, trial.task, sentence, seed, protocol.loop)


@cache
def _bench(checkpoint: str, protocol: RlbenchProtocol) -> tuple[Policy, RlbenchWorld]:
    """What a worker process needs for every episode, made once."""
    tune_cpu(threads=1)
    policy = load_policy(checkpoint)
    world = RlbenchWorld(protocol.cameras, protocol.image_size, policy.fusion or RLBENCH_FUSION)
    atexit.register(world.close)
    return policy, world


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
