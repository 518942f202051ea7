"""Who is at a topic, as the graph tells."""

from __future__ import annotations

from rclpy.node import Node


def publishers_of(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish on a topic, once for each publisher; who was killed stays for a while."""
    infos = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos]


def subscribers_of(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that listen to a topic, once for each subscription."""
    infos = node.get_subscriptions_info_by_topic(node.resolve_topic_name(topic))
    return [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos]
