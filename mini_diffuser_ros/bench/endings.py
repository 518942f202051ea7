"""``mini-diffuser bench endings``: does a policy know when it is done, and when it is not?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, read_by
from mini_diffuser_ros.evaluation.report import wilson_interval
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, TabletopTrial, tabletop_trials
from mini_diffuser_ros.evaluation.tabletop_cell import TabletopCell
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.running import Ending, LoopSettings, run_instruction
from mini_diffuser_ros.simulation import TASKS
from mini_diffuser_ros.simulation.mishaps import Mishap, UnluckyWorld
from mini_diffuser_ros.simulation.sentences import fill
from mini_diffuser_ros.support.workers import map_in_workers

DESCRIPTION = """Runs of the loop of the nodes on the simulated table, with held-out sentences. With a mishap something
goes wrong once in a run: what is held slips out of the gripper, what was put down is moved beside, a press ends short
of the cap's stop. The world judges success when the run has ended. terminated_failed is what must not happen: the
policy says that it is done, and it is not. befell counts the runs in which the mishap came about. Lines of 'all' are
over the tasks."""


def read_mishap(text: str) -> Mishap:
    """A mishap by its name.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return Mishap(text.strip())
    except ValueError:
        known = ", ".join(mishap.value for mishap in Mishap)
        raise ValueError(f"no mishap '{text.strip()}', there are: {known}") from None


@dataclass(frozen=True, kw_only=True)
class EndingsSetting:
    """What is run.

    Attributes:
        checkpoint: the policy.
        mishaps: what goes wrong, names separated by commas.
        episodes: runs of each task and mishap.
        seed: of the first layout and of its decisions' noise; each next run has the next, of the next mishap too.
        confirm: 1 to look once more before a run counts as done, 0 to believe the policy's signal.
        workers: processes.
    """

    checkpoint: Path = Path("models/tabletop")
    mishaps: tuple[Mishap, ...] = read_by(read_mishap, tuple(Mishap))
    episodes: int = at_least(1, 50)
    seed: int = at_least(0, 0)
    confirm: int = at_least(0, 1)
    workers: int = at_least(1, 1)


@dataclass(frozen=True)
class EndingsRow:
    """A line of output: counts of runs, and the share of those TERMINATED without success, with its interval."""

    mishap: str
    task: str
    runs: int
    befell: int
    success: int
    terminated: int
    terminated_failed: int
    not_confirmed: int
    not_confirmed_succeeded: int
    other: int
    keyframes: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class _Run:
    """One run to be made."""

    setting: EndingsSetting
    mishap: Mishap
    trial: TabletopTrial


@dataclass(frozen=True)
class RunEnded:
    """How one ended."""

    mishap: Mishap
    task: str
    befell: bool
    success: bool
    ending: Ending
    keyframes: int


def trials_of(setting: EndingsSetting, mishap: Mishap) -> list[TabletopTrial]:
    """Layouts and sentences of the runs with a mishap, each of its own; tasks that it cannot befall are left out."""
    loop = LoopSettings(confirm_end=bool(setting.confirm), accept_unfamiliar=True)
    seed = setting.seed + setting.episodes * setting.mishaps.index(mishap)
    protocol = TabletopProtocol(episodes=setting.episodes, seed=seed, loop=loop)
    trials = tabletop_trials(str(setting.checkpoint), protocol)
    return [trial for trial in trials if mishap in (Mishap.NONE, *BEFALLS[trial.task])]


def ended_runs(setting: EndingsSetting, mishap: Mishap) -> Iterator[RunEnded]:
    """Make the runs."""
    runs = [_Run(setting, mishap, trial) for trial in trials_of(setting, mishap)]
    yield from map_in_workers(_run, runs, setting.workers)


_OF_CARRYING = (Mishap.SLIP_AT_LIFT, Mishap.SLIP_ON_THE_WAY, Mishap.LANDS_BESIDE, Mishap.TAKEN_AWAY)
BEFALLS = {name: (Mishap.SHORT_PRESS,) if name == "push_buttons" else _OF_CARRYING for name in TASKS}
"""What may befall each task."""


def summarised(ended: Sequence[RunEnded], mishap: str, task: str) -> EndingsRow:
    """A line of output."""
    done = [run for run in ended if run.ending is Ending.TERMINATED]
    doubted = [run for run in ended if run.ending is Ending.NOT_CONFIRMED]
    wrong = sum(not run.success for run in done)
    low, high = wilson_interval(wrong, len(ended))
    return EndingsRow(
        mishap=mishap,
        task=task,
        runs=len(ended),
        befell=sum(run.befell for run in ended),
        success=sum(run.success for run in ended),
        terminated=len(done),
        terminated_failed=wrong,
        not_confirmed=len(doubted),
        not_confirmed_succeeded=sum(run.success for run in doubted),
        other=len(ended) - len(done) - len(doubted),
        keyframes=round(sum(run.keyframes for run in ended) / len(ended), 1),
        share=round(wrong / len(ended), 4),
        low=round(low, 4),
        high=round(high, 4),
    )


def measure_endings(settings: Sequence[EndingsSetting]) -> Iterator[EndingsRow]:
    """The lines of all settings."""
    for setting in settings:
        for mishap in setting.mishaps:
            ended = list(ended_runs(setting, mishap))
            tasks = sorted({run.task for run in ended})
            for task in tasks:
                yield summarised([run for run in ended if run.task == task], mishap.value, task)
            if len(tasks) > 1:
                yield summarised(ended, mishap.value, "all")


def _run(run: _Run) -> RunEnded:
    policy, world, cell = _bench(str(run.setting.checkpoint))
    trial = run.trial
    world.mishap = run.mishap
    goal = world.reset(trial.task, trial.seed)
    sentence = fill(trial.template, goal.slots)
    result = run_instruction(cell, policy, sentence, trial.protocol.loop, seed=trial.seed)
    return RunEnded(run.mishap, trial.task, world.has_befallen, world.success(), result.ending, result.keyframes)


@cache
def _bench(checkpoint: str) -> tuple[Policy, UnluckyWorld, TabletopCell]:
    """What a process keeps for all of its runs."""
    tune_cpu(threads=1)
    policy = load_policy(checkpoint)
    world = UnluckyWorld()
    return policy, world, TabletopCell(world, policy.fusion or FusionConfig())


BENCHMARK = Benchmark(EndingsSetting, measure_endings, DESCRIPTION)
