"""Which actions there are, and who serves and calls them."""

from __future__ import annotations

from typing import Any

NamesAndTypes = list[tuple[str, list[str]]]
FEEDBACK, MESSAGE = "/_action/feedback", "_FeedbackMessage"


def get_action_names_and_types(node: Any) -> NamesAndTypes:
    """All actions of the domain with their types."""
    return _actions(node.get_topic_names_and_types())


def get_action_client_names_and_types_by_node(
    node: Any, remote_node_name: str, remote_node_namespace: str
) -> NamesAndTypes:
    """The actions that a node calls.

    Raises:
        NodeNameNonExistentError: nothing is known of such a node.
    """
    return _actions(node.get_subscriber_names_and_types_by_node(remote_node_name, remote_node_namespace))


def get_action_server_names_and_types_by_node(
    node: Any, remote_node_name: str, remote_node_namespace: str
) -> NamesAndTypes:
    """The actions that a node serves.

    Raises:
        NodeNameNonExistentError: nothing is known of such a node.
    """
    return _actions(node.get_publisher_names_and_types_by_node(remote_node_name, remote_node_namespace))


def _actions(topics: NamesAndTypes) -> NamesAndTypes:
    return [
        (name.removesuffix(FEEDBACK), [kind.removesuffix(MESSAGE) for kind in kinds])
        for name, kinds in topics
        if name.endswith(FEEDBACK)
    ]
