"""Episodes on the MuJoCo table-top: which ones an evaluation has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.tabletop_tasks import TabletopSettings, TabletopTasks, templates_for
from mini_diffuser_ros.evaluation.world_episodes import WorldTrial, changed_fusion
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation import TASKS, SimulationError
from mini_diffuser_ros.simulation.cameras import cameras_named, tabletop_cameras
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.support.settings import SettingsError


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
        self.fusion_for(None)
        try:
            cameras_named(self.cameras, tabletop_cameras(load_robot("panda")))
        except SimulationError as error:
            raise SettingsError("cameras", f"is {','.join(self.cameras)!r}: {error}") from error

    def make(self) -> TabletopTasks:
        """The table-top, of which nothing is started."""
        return TabletopTasks(TabletopSettings(self.sentences, self.seed, self.renderer, self.sensor, self.cameras))

    def fusion_for(self, trained: FusionConfig | None) -> FusionConfig:
        """That of the policy with the changes."""
        return changed_fusion(trained, self.fusion)


@dataclass(frozen=True, repr=False)
class TabletopTrial(WorldTrial):
    """One episode to be run.

    Attributes:
        template: of its sentence.
    """

    protocol: TabletopProtocol
    template: str

    @property
    def digest(self) -> str:
        """Of task, seed and what is said."""
        return hashlib.sha256(repr((self.task, self.seed, self.template)).encode()).hexdigest()


def tabletop_trials(checkpoint: str, protocol: TabletopProtocol) -> list[TabletopTrial]:
    """The episodes of an evaluation.

    Raises:
        EvaluationError: an unknown task, or sentences that cannot be read or lack a task.
        SimulationError: sentences with slots that a task does not have.
    """
    for task in protocol.tasks:
        if task not in TASKS:
            raise EvaluationError(f"unknown task '{task}'; tasks of {protocol.world}: {', '.join(TASKS)}")
    return list(_trials(checkpoint, protocol, templates_for(protocol.sentences, protocol.tasks)))


def _trials(
    checkpoint: str, protocol: TabletopProtocol, templates: Mapping[str, tuple[str, ...]]
) -> Iterator[TabletopTrial]:
    """Tasks in turn, so that the bar's first minutes already say something about each."""
    for index in range(protocol.episodes):
        for task in protocol.tasks:
            # Templates in turn rather than at random: each is used equally often.
            template = templates[task][index % len(templates[task])]
            yield TabletopTrial(checkpoint, protocol, task, protocol.seed + index, template)
