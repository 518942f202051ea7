"""`ros2 action`."""

from __future__ import annotations

import argparse
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient

from rosless.commands.session import (
    add_spin_time,
    as_yaml,
    cli_node,
    discover,
    load_type,
    parse_values,
    show,
    spin_until,
)
from rosless.errors import RoslessError
from rosless.interfaces.plain import fill

SUFFIX = "/_action/feedback"
STATUS_NAMES = {
    value: name.removeprefix("STATUS_") for name, value in vars(GoalStatus).items() if name.startswith("STATUS_")
}


def list_actions(options: argparse.Namespace) -> int:
    with cli_node() as node:
        discover(node, options.spin_time)
        topics = node.get_topic_names_and_types()
    for name, kinds in topics:
        if name.endswith(SUFFIX):
            types = [kind.removesuffix("_FeedbackMessage") for kind in kinds]
            show(
                f"{name.removesuffix(SUFFIX)} [{', '.join(types)}]" if options.show_types else name.removesuffix(SUFFIX)
            )
    return 0


def send_goal(options: argparse.Namespace) -> int:
    kind = load_type(options.type, "action")
    goal = fill(kind.Goal(), parse_values(options.goal))

    def heard(message: Any) -> None:
        show(f"Feedback:\n    {as_yaml(message.feedback)}\n".replace("\n", "\n    ").rstrip() + "\n")

    with cli_node() as node:
        client = ActionClient(node, kind, options.action)
        show("Waiting for an action server to become available...")
        if not client.wait_for_server(options.timeout):
            raise RoslessError(f"no action server '{options.action}' is available")
        show(f"Sending goal:\n     {as_yaml(goal)}\n")
        handle = None
        try:
            handle = spin_until(
                node, client.send_goal_async(goal, heard if options.feedback else None), options.timeout
            )
            if not handle.accepted:
                show("Goal was rejected.")
                return 1
            show(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
            result = spin_until(node, handle.get_result_async(), options.timeout)
        finally:
            client.destroy()
        show(f"Result:\n    {as_yaml(result.result)}\n".replace("\n", "\n    ").rstrip() + "\n")
        show(f"Goal finished with status: {STATUS_NAMES.get(result.status, result.status)}")
        return 0 if result.status == GoalStatus.STATUS_SUCCEEDED else 1
    return 130


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 action")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verb = verbs.add_parser("list", help="list the actions")
    verb.add_argument("-t", "--show-types", action="store_true")
    add_spin_time(verb)
    verb.set_defaults(run=list_actions)
    verb = verbs.add_parser("send_goal", help="send a goal and wait for its result")
    verb.add_argument("action")
    verb.add_argument("type")
    verb.add_argument("goal", nargs="?", default="{}")
    verb.add_argument("-f", "--feedback", action="store_true", help="print the feedback")
    verb.add_argument("--timeout", type=float, help="seconds to wait at most for each answer")
    verb.set_defaults(run=send_goal)
    options = parser.parse_args(words)
    return int(options.run(options))
