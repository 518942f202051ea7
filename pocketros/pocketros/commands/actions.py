"""The verbs of `ros2 action`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import (
    ActionClient,
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node, NodeNameNonExistentError

from pocketros.commands import show
from pocketros.commands.session import (
    PATIENCE,
    absolute,
    as_yaml,
    cli_node,
    list_names,
    load_type,
    result_of,
    show_types,
    spin_for,
    spin_until,
    types_of,
)
from pocketros.errors import PocketrosError
from pocketros.interfaces.plain import fill
from pocketros.rcl_yaml import read_yaml

Options = argparse.Namespace


def action_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        list_names(get_action_names_and_types(node), True, options.show_types, options.count_actions)


def _types_of(node: Node, options: Options) -> list[str]:
    return types_of(node, options.action, partial(get_action_names_and_types, node), options.spin_time)


def action_type(options: Options) -> None:
    with cli_node() as node:
        show_types(options.action, "action", _types_of(node, options))


def action_info(options: Options) -> None:
    action = absolute(options.action)
    with cli_node() as node:
        if not _types_of(node, options):
            raise PocketrosError(f"unknown action '{action}'")
        show(f"Action: {action}")
        for label, names_of in (
            ("clients", get_action_client_names_and_types_by_node),
            ("servers", get_action_server_names_and_types_by_node),
        ):
            found = list(_nodes_with(node, action, names_of))
            show(f"Action {label}: {len(found)}")
            for name, kinds in () if options.count else found:
                show(f"    {name} [{', '.join(kinds)}]" if options.show_types else f"    {name}")


def _nodes_with(node: Node, action: str, names_of: Callable[..., Any]) -> Iterator[tuple[str, list[str]]]:
    for name, namespace in node.get_node_names_and_namespaces():
        with suppress(NodeNameNonExistentError):  # it has just ended
            if kinds := dict(names_of(node, name, namespace)).get(action):
                yield f"{namespace.rstrip('/')}/{name}", kinds


def action_send_goal(options: Options) -> None:
    kind = load_type(options.type, "action")
    goal = fill(kind.Goal(), read_yaml(options.values or "{}", texts=True))

    def shown(title: str, message: Any) -> None:
        show(f"{title}:\n    " + as_yaml(message).replace("\n", "\n    ") + "\n")

    on_feedback = (lambda message: shown("Feedback", message.feedback)) if options.feedback else None
    with cli_node() as node:
        client = ActionClient(node, kind, options.action)
        show("Waiting for an action server to become available...")
        if not spin_until(node, client.server_is_ready, options.timeout):
            raise PocketrosError(f"no action server '{options.action}' is available")
        shown("Sending goal", goal)
        handle = result_of(node, client.send_goal_async(goal, on_feedback), options.timeout)
        if not handle.accepted:
            show("Goal was rejected.")
            return
        try:
            show(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
            result = result_of(node, handle.get_result_async(), options.timeout)
        except BaseException:  # Ctrl-C too: nobody is left to wait for the goal
            show("Canceling goal...")
            canceled = result_of(node, handle.cancel_goal_async(), PATIENCE).goals_canceling
            show("Goal canceled." if canceled else "Failed to cancel goal")
            raise
        shown("Result", result.result)
        names = {value: name for name, value in vars(GoalStatus).items() if name.startswith("STATUS_")}
        show(f"Goal finished with status: {names[result.status].removeprefix('STATUS_')}")
