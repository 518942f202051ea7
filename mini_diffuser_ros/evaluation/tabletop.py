"""Episodes on the MuJoCo table-top: which ones an evaluation has, and one of them in a worker process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, roll_out
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.simulation import TASKS, TabletopWorld
from mini_diffuser_ros.simulation.sentences import fill, load_templates, read_templates
from mini_diffuser_ros.training.fusion_settings import read_fusion

Templates = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class TabletopEpisode:
    """One episode to be run.

    Attributes:
        checkpoint: directory of the policy.
        protocol: of the evaluation.
        task: its task.
        seed: of layout and noise.
        template: of its sentence.
    """

    checkpoint: str
    protocol: EvaluationProtocol
    task: str
    seed: int
    template: str


def tabletop_episodes(checkpoint: str, protocol: EvaluationProtocol) -> list[TabletopEpisode]:
    """The episodes of an evaluation.

    Raises:
        EvaluationError: an unknown task, or sentences that cannot be read or lack a task.
        SimulationError: sentences with slots that a task does not have.
    """
    for task in protocol.tasks:
        if task not in TASKS:
            raise EvaluationError(f"unknown task '{task}'; tasks of {protocol.world}: {', '.join(TASKS)}")
    return list(_episodes(checkpoint, protocol, _templates(protocol)))


def run_tabletop_episode(episode: TabletopEpisode) -> EpisodeResult:
    """Run one, with what this process keeps for all of its episodes."""
    protocol = episode.protocol
    policy, world, planner, fusion = _bench(episode.checkpoint, protocol.renderer)
    goal = world.reset(episode.task, episode.seed)
    sentence = fill(episode.template, goal.slots)
    return roll_out(policy, world, planner, goal, sentence, episode.seed, protocol, fusion)


def _templates(protocol: EvaluationProtocol) -> Templates:
    if protocol.sentences in ("held-out", "training"):
        shipped = load_templates()
        held_out = protocol.sentences == "held-out"
        return {task: shipped[task].held_out if held_out else shipped[task].training for task in protocol.tasks}
    try:
        text = Path(protocol.sentences).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{protocol.sentences}: cannot be read: {error}") from error
    templates = read_templates(text, protocol.sentences)
    for task in protocol.tasks:
        if task not in templates:
            raise EvaluationError(f"{protocol.sentences}: has no sentences for task '{task}'")
    return templates


def _episodes(checkpoint: str, protocol: EvaluationProtocol, templates: Templates) -> Iterator[TabletopEpisode]:
    """Tasks in turn, so that the bar's first minutes already say something about each."""
    for index in range(protocol.episodes):
        for task in protocol.tasks:
            # Templates in turn rather than at random: each is used equally often.
            template = templates[task][index % len(templates[task])]
            yield TabletopEpisode(checkpoint, protocol, task, protocol.seed + index, template)


@cache
def _bench(checkpoint: str, renderer: str) -> tuple[Policy, TabletopWorld, MotionPlanner, FusionConfig]:
    """What a worker process needs for every episode, made once."""
    tune_cpu(threads=1)
    world = TabletopWorld(renderer=renderer)
    fusion = read_fusion(checkpoint) or FusionConfig()
    return load_policy(checkpoint), world, MotionPlanner(world.robot, MotionConfig()), fusion
