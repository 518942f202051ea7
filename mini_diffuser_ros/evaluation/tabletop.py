"""Episodes on the MuJoCo table-top: which ones an evaluation has, and one of them in a worker process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mini_diffuser_ros.evaluation.expert_course import ExpertCourse
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, roll_out
from mini_diffuser_ros.evaluation.tabletop_cell import TabletopCell
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation import TASKS, SimulationError, TabletopWorld
from mini_diffuser_ros.simulation.cameras import cameras_named, tabletop_cameras
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.simulation.sentences import fill, load_templates, read_templates
from mini_diffuser_ros.support.settings import SettingsError, with_words

Templates = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class TabletopProtocol(EvaluationProtocol):
    """Everything besides the checkpoint that a success rate on the table-top depends on.

    Attributes:
        sentences: ``held-out`` (templates never used in training), ``training``, or the name of a YAML file.
        renderer: ``rays`` or ``egl``.
        sensor: what kind of cameras they are, a line as ``simulation.sensor.sensor_of`` reads it.
        cameras: names of those that there are.
        fusion: fields of ``FusionConfig`` to change against those that the policy was trained with, as
            ``level_reach=0.06 table_spreads=3``; empty changes none.
    """

    world: str = "tabletop"
    tasks: tuple[str, ...] = tuple(TASKS)
    sentences: str = "held-out"
    renderer: str = "rays"
    sensor: str = "perfect"
    cameras: tuple[str, ...] = tuple(mount.name for mount in tabletop_cameras(load_robot("panda")))
    fusion: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        sensor_of(self.sensor)
        with_words(FusionConfig(), self.fusion.split(), "", "fusion")
        try:
            cameras_named(self.cameras, tabletop_cameras(load_robot("panda")))
        except SimulationError as error:
            raise SettingsError("cameras", f"is {','.join(self.cameras)!r}: {error}") from error


@dataclass(frozen=True)
class TabletopTrial:
    """One episode to be run.

    Attributes:
        checkpoint: directory of the policy.
        protocol: of the evaluation.
        task: its task.
        seed: of layout and noise.
        template: of its sentence.
    """

    checkpoint: str
    protocol: TabletopProtocol
    task: str
    seed: int
    template: str


def tabletop_trials(checkpoint: str, protocol: TabletopProtocol) -> list[TabletopTrial]:
    """The episodes of an evaluation.

    Raises:
        EvaluationError: an unknown task, or sentences that cannot be read or lack a task.
        SimulationError: sentences with slots that a task does not have.
    """
    for task in protocol.tasks:
        if task not in TASKS:
            raise EvaluationError(f"unknown task '{task}'; tasks of {protocol.world}: {', '.join(TASKS)}")
    return list(_trials(checkpoint, protocol, _templates(protocol)))


def run_tabletop_trial(trial: TabletopTrial) -> EpisodeResult:
    """Run one, with what this process keeps for all of its episodes."""
    protocol = trial.protocol
    policy, cell = _bench(trial.checkpoint, protocol.renderer, protocol.sensor, protocol.cameras, protocol.fusion)
    goal = cell.world.reset(trial.task, trial.seed)
    sentence = fill(trial.template, goal.slots)
    course = ExpertCourse.of(cell.world, goal)
    return roll_out(cell, policy, trial.task, sentence, trial.seed, protocol.loop, course.judge)


def _templates(protocol: TabletopProtocol) -> Templates:
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


def _trials(checkpoint: str, protocol: TabletopProtocol, templates: Templates) -> Iterator[TabletopTrial]:
    """Tasks in turn, so that the bar's first minutes already say something about each."""
    for index in range(protocol.episodes):
        for task in protocol.tasks:
            # Templates in turn rather than at random: each is used equally often.
            template = templates[task][index % len(templates[task])]
            yield TabletopTrial(checkpoint, protocol, task, protocol.seed + index, template)


@cache
def _bench(
    checkpoint: str, renderer: str, sensor: str, cameras: tuple[str, ...], fusion: str
) -> tuple[Policy, TabletopCell]:
    """What a worker process needs for every episode, made once."""
    tune_cpu(threads=1)
    policy = load_policy(checkpoint)
    world = TabletopWorld(renderer, sensor=sensor_of(sensor), cameras=cameras)
    fused = with_words(policy.fusion or FusionConfig(), fusion.split(), "", "fusion")
    return policy, TabletopCell(world, fused)
