"""Running a sentence in any world that can be looked at and moved in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running.deciding import DecidingPolicy, assess, doubt_about, judge_end, unfamiliar
from mini_diffuser_ros.running.instruction_run import Ending, InstructionRun, MotionReport, RunResult, Tell
from mini_diffuser_ros.running.settings import LoopSettings
from mini_diffuser_ros.support.errors import UserError, one_line


class World(Protocol):
    """What a sentence needs of the place that it is obeyed in: eyes and an arm."""

    def look(self, settle_time: float) -> Cloud:
        """What is seen once the scene had ``settle_time`` seconds to come to rest, in the arm's base frame.

        A world of cameras fuses its images as the policy was trained: ``policy.fuse(views)``.
        """
        ...

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """Execute the first candidate that is safe, its gripper included; where none is, say why.

        Raises:
            UserError: motion failed on the way, which ends the sentence.
        """
        ...


def run_instruction(
    world: World,
    policy: DecidingPolicy,
    sentence: str,
    settings: LoopSettings | None = None,
    *,
    seed: int = 0,
    tell: Tell = lambda *_: None,
) -> RunResult:
    """Obey a sentence to its end, as policy_node does.

    Args:
        world: is looked at and moved.
        policy: decides.
        sentence: all that the policy is told.
        settings: of the loop; by default those of policy_node.
        seed: of the decisions' noise.
        tell: takes phase, number of the keyframe and a line of text, as the run goes on.

    Returns:
        How it ended, with every decision. What a person can mend, such as a motion that failed, is a FAILED run.
    """
    settings = settings or LoopSettings()
    run = InstructionRun(
        world.look,
        lambda cloud, noise: assess(policy, cloud, sentence, settings, noise),
        lambda candidates, _: world.move(candidates),
        tell,
        settings,
        seed,
        lambda assessment, unmoved: doubt_about(assessment, unmoved, settings),
        lambda end: judge_end(policy, sentence, end),
    )
    try:
        if refusal := unfamiliar(policy, sentence, settings):
            return run.result(Ending.UNFAMILIAR, refusal)
        return run.obey()
    except UserError as error:
        return run.result(Ending.FAILED, one_line(error))
