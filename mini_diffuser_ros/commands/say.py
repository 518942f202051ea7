"""``mini-diffuser say``: send a sentence to the running stack, show its progress, return its outcome."""

from __future__ import annotations

import argparse
import sys
from typing import Any, TextIO

from mini_diffuser_msgs.action import ExecuteInstruction
from rclpy.action import ActionClient

from mini_diffuser_ros.commands.arguments import LONGEST_WAIT, namespace, number_between
from mini_diffuser_ros.commands.consent import ConsentTerminal
from mini_diffuser_ros.commands.interruptible import interruptible
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.ros.action_goal import carry_out, wait_for_server
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.outcomes import outcome_name
from mini_diffuser_ros.nodes.simulation.table_client import TableClient
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.printable import printable

Result = ExecuteInstruction.Result
CLEAR = "\x1b[K"  # what an earlier, longer line left behind
TABLE_PATIENCE = 1.0  # seconds to look for a simulated world; a real table is as it is


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if the policy ended its task, or a dry run was planned, 1 if not."""
    options = _parser().parse_args(arguments)
    with client_node("say", options.namespace, threads=3) as node:
        return _say(node, options)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("say", description=__doc__)
    parser.add_argument("sentence", help="e.g. 'press the blue button'")
    parser.add_argument(
        "--wait",
        type=number_between(0.0, LONGEST_WAIT),
        default=30.0,
        help="seconds to wait for the stack (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=number_between(1.0, LONGEST_WAIT),
        default=600.0,
        help="seconds for the task (default: %(default)s)",
    )
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the stack")
    return parser


def _say(node: Any, options: argparse.Namespace) -> int:
    client = ActionClient(node, ExecuteInstruction, "mini_diffuser/execute")
    table = TableClient(node)
    ConsentTerminal(node, sys.stdin)
    token = CancellationToken()

    def work() -> Any:
        wait_for_server(client, "mini_diffuser/execute", token, options.wait)
        if laid := table.prepare(options.sentence, token, TABLE_PATIENCE):
            sys.stdout.write(f"{printable(laid)}\n")
        goal, show = ExecuteInstruction.Goal(instruction=options.sentence), Progress(sys.stdout)
        name, timeout = "mini_diffuser/execute", options.timeout
        try:
            return carry_out(client, goal, token, name=name, timeout=timeout, on_feedback=show).result
        finally:
            show.end()

    try:
        result = interruptible(work, token, Result.CANCELED)
    except InterruptionError:
        sys.stdout.write("CANCELED\n")
        return 130
    line = f"{outcome_name(result.outcome)}: {result.message}, {result.keyframes} keyframes, {result.seconds:.1f} s"
    sys.stdout.write(f"{printable(line)}\n")
    return 0 if result.outcome in (Result.TERMINATED, Result.PLANNED) else 1


class Progress:
    """Writes a line for each new phase of a keyframe; on a terminal, where lines can be written over, how far it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: tuple[int, str] | None = None
        self._is_open = False  # the line, to be written over

    def __call__(self, feedback: ExecuteInstruction.Feedback) -> None:
        if feedback.phase == "moved":
            return  # the next look, or the outcome, says so
        now = (feedback.keyframe, feedback.phase)
        if now == self._shown and not self._is_open:
            return
        if now != self._shown:
            self.end()
        self._shown = now
        self._is_open = self._stream.isatty() and feedback.phase != "confirming"  # whose question follows
        line = printable(f"keyframe {feedback.keyframe}: {feedback.phase} {feedback.message}".rstrip())
        self._stream.write(f"\r{line}{CLEAR}" if self._is_open else f"{line}\n")
        self._stream.flush()

    def end(self) -> None:
        """What is written next begins a line."""
        if self._is_open:
            self._stream.write("\n")
        self._is_open = False
