"""``mini-diffuser bench ros-endings``: does the policy of a running stack know when it is done?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mini_diffuser_msgs.action import ExecuteInstruction
from mini_diffuser_msgs.srv import ResetWorld
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Bool

from mini_diffuser_ros.bench.arm_requests import result_of, until
from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.evaluation.episode_log import EpisodeLog, episode_log
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, TabletopTrial, tabletop_trials
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.outcomes import outcome_name
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.running.world_verdict import SUCCESS
from mini_diffuser_ros.simulation import TASKS
from mini_diffuser_ros.simulation.sentences import fill
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import from_mapping

DESCRIPTION = """Needs sim_node, perception_node, motion_node and policy_node. For each run the table is laid for a
held-out sentence, the sentence is sent, and when it has ended the world says whether its task is done. With --out the
runs are in a file as they end, and the same command goes on from there. Of several stacks, each in a ROS domain of its
own, each takes a part of the seeds. A stack that is stopped is asked nothing more: see why, resume it, and call the
command again. Exit code 1 if a run was TERMINATED and the world does not confirm it."""

STOPPED_BEFORE = "call mini_diffuser/resume first"
LONGEST = 300.0  # seconds of a run
SETTLING = 2.0  # seconds in which the world's judgement may come after a run's end


@dataclass(frozen=True, kw_only=True)
class RosEndingsSetting:
    """How often.

    Attributes:
        episodes: runs of each task.
        seed: of the first layout; each next run has the next.
        out: file of the runs that were made, from which an interrupted measurement goes on; empty for none.
    """

    episodes: int = at_least(1, 10)
    seed: int = at_least(0, 0)
    out: str = ""


@dataclass(frozen=True)
class RosEndingsRow:
    """A run; the message is the policy's of its end."""

    task: str
    seed: int
    outcome: str
    success: bool
    keyframes: int
    seconds: float
    message: str


class SentenceSender:
    """Lays tables, sends sentences and hears what becomes of them."""

    def __init__(self, node: Node) -> None:
        self._done: bool | None = None
        self._reset = node.create_client(ResetWorld, "sim/reset")
        self._goals = ActionClient(node, ExecuteInstruction, "mini_diffuser/execute")
        node.create_subscription(Bool, SUCCESS, self._on_success, LATCHED)

    def run(self, trial: TabletopTrial) -> RosEndingsRow:
        """One run."""
        until(self._reset.service_is_ready, "nobody serves sim/reset")
        until(self._goals.server_is_ready, "nobody serves mini_diffuser/execute")
        task = TASKS[trial.task]
        sentence = fill(trial.template, task.draw_slots(task.generator(trial.seed, "layout")))
        laid = result_of(
            self._reset.call_async(ResetWorld.Request(task=trial.task, instruction=sentence, seed=trial.seed))
        )
        if not laid.success:
            raise RuntimeError(laid.message)
        until(lambda: self._done is False, "the world does not say that its task is to be done")
        ended = self._obeyed(sentence)
        done_by = time.monotonic() + SETTLING
        while not self._done and time.monotonic() < done_by:
            time.sleep(0.02)
        outcome = outcome_name(ended.outcome)
        seconds = round(ended.seconds, 1)
        return RosEndingsRow(trial.task, trial.seed, outcome, bool(self._done), ended.keyframes, seconds, ended.message)

    def _obeyed(self, sentence: str) -> Any:
        handle = result_of(self._goals.send_goal_async(ExecuteInstruction.Goal(instruction=sentence)))
        if not handle.accepted:
            raise RuntimeError(f"policy_node does not accept '{sentence}'")
        return CancellationToken().result_of(handle.get_result_async(), LONGEST).result

    def _on_success(self, message: Bool) -> None:
        self._done = message.data


def measure_ros_endings(settings: Sequence[RosEndingsSetting]) -> Iterator[RosEndingsRow]:
    """A row for each run, those included that an earlier call left in the file."""
    with client_node("bench") as node:
        sender = SentenceSender(node)
        for setting in settings:
            protocol = TabletopProtocol(episodes=setting.episodes, seed=setting.seed)
            path = Path(setting.out) if setting.out else None
            with episode_log(path, {"benchmark": "ros-endings"}) as log:
                yield from made_runs(tabletop_trials("", protocol), sender.run, log)


def made_runs(
    trials: Iterable[TabletopTrial], run: Callable[[TabletopTrial], RosEndingsRow], log: EpisodeLog
) -> Iterator[RosEndingsRow]:
    """Rows of trials in their order: those in the log, and the others as they are run, which the log then has.

    Raises:
        UserError: the stack refuses a sentence because it was stopped before; that one is no run.
    """
    for trial in trials:
        key = f"{trial.task} {trial.seed} {trial.template}"
        if key not in log.records:
            row = run(trial)
            if not row.keyframes and STOPPED_BEFORE in row.message:
                raise UserError(f"{trial.task}, seed {trial.seed}: {row.message}, then this command again to go on")
            log.add(key, {"row": asdict(row), "failure": ""})
        yield from_mapping(RosEndingsRow, log.records[key]["row"], key, complete=True)


def confirmed(row: RosEndingsRow) -> bool:
    """Whether the world confirms what the policy says of the end."""
    return row.outcome != "TERMINATED" or row.success


BENCHMARK = Benchmark(RosEndingsSetting, measure_ros_endings, DESCRIPTION, confirmed)
