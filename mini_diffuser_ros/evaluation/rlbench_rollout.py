"""The published protocol of an RLBench episode: look, decide, move with retries, until the task is rewarded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.rlbench_world import RefusedMoveError, RlbenchWorld, Sight
from mini_diffuser_ros.evaluation.rollout import Decision, EpisodeResult
from mini_diffuser_ros.records import Cloud, KeyframeMode

NEAR = 0.05
"""Metres; a move that ends within this distance of its goal has arrived."""

NEAR_TO_GRIP = 0.02
"""Metres; the same where the gripper is going to open or close."""

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


@dataclass(frozen=True)
class RlbenchProtocol:
    """Everything besides the checkpoint that a success rate depends on; the defaults are the published ones.

    Attributes:
        world: always ``rlbench``.
        tasks: names of the tasks, in order of the report.
        episodes: episodes of each task.
        seed: episode i of every task is laid out with seed ``seed + i`` and has variation i, modulo their number; of
            decisions' noise too.
        demonstrations: directory of stored test demonstrations, raw RLBench layout, whose layouts are used instead.
        sentences: ``environment``, RLBench's own first one, or the name of a JSON file: task+variation to sentences.
        max_keyframes: an episode not rewarded after so many decisions has failed.
        max_tries: moves to the same keyframe before the next decision.
        samples: hypotheses a decision.
        steps: DDIM steps a decision.
        cameras: names of the cameras.
        image_size: width and height of their images, pixels.
    """

    world: str = "rlbench"
    tasks: tuple[str, ...] = PERACT_TASKS
    episodes: int = 25
    seed: int = 0
    demonstrations: str = ""
    sentences: str = "environment"
    max_keyframes: int = 25
    max_tries: int = 10
    samples: int = 64
    steps: int = 20
    cameras: tuple[str, ...] = ("left_shoulder", "right_shoulder", "wrist", "front")
    image_size: int = 256

    def __post_init__(self) -> None:
        for name in ("episodes", "max_keyframes", "max_tries", "samples", "steps", "image_size"):
            if getattr(self, name) < 1:
                raise EvaluationError(f"{name} is {getattr(self, name)}, expected at least 1")


class Decider(Protocol):
    """What of a policy an episode needs."""

    def decide(
        self, cloud: Cloud, sentence: str, samples: int = 64, steps: int = 20, seed: int = 0
    ) -> list[KeyframeMode]:
        """See :meth:`mini_diffuser_ros.policy.Policy.decide`."""


def roll_out_rlbench(
    policy: Decider, world: RlbenchWorld, task: str, seed: int, sentence: str, sight: Sight, protocol: RlbenchProtocol
) -> EpisodeResult:
    """Run the policy on a task that has been laid out, until a reward, the limit or a refusal of the simulator.

    As published, the policy's own termination signal is not obeyed: a reward at any time is a success.

    Args:
        policy: the checkpoint.
        world: laid out by its ``reset``.
        task: for the result.
        seed: of the decisions' noise.
        sentence: all that the policy is told.
        sight: what ``reset`` showed.
        protocol: limits, samples, DDIM steps.
    """
    decisions: list[Decision] = []
    outcome = "keyframe limit"
    for index in range(protocol.max_keyframes):
        started = time.perf_counter()
        try:
            modes = policy.decide(sight.cloud, sentence, protocol.samples, protocol.steps, seed + index)
        except ValueError as error:
            outcome = f"no decision: {error}"
            break
        decisions.append(Decision(time.perf_counter() - started, chooses_object=False, distance=None))
        try:
            sight = move(world, sight, modes[0].pose, modes[0].gripper_open, protocol.max_tries)
        except RefusedMoveError as refusal:
            outcome = f"the simulator refused: {refusal}"
            break
        if sight.reward == 1.0:
            outcome = "rewarded"
            break
    return EpisodeResult(task, seed, sentence, sight.reward == 1.0, outcome, tuple(decisions))


def move(world: RlbenchWorld, sight: Sight, pose: NDArray[np.floating], gripper_open: bool, max_tries: int) -> Sight:
    """Move with the gripper as it is, again while the goal is missed; once there, change the gripper if it has to.

    Args:
        world: where.
        sight: what was seen before.
        pose: (7,) goal, world frame.
        gripper_open: what the gripper is to be at the goal.
        max_tries: moves at most.

    Returns:
        what is seen at the end, or at the first reward.

    Raises:
        RefusedMoveError: if the simulator cannot carry out a move.
    """
    held = sight.gripper_open
    near = NEAR if gripper_open == held else NEAR_TO_GRIP
    for _ in range(max_tries):
        sight = world.step(pose, held)
        arrived = float(np.linalg.norm(sight.pose[:3] - pose[:3])) < near
        if arrived or sight.reward == 1.0:
            break
    if arrived and gripper_open != held and sight.reward != 1.0:
        sight = world.step(pose, gripper_open)
    return sight
