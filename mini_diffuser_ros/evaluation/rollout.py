"""One episode: the loop of policy_node in a world that judges how it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.running import (
    DecidingPolicy,
    Decision,
    Ending,
    LoopSettings,
    RunResult,
    World,
    run_instruction,
)
from mini_diffuser_ros.running.deciding import familiarity_of

KEPT_POINTS = 1500
"""Of each cloud of an episode that failed: enough to see by how it did, and little to send between processes."""


class JudgedWorld(World, Protocol):
    """A world that knows whether its task is done."""

    def success(self) -> bool:
        """Whether it is, as the world stands now."""
        ...


@dataclass(frozen=True, eq=False)
class JudgedDecision:
    """One decision, compared with an expert where there is one.

    Attributes:
        made: the decision.
        chooses_object: True if only the sentence tells which object the keyframe goes to.
        distance: metres between the executed position and the expert's; None without an expert, for a decision that
            was refused, and once the episode has left the expert's course (a second attempt, say), where the two are
            no longer about the same step.
    """

    made: Decision
    chooses_object: bool = False
    distance: float | None = None


@dataclass(frozen=True, eq=False)
class EpisodeResult:
    """How an episode went.

    Attributes:
        task: its task.
        seed: of layout and noise.
        sentence: all that the policy was told.
        success: what the world says at the end.
        outcome: how the run ended; where it failed, why.
        decisions: in order, those included that motion refused. What was seen of an episode that failed is kept with
            them, thinned to ``KEPT_POINTS``.
        unfamiliar: whether policy_node would have refused the sentence; None where the policy does not know.
        failure: what failed that is neither policy nor task, such as the simulator; empty where nothing did. Such an
            episode counts for no success rate.
    """

    task: str
    seed: int
    sentence: str
    success: bool
    outcome: str
    decisions: tuple[JudgedDecision, ...]
    unfamiliar: bool | None = None
    failure: str = ""

    @property
    def keyframes(self) -> int:
        """Keyframes that were executed."""
        return sum(decision.made.executed is not None for decision in self.decisions)


Judge = Callable[[Sequence[Decision]], tuple[JudgedDecision, ...]]
"""Compares the decisions of an episode with an expert's."""


@runtime_checkable
class JudgingWorld(Protocol):
    """What a world of tasks offers besides if it has an expert to compare decisions with."""

    def judge(self) -> Judge:
        """Of the decisions on the layout as it is now, before the first of them."""
        ...


def no_expert(decisions: Sequence[Decision]) -> tuple[JudgedDecision, ...]:
    """The judge of a world without an expert."""
    return tuple(map(JudgedDecision, decisions))


def roll_out(
    world: JudgedWorld,
    policy: DecidingPolicy,
    task: str,
    sentence: str,
    seed: int,
    loop: LoopSettings,
    judge: Judge = no_expert,
) -> EpisodeResult:
    """Run the policy on a task that has been laid out.

    Args:
        world: laid out.
        policy: the checkpoint.
        task: its name, for the result.
        sentence: all that the policy is told of it.
        seed: of the decisions' noise.
        loop: how the sentence is obeyed.
        judge: see :data:`Judge`.
    """
    result = run_instruction(world, policy, sentence, loop, seed=seed)
    succeeded = world.success()
    judged = tuple(_with_less(each, seen=not succeeded) for each in judge(result.decisions))
    familiarity = familiarity_of(policy, sentence)
    refused = None if familiarity is None else not familiarity.is_familiar
    return EpisodeResult(task, seed, sentence, succeeded, _outcome(result), judged, refused)


def _with_less(judged: JudgedDecision, seen: bool) -> JudgedDecision:
    """The decision with its cloud thinned, or without it."""
    cloud = judged.made.cloud
    if seen and cloud is not None:
        kept = evenly_spread(len(cloud), KEPT_POINTS)
        cloud = Cloud(cloud.points[kept], cloud.colors[kept], cloud.frame, cloud.stamp)
    return replace(judged, made=replace(judged.made, cloud=cloud if seen else None))


def _outcome(result: RunResult) -> str:
    return result.message if result.ending is Ending.FAILED else result.ending.value
