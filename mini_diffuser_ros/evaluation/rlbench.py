"""Episodes in RLBench: which ones an evaluation has, and RLBench as a world of tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

from mini_diffuser_ros.data import RLBENCH_FUSION, DataError, read_sentences
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol, check_names
from mini_diffuser_ros.evaluation.rlbench_install import VARIANT, check_installed, find_tasks
from mini_diffuser_ros.evaluation.rlbench_layouts import Layout, folder_names, stored_layouts
from mini_diffuser_ros.evaluation.rlbench_world import RlbenchWorld
from mini_diffuser_ros.evaluation.world_episodes import WorldTrial
from mini_diffuser_ros.records import RLBENCH, CameraView, Cloud, FloatArray, FusionConfig, KeyframeMode
from mini_diffuser_ros.running import LaidTask, LoopSettings, MotionReport
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


ENVIRONMENT = "environment"
"""The sentences that are RLBench's own."""


@dataclass(frozen=True)
class RlbenchProtocol(EvaluationProtocol):
    """Everything besides the checkpoint that a success rate depends on.

    The loop is that of Mini Diffuser's results, and so are cameras and tasks. Layouts are drawn from seeds, though,
    while published results are of stored test demonstrations, see ``mini_diffuser``.

    Attributes:
        episodes: of each task, at most as many as there are demonstrations where such are given; 0 for all of those.
        seed: episode i of every task is laid out with seed ``seed + i``, and the variations are spread over all that
            it has; of decisions' noise too.
        sentences: ``environment``, RLBench's own first one, or the name of a JSON file: task+variation to sentences.
        loop: how a sentence is obeyed; its settle time is 0, as the simulator stands between moves.
        demonstrations: directory of stored test demonstrations, raw or PerAct layout, whose layouts are used instead.
        cameras: names of the cameras.
        image_size: width and height of their images, pixels.
        mini_diffuser: refuse whatever Mini Diffuser's published results were not made with, as far as it can be known.
    """

    world: str = "rlbench"
    tasks: tuple[str, ...] = PERACT_TASKS
    episodes: int = bounded(25, 0, 1_000_000)
    sentences: str = ENVIRONMENT
    loop: LoopSettings = field(default_factory=LoopSettings.published_rlbench)
    demonstrations: str = ""
    cameras: tuple[str, ...] = ("left_shoulder", "right_shoulder", "wrist", "front")
    image_size: int = bounded(256, 16, 4096)
    mini_diffuser: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("cameras", self.cameras)
        if self.loop.settle_time:
            raise EvaluationError(
                f"loop.settle_time is {self.loop.settle_time}, expected 0: RLBench's simulator stands between moves"
            )
        if not self.episodes and not self.demonstrations:
            raise EvaluationError("episodes is 0, all that are stored, but there are no demonstrations; name them")
        if self.mini_diffuser and (lacking := self._unlike_published()):
            raise EvaluationError(f"--protocol mini_diffuser needs {'; '.join(lacking)}")

    def _unlike_published(self) -> list[str]:
        """What the results of Mini Diffuser were made with and this is not."""
        published = RlbenchProtocol()
        loop = replace(published.loop, samples=self.loop.samples, steps=self.loop.steps)
        needs = {
            "--demonstrations DIR, the stored test episodes (microsteps/<task>_peract/variation<N>/episodes)": bool(
                self.demonstrations
            ),
            "--sentences FILE, the JSON of task+variation to sentences that was trained with": self.sentences
            != ENVIRONMENT,
            f"--cameras {','.join(published.cameras)}": self.cameras == published.cameras,
            f"--image-size {published.image_size}": self.image_size == published.image_size,
            "no other option of the loop than --samples and --steps": self.loop == loop,
        }
        return [need for need, is_so in needs.items() if not is_so]

    def make(self) -> RlbenchTasks:
        """RLBench, of which nothing is started."""
        return RlbenchTasks(self)

    def fusion_for(self, trained: FusionConfig | None) -> FusionConfig:
        """That of the policy."""
        return trained or RLBENCH_FUSION


