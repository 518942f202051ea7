"""The MuJoCo table-top as a world of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mini_diffuser_ros.evaluation.expert_course import ExpertCourse
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.rollout import Judge
from mini_diffuser_ros.evaluation.tabletop_cell import TabletopCell
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import TABLE, CameraView, FloatArray, KeyframeMode
from mini_diffuser_ros.running import LaidTask, MotionReport
from mini_diffuser_ros.simulation import TASKS, TabletopWorld
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.simulation.sentences import fill, load_templates, read_templates

Templates = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class TabletopSettings:
    """What the table-top can be told.

    Attributes:
        sentences: ``held-out`` (templates never used in training), ``training``, or the name of a YAML file.
        first_seed: whose layouts are spoken of by the first template of their task, the next by the second, and so on.
        renderer: ``rays`` or ``egl``.
        sensor: what kind of cameras they are, a line as ``simulation.sensor.sensor_of`` reads it.
        cameras: names of those that there are; all where none is named.
    """

    sentences: str = "held-out"
    first_seed: int = 0
    renderer: str = "rays"
    sensor: str = "perfect"
    cameras: tuple[str, ...] = ()


class TabletopTasks:
    """A :class:`TabletopWorld` with the motions of motion_node, in which the tasks of ``TASKS`` are laid out.

    Args:
        settings: of world and sentences.
    """

    Settings = TabletopSettings
    name = TABLE
    tasks = tuple(TASKS)

    def __init__(self, settings: TabletopSettings) -> None:
        self._settings = settings
        self._templates: dict[str, tuple[str, ...]] = {}

    @property
    def robot(self) -> str:
        """Name of the arm's description."""
        return "panda"

    def lay_out(self, task: str, seed: int) -> LaidTask:
        """Lay a task out; its sentence is that of one template, of which each is used equally often.

        Raises:
            SimulationError: no such task, or the renderer does not start here.
            EvaluationError: the file of sentences cannot be read.
        """
        goal = self._world.reset(task, seed)
        if task not in self._templates:
            self._templates |= templates_for(self._settings.sentences, (task,))
        templates = self._templates[task]
        template = templates[(seed - self._settings.first_seed) % len(templates)]
        return LaidTask((fill(template, goal.slots),), goal.variation)

    def settle(self, seconds: float) -> None:
        """Run physics for some time."""
        self._world.step(seconds)

    def views(self) -> Sequence[CameraView]:
        """Images of all cameras that give any now."""
        return self._world.views()

    def joint_positions(self) -> Mapping[str, float]:
        """Of arm and fingers."""
        return self._world.joint_positions()

    def tcp_pose(self) -> FloatArray:
        """(7,) of the tool centre point, base frame."""
        return self._world.tcp_pose()

    def gripper_is_open(self) -> bool:
        """Whether it was last told to."""
        return self._world.gripper_is_open()

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """Execute the first candidate that the planner accepts.

        Raises:
            SimulatedMotionError: if arm or gripper are not where they were sent.
        """
        return self._cell.move(candidates)

    def success(self) -> bool:
        """Whether the goal is reached."""
        return self._world.success()

    def judge(self) -> Judge:
        """Decisions are compared with the scripted expert's."""
        return ExpertCourse.of(self._world, self._world.goal).judge

    def close(self) -> None:
        """Give the renderer's resources back."""
        if "_world" in vars(self):
            self._world.close()

    @cached_property
    def _world(self) -> TabletopWorld:
        told = self._settings
        return TabletopWorld(told.renderer, sensor=sensor_of(told.sensor), cameras=told.cameras or None)

    @cached_property
    def _cell(self) -> TabletopCell:
        return TabletopCell(self._world, FusionConfig())


def templates_for(sentences: str, tasks: Sequence[str]) -> Templates:
    """Templates of the sentences of tasks, from what ``TabletopSettings.sentences`` names.

    Raises:
        EvaluationError: they cannot be read or lack a task.
        SettingsError, SimulationError: a file of them is wrong.
    """
    if sentences in ("held-out", "training"):
        shipped = load_templates()
        held_out = sentences == "held-out"
        return {task: shipped[task].held_out if held_out else shipped[task].training for task in tasks}
    try:
        text = Path(sentences).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{sentences}: cannot be read: {error}") from error
    templates = read_templates(text, sentences)
    for task in tasks:
        if task not in templates:
            raise EvaluationError(f"{sentences}: has no sentences for task '{task}'")
    return templates
