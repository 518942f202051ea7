"""Episodes in any world of tasks: which ones an evaluation has, and one of them in a worker process."""

from __future__ import annotations

import atexit
import hashlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from traceback import extract_tb
from typing import Protocol

from mini_diffuser_ros.evaluation.evaluating import policy_digest
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, Judge, JudgingWorld, no_expert, roll_out
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.running import HeavyWorld, LoopSettings, SeenWorld, TaskWorld, WorldError, WorldStartError
from mini_diffuser_ros.running.world_names import make_world
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.settings import unknown_name, with_words
from mini_diffuser_ros.support.workers import WorkerLimits, ended_if_hanging

_PACKAGE = Path(__file__).parents[1]


class WorldEvaluation(Protocol):
    """What the episodes in a world of tasks need of their protocol, see :class:`EvaluationProtocol`."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        ...

    @property
    def episodes(self) -> int:
        """Of each task."""
        ...

    @property
    def seed(self) -> int:
        """Of the first episode of each task."""
        ...

    @property
    def loop(self) -> LoopSettings:
        """How a sentence is obeyed."""
        ...

    def __hash__(self) -> int:
        """A process keeps the world of an evaluation."""
        ...

    def make(self) -> TaskWorld:
        """The world, of which nothing is started."""
        ...

    def fusion_for(self, trained: FusionConfig | None) -> FusionConfig:
        """How images become a cloud, for a policy by how it was trained; None where that is not known."""
        ...


@dataclass(frozen=True)
class WorldProtocol(EvaluationProtocol):
    """Everything besides the checkpoint that a success rate in a world of one's own depends on.

    Attributes:
        world: as ``running.world_names.world_class`` takes it.
        tasks: names of the tasks; all of the world's where none is named.
        options: of the world's settings those that are not its defaults, as ``image_size=128``.
        fusion: fields of ``FusionConfig`` to change against those that the policy was trained with, as
            ``voxel_size=0.01 table_spreads=3``; empty changes none.
    """

    options: tuple[str, ...] = ()
    fusion: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fusion_for(None)

    def make(self) -> TaskWorld:
        """The world, of which nothing is started.

        Raises:
            WorldNameError, SettingsError: as ``make_world``.
        """
        return make_world(self.world, self.options)

    def fusion_for(self, trained: FusionConfig | None) -> FusionConfig:
        """That of the policy with the changes."""
        return changed_fusion(trained, self.fusion)

    def with_tasks(self) -> WorldProtocol:
        """The same with the names of all tasks that it means.

        Raises:
            EvaluationError: the world has no such task, or none at all.
            WorldNameError, SettingsError: as ``make_world``.
        """
        known = list(self.make().tasks)
        for task in self.tasks:
            if task not in known:
                raise EvaluationError(f"{self.world}: {unknown_name(task, known, 'task')}")
        if not known:
            raise EvaluationError(f"{self.world}: has no tasks")
        return replace(self, tasks=self.tasks or tuple(known))


def changed_fusion(trained: FusionConfig | None, changes: str) -> FusionConfig:
    """The fusion that a policy was trained with, or the default one, with fields changed as ``voxel_size=0.01 ...``.

    Raises:
        SettingsError: there is no such field, or a value is out of range.
    """
    return with_words(trained or FusionConfig(), changes.split(), "", "fusion")


@dataclass(frozen=True)
class WorldTrial:
    """One episode to be run.

    Attributes:
        checkpoint: directory of the policy.
        protocol: of the evaluation.
        task: its task.
        seed: of layout and noise.
        policy: digest of what the directory held when the evaluation began; empty takes whatever it holds.
    """

    checkpoint: str
    protocol: WorldEvaluation
    task: str
    seed: int
    policy: str = field(default="", kw_only=True)

    @property
    def digest(self) -> str:
        """Of task and seed; all else is the evaluation's."""
        return hashlib.sha256(repr((self.task, self.seed)).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"{self.task}, seed {self.seed}"


def world_trials(checkpoint: str, protocol: WorldEvaluation) -> list[WorldTrial]:
    """The episodes of an evaluation: tasks in turn, so that the first minutes already say something about each."""
    seeds = range(protocol.seed, protocol.seed + protocol.episodes)
    return [WorldTrial(checkpoint, protocol, task, seed) for seed in seeds for task in protocol.tasks]


def tasks_per_process(protocol: WorldEvaluation) -> int:
    """After how many tasks a process is replaced, 0 for never."""
    world = protocol.make()
    return max(1, world.tasks_per_process) if isinstance(world, HeavyWorld) else 0


def run_world_trial(trial: WorldTrial) -> EpisodeResult:
    """Run one, in the world that this process keeps for all of its episodes.

    Raises:
        LayoutError: the world cannot lay it out.
        WorldError: the world failed; the next episode of this process has another.
        EvaluationError: the directory holds another policy than when the evaluation began.
        UserError: a mistake of the user's, such as something that is not installed.
    """
    held = _held(trial.checkpoint, trial.policy, trial.protocol)
    try:
        result = held.run(trial)
    except UserError:
        raise
    except Exception as error:
        _held.cache_clear()
        if parent_process() is None:
            held.close()  # else this process ends now, which closes it and cannot hang: it is ended then
        if isinstance(error, WorldError):
            raise
        kind = WorldError if trial.task in held.worked else WorldStartError
        raise kind(f"{trial}: {type(error).__name__}: {one_line(error)} ({_place(error)})") from error
    held.worked.add(trial.task)
    return result


class _Held:
    """What a process needs for every episode, made once."""

    def __init__(self, checkpoint: str, digest: str, protocol: WorldEvaluation) -> None:
        self._policy = _policy(checkpoint, digest)
        self._world = protocol.make()
        self._seen = SeenWorld(self._world, protocol.fusion_for(self._policy.fusion))
        self.worked: set[str] = set()  # tasks
        atexit.register(self.close)

    def run(self, trial: WorldTrial) -> EpisodeResult:
        laid = self._world.lay_out(trial.task, trial.seed)
        judge: Judge = self._world.judge() if isinstance(self._world, JudgingWorld) else no_expert
        sentence, loop = laid.sentences[0], trial.protocol.loop
        return roll_out(self._seen, self._policy, trial.task, sentence, trial.seed, loop, judge)

    def close(self) -> None:
        atexit.unregister(self.close)
        # A world that may have failed; nothing is wanted of it any more.
        with suppress(Exception), ended_if_hanging(WorkerLimits().close, "close() of the world"):
            self._world.close()


@cache
def _policy(checkpoint: str, digest: str) -> Policy:
    tune_cpu(threads=1)
    policy = load_policy(checkpoint)
    # After it was read, so that it was not another then: one that is exported has other weights, which are checked.
    if digest and policy_digest(checkpoint) != digest:
        raise EvaluationError(
            f"{checkpoint}: holds another policy than when the evaluation began, by a training that goes on, say; "
            "evaluate a copy of it"
        )
    return policy


@cache
def _held(checkpoint: str, digest: str, protocol: WorldEvaluation) -> _Held:
    return _Held(checkpoint, digest, protocol)


def _place(error: Exception) -> str:
    """File and line that an error comes from, for whoever wrote the world: the last one that is not this package's."""
    frames = extract_tb(error.__traceback__)
    of_others = [frame for frame in frames if not _is_ours(frame.filename)]
    last = (of_others or frames)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}"


def _is_ours(file: str) -> bool:
    return file.startswith("<") or Path(file).is_relative_to(_PACKAGE)  # <string> is what dataclasses make