@dataclass(frozen=True, eq=False, repr=False)
class RlbenchTrial(WorldTrial):
    """One episode to be run.

    Attributes:
        file: name of the task's file in the RLBench that is installed.
        layout: of a stored demonstration; None for one of the seed's.
        sentences: of the task's variations, the first of each; None for RLBench's own.
    """

    protocol: RlbenchProtocol
    file: str
    layout: Layout | None
    sentences: Mapping[int, str] | None

    @property
    def number(self) -> int:
        """Among the episodes of the task; no two have the same, nor the same seed."""
        return self.seed - self.protocol.seed

    @property
    def digest(self) -> str:
        """Of all that is the episode's own: task, layout and sentences."""
        layout = self.layout and (self.layout.variation, self.layout.attempts, _numbers(self.layout))
        return hashlib.sha256(repr((self.task, self.file, self.number, layout, self.sentences)).encode()).hexdigest()

    def laid_out(self, variations: int) -> Layout:
        """Its layout in a task of so many variations. Episodes of one variation come after each other."""
        return self.layout or Layout(self.number * variations // self.protocol.episodes, self.seed)

    def sentence(self, variation: int, offered: tuple[str, ...]) -> str:
        """The first sentence of a variation, from the one source that the protocol names.

        Raises:
            EvaluationError: the source has none.
        """
        if self.sentences is None:
            return offered[0]
        if variation not in self.sentences:
            raise EvaluationError(f"{self.protocol.sentences}: has no sentences for {self.task}+{variation}")
        return self.sentences[variation]

    def __repr__(self) -> str:
        return f"{self.task}, episode {self.number}"


def rlbench_trials(checkpoint: str, protocol: RlbenchProtocol) -> list[RlbenchTrial]:
    """The episodes of an evaluation, by task and variation, as loading one into the simulator takes long.

    Raises:
        EvaluationError: if RLBench is not installed or lacks a task, or demonstrations or sentences cannot be read.
    """
    check_installed()
    files = find_tasks(protocol.tasks)
    if protocol.mini_diffuser and (plain := [task for task, file in files.items() if not file.endswith(VARIANT)]):
        raise EvaluationError(
            f"--protocol mini_diffuser needs the tasks of rjgpinel/RLBench or its like, which has {plain[0]}{VARIANT}; "
            "what is installed has not"
        )
    trials = []
    for task, file in files.items():
        sentences = _sentences(protocol, task, file)
        if not protocol.demonstrations:
            layouts: list[Layout | None] = [None] * protocol.episodes
        else:
            folders = folder_names(task, file)
            layouts = [*stored_layouts(Path(protocol.demonstrations), folders, protocol.episodes)]
        for number, layout in enumerate(layouts):
            trials.append(RlbenchTrial(checkpoint, protocol, task, protocol.seed + number, file, layout, sentences))
            if layout is not None:
                trials[-1].sentence(layout.variation, ("",))
    return trials


class RlbenchTasks:
    """RLBench as a world of tasks, with the layouts and sentences of a protocol.

    Args:
        settings: the protocol.
    """

    Settings = RlbenchProtocol
    name = RLBENCH
    distributions = ("rlbench", "pyrep")

    def __init__(self, settings: RlbenchProtocol) -> None:
        self._protocol = settings
        self.tasks = settings.tasks

    @property
    def robot(self) -> str | None:
        """None: what is seen of the arm is taken out by what RLBench says of it, see :meth:`fuse`."""
        return None

    def lay_out(self, task: str, seed: int) -> LaidTask:
        """Lay out the episode of a seed, as the protocol has it.

        Raises:
            EvaluationError: RLBench is not installed or lacks a task or camera, demonstrations or sentences cannot be
                read, or there is no episode of this task and seed.
            WorldError: the simulator cannot do it.
        """
        if (trial := self._trials.get((task, seed))) is None:
            raise EvaluationError(f"{task}: the protocol has no episode of seed {seed}")
        layout = trial.laid_out(self._world.choose(trial.file))
        return LaidTask((trial.sentence(layout.variation, self._world.reset(layout)),), layout.variation)

    def settle(self, seconds: float) -> None:
        """Nothing: the simulator stands between moves."""

    def views(self) -> Sequence[CameraView]:
        """What the last instant showed, world frame."""
        return self._world.sight.views

    def joint_positions(self) -> Mapping[str, float]:
        """Nothing: RLBench's arm is none of our descriptions."""
        return {}

    def tcp_pose(self) -> FloatArray:
        """(7,) of the gripper, world frame."""
        return self._world.sight.pose

    def gripper_is_open(self) -> bool:
        """Whether it was last told to."""
        return self._world.commanded_open

    def fuse(self, fusion: FusionConfig) -> Cloud:
        """What the last instant showed, without the arm, world frame."""
        return self._world.cloud(fusion)

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """To the first candidate that the simulator accepts."""
        return self._world.move(candidates)

    def success(self) -> bool:
        """Whether the last move was rewarded."""
        return self._world.success()

    def close(self) -> None:
        """End the simulator."""
        if "_world" in vars(self):
            self._world.close()

    @cached_property
    def _world(self) -> RlbenchWorld:
        return RlbenchWorld(self._protocol.cameras, self._protocol.image_size, RLBENCH_FUSION)

    @cached_property
    def _trials(self) -> Mapping[tuple[str, int], RlbenchTrial]:
        return {(trial.task, trial.seed): trial for trial in rlbench_trials("", self._protocol)}


def _sentences(protocol: RlbenchProtocol, task: str, file: str) -> Mapping[int, str] | None:
    """Variation to its first sentence in the protocol's file.

    Where a task has a variant for the published results, that of the plain name is another one.

    Raises:
        EvaluationError: if it cannot be read, or has none of the task.
    """
    if protocol.sentences == ENVIRONMENT:
        return None
    plain = task.removesuffix(VARIANT)
    names = (plain + VARIANT,) if file.endswith(VARIANT) else (plain + VARIANT, plain)
    table = _table(protocol.sentences)
    for name in names:
        found = {
            int(number): listed[0]
            for key, listed in table.items()
            for known, _, number in [key.rpartition("+")]
            if known == name and number.isdecimal()
        }
        if found:
            return found
    raise EvaluationError(f"{protocol.sentences}: has no sentences for {' or '.join(names)}, expected {names[0]}+0 ...")


@cache
def _table(file: str) -> Mapping[str, tuple[str, ...]]:
    try:
        table = read_sentences(Path(file))
    except DataError as error:
        raise EvaluationError(str(error)) from error
    for key, listed in table.items():
        if not listed:
            raise EvaluationError(f"{file}: {key} has no sentence, expected at least one")
    return table


def _numbers(layout: Layout) -> str:
    """The generator's state as a text that says all of it."""
    state = layout.state
    if isinstance(state, int):
        return str(state)
    return repr([part.tolist() if hasattr(part, "tolist") else part for part in state])
