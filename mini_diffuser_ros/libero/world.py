"""LIBERO as a world of tasks: ``mini-diffuser eval CHECKPOINT --world libero``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import pose_from_matrix, quaternion_angle, same_grasp
from mini_diffuser_ros.libero.arm import LiberoArm
from mini_diffuser_ros.libero.environment import VISUAL, LiberoEnvironment
from mini_diffuser_ros.libero.errors import LiberoError, PlacementError
from mini_diffuser_ros.libero.experts import Expert
from mini_diffuser_ros.libero.installed import WHEELS
from mini_diffuser_ros.libero.rearranging import AS_NAMED
from mini_diffuser_ros.libero.stage import LiberoStage
from mini_diffuser_ros.libero.suites import SUITES, LiberoTask, SentenceSource, task_named, tasks_of
from mini_diffuser_ros.motion import AllRefused, MotionConfig, MotionPlanner
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.records import LIBERO, CameraView, KeyframeMode, Workspace
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.instruction_run import MotionReport
from mini_diffuser_ros.running.task_world import KeyframeAction, LaidTask, LayoutError, WorldStartError
from mini_diffuser_ros.sensing.grip import GripConfig
from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.rendering import Renderer, make_renderer, rendered_view
from mini_diffuser_ros.support.settings import SettingsError, bounded, check_fields, unknown_name

Array = NDArray[np.float64]

CAMERAS = ("agentview", "frontview", "sideview", "birdview", "galleryview", "robot0_robotview", "robot0_eye_in_hand")
MISSED, MISSED_RAD = 0.01, 0.1
"""Metres and radians; a motion that ends farther from its goal has missed it."""

_SETTLED_S, _LONGEST_SETTLING_S, _SETTLING_STEP_S = 0.5, 2.5, 0.1
_SINKING_S = 0.8
"""For what falls slowly from where layouts have things in the air."""

_START_NOISE_RAD = 0.02
"""Standard deviation of the arm's joints where it starts, as in the official start states."""

_DRAWS = 25
"""Layouts that are drawn until one is valid."""

_MISHAPS = 1
"""Draws whether a demonstration begins with a mishap, apart from all else that its seed draws."""

_NEXT_DRAW = 1_000_003
"""Distance of the seeds of the draws; recordings and evaluations have seeds next to each other."""

_VELOCITY_SCALING = 0.4
"""Air resists the turning of the hand of robosuite's model: its last joint makes no more than half its speed."""

_TOUCH = 0.003
"""Metres below table or floor that the arm keeps away from: flat things are gripped 10 mm above it, which leaves the
fingers one, a decision is a millimetre or two off, and in simulation a finger that touches the floor breaks nothing."""

_SUPPORT_BAND = (-0.01, 0.004)
"""Metres below and above the top of table or floor whose depth is left out."""


@dataclass(frozen=True)
class LiberoSettings:
    """What there is to choose.

    Attributes:
        suite: of tasks, e.g. ``libero_object``, ``libero_spatial``, ``libero_goal``, ``libero_10`` (Long), or a variant
            of LIBERO-PRO as ``libero_object_swap``; docs/libero.md has them.
        layouts: ``official``, the 50 start states of each task, which published figures are of; or ``sampled``, drawn
            anew from the regions of the tasks, for demonstrations; or ``rearranged``, as sampled, but with what the
            sentence does not speak of in other regions, so that the rest of a scene does not say what is meant.
        sentences: ``environment``, the sentence of the BDDL file, or ``file-name``, which published figures of the
            plain suites were asked with.
        cameras: names, of :data:`CAMERAS`.
        image_size: width and height of their images, pixels.
        renderer: ``egl`` (needs libegl1 and libgl1) or ``rays`` (needs nothing; a texture is its mean colour).
        expert_on_official: let the expert work on official start states, too, to measure it. Recording there is
            refused otherwise, as a policy would be tested on what it was taught.
    """

    suite: str = "libero_object"
    layouts: Literal["official", "sampled", "rearranged"] = "official"
    sentences: SentenceSource = "environment"
    cameras: tuple[str, ...] = ("agentview", "sideview", "robot0_robotview", "robot0_eye_in_hand")
    image_size: int = bounded(192, 16, 4096)
    renderer: Literal["egl", "rays"] = "egl"
    expert_on_official: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        for camera in self.cameras:
            if camera not in CAMERAS:
                raise SettingsError("cameras", unknown_name(camera, CAMERAS, "camera"))
        if self.layouts == "rearranged" and self.suite not in AS_NAMED:
            known = " and ".join(AS_NAMED)
            raise SettingsError("layouts", f"is 'rearranged', which is known for {known} alone, not for {self.suite}")
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise SettingsError("cameras", f"is {','.join(self.cameras)!r}, expected at least one, each once")


class LiberoWorld:
    """A suite of LIBERO. Nothing of it is imported or started before it is asked for.

    Args:
        settings: which suite, and how it is seen.
    """

    Settings = LiberoSettings
    name, robot = LIBERO, "panda"
    distributions = tuple(WHEELS)
    tasks_per_process = 4
    """An environment takes a gigabyte that is not given back."""

    def __init__(self, settings: LiberoSettings) -> None:
        self.settings = settings
        self._description = load_robot(self.robot)
        self._environment: LiberoEnvironment | None = None

    @property
    def tasks(self) -> Sequence[str]:
        """Names of the suite's tasks.

        Raises:
            LiberoError: LIBERO is not installed, or has no such suite.
        """
        return [task.name for task in tasks_of(self.settings.suite)]

    def lay_out(self, task: str, seed: int) -> LaidTask:
        """Lay a task out, and let everything come to rest.

        Official start state ``seed % 50`` has the fixtures that this number draws, as states do not tell of them.

        Raises:
            LayoutError: none of the layouts drawn for the seed is valid.
            LiberoError: there is no such task.
            WorldStartError: LIBERO cannot make it.
        """
        self._choose(task_named(self.settings.suite, task))
        self._seed = seed
        if self.settings.layouts == "official":
            self._take_official(seed)
        else:
            self._draw(seed)
        return LaidTask(self._sentences())

    @property
    def environment(self) -> LiberoEnvironment:
        """What is laid out.

        Raises:
            LiberoError: nothing is.
        """
        if self._environment is None:
            raise LiberoError("nothing is laid out yet; call lay_out(task, seed) first")
        return self._environment

    def settle(self, seconds: float) -> None:
        """Let time pass."""
        self._arm.step(seconds)
        self.environment.refresh()

    def views(self) -> tuple[CameraView, ...]:
        """RGB-D images of the cameras.

        The tables of suites are at different heights in the frame of the arm: so that one policy can learn several,
        depth of the table's top, up to 4 mm above it, is left out as if it were not measured.
        """
        environment, size = self.environment, (self.settings.image_size, self.settings.image_size)
        views = [
            rendered_view(
                self._renderer,
                environment.model,
                environment.data,
                camera,
                size,
                environment.base_from_world,
                float(environment.data.time),
            )
            for camera in self.settings.cameras
        ]
        return tuple(without_height(view, environment.support_height) for view in views)

    def joint_positions(self) -> Mapping[str, float]:
        """Of arm and fingers, by the names of our description."""
        return self._arm.joint_positions()

    def tcp_pose(self) -> Array:
        """(7,) of the tool centre point of our description, 6.9 mm beyond LIBERO's grip site."""
        return pose_from_matrix(self._arm.tcp_pose())

    def gripper_is_open(self) -> bool:
        """Whether it was last told to open."""
        return self._arm.commanded_open

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """Plan to the first candidate that the arm can reach, in a straight line of the tool where it can; then grip.

        Of what stands around only table and floor are kept away from, as in a cell without obstacles; fingers may touch
        them.
        """
        try:
            planned = self._planner.plan_first(self._arm.positions(), candidates)
        except AllRefused as error:
            return MotionReport(None, str(error), tuple(map(str, error.refusals)))
        mode = candidates[planned.index]
        self._arm.follow(planned.trajectory)
        reached = same_grasp(self.tcp_pose(), mode.pose)
        if mode.gripper_open != self._arm.commanded_open:
            self._arm.take_gripper(mode.gripper_open)
        self.environment.refresh()
        missed = bool(
            np.linalg.norm(reached[:3] - mode.pose[:3]) > MISSED
            or quaternion_angle(reached[3:], mode.pose[3:]) > MISSED_RAD
        )
        return MotionReport(
            planned.index,
            f"candidate {planned.index + 1} of {len(candidates)} {'missed' if missed else 'reached'}",
            tuple(map(str, planned.refusals)),
            missed=missed,
            held=self._held(),
            reached=reached,
        )

    def expert(self) -> Iterator[KeyframeAction]:
        """The scripted expert, which knows where everything is; see docs/libero.md for what it can do.

        One demonstration in eight begins after a grasp in vain, so that a policy learns to try again.

        Raises:
            LiberoError: the layout is an official start state, and nobody has said that the expert may know those.
        """
        if self.settings.layouts == "official" and not self.settings.expert_on_official:
            raise LiberoError(
                "official start states are for evaluation; record with --world-options layouts=sampled, or measure the "
                "expert with expert_on_official=true"
            )
        mishaps = np.random.default_rng([self._seed, _MISHAPS])
        return Expert(LiberoStage(self.environment, self._arm, self._planner), mishap=mishaps).actions()

    def success(self) -> bool:
        """Whether LIBERO's own predicates of the goal hold."""
        return self.environment.success()

    def close(self) -> None:
        """Give back what can be."""
        if "_renderer" in vars(self):
            self._renderer.close()
            del self._renderer
        self._drop()

    @cached_property
    def _renderer(self) -> Renderer:
        try:
            return make_renderer(self.settings.renderer, groups=(VISUAL,))
        except SimulationError as error:
            raise WorldStartError(f"--world libero: {error}: --world-options renderer=rays") from error

    def _choose(self, task: LiberoTask) -> None:
        """Have the environment of a task, made anew if that before was of another."""
        if self._environment is not None and self._environment.task == task:
            return
        self._drop()
        environment = LiberoEnvironment(task)
        low = environment.support_height + _SUPPORT_BAND[1]
        config = MotionConfig(
            velocity_scaling=_VELOCITY_SCALING,
            acceleration_scaling=0.6,
            workspace=Workspace((0.05, -0.7, low), (0.95, 0.7, low + 1.0)),
            table_height=environment.support_height - _TOUCH,
            straight_line_below=10.0,
        )
        self._planner = MotionPlanner(self._description, config)
        self._arm = LiberoArm(environment.model, environment.data, self._description)
        self._home = self._arm.positions()
        self._environment = environment
        self._come_to_rest(lambda: environment.take_state(task.official_states()[0], 0))
        environment.take_as_usual()

    def _drop(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._environment = None

    def _take_official(self, seed: int) -> None:
        states = self.environment.task.official_states()
        number = seed % len(states)
        self._come_to_rest(lambda: self.environment.take_state(states[number], number))

    def _draw(self, seed: int) -> None:
        why = ""
        for draw in range(_DRAWS):
            drawn = (seed + draw * _NEXT_DRAW) % 2**32
            try:
                self._come_to_rest(partial(self._place_drawn, drawn))
            except PlacementError as error:
                why = str(error)
                continue
            if not (why := self.environment.invalid()):
                return
        raise LayoutError(f"{self.environment.task.name}, seed {seed}: {_DRAWS} layouts drawn, none valid; last: {why}")

    def _place_drawn(self, seed: int) -> None:
        self.environment.draw_layout(seed, rearrange=self.settings.layouts == "rearranged")
        noise = np.random.default_rng(seed).normal(scale=_START_NOISE_RAD, size=len(self._home))
        self._arm.start_at(self._home + noise)

    def _come_to_rest(self, place: Callable[[], None]) -> None:
        """Have things placed, and let them fall; slowly, where falling leaves them elsewhere than their task has them.

        LIBERO drops them from seven centimetres, and under MuJoCo 3 a bowl of 6 g bounces off a ramekin of 10 g then.
        """
        place()
        self._settle_down()
        if self.environment.invalid():
            place()
            self._arm.hold(gripper_open=True)
            with self.environment.falling_slowly():
                self._arm.step(_SINKING_S)
            self._settle_down()

    def _settle_down(self) -> None:
        self._arm.hold(gripper_open=True)
        self._arm.step(_SETTLED_S)
        while self.environment.is_moving() and self.environment.data.time < _LONGEST_SETTLING_S:
            self._arm.step(_SETTLING_STEP_S)
        self.environment.refresh()

    def _sentences(self) -> tuple[str, ...]:
        environment = self.environment
        both = {"environment": environment.sentence, "file-name": environment.task.file_sentence}
        first = both[self.settings.sentences]
        # The file's name says the task of a plain suite in other words, that of a variant may say another task.
        others = [sentence for sentence in both.values() if environment.task.suite in SUITES and sentence != first]
        return (first, *others)

    def _held(self) -> float:
        width = self._arm.width()
        return 0.0 if self._arm.commanded_open or width <= GripConfig().empty_width else width


def without_height(view: CameraView, height: float) -> CameraView:
    """The view without depth of what lies at a height, metres in the base frame, of table or floor."""
    pose = np.asarray(view.base_from_camera, dtype=np.float32)
    heights = back_project(view.depth, view.intrinsics) @ pose[2, :3] + pose[2, 3]
    support = (heights > height + _SUPPORT_BAND[0]) & (heights < height + _SUPPORT_BAND[1])
    return replace(view, depth=np.where(support, np.float32(0.0), view.depth))
