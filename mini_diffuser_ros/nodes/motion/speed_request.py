"""Asking motion_node for another speed."""

from __future__ import annotations

from mini_diffuser_msgs.srv import SetSpeed
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node

SET_SPEED = "mini_diffuser/set_speed"


def speed_client(node: Node, group: CallbackGroup | None = None) -> Client:
    """Client of the service, for a node that somebody spins."""
    return node.create_client(SetSpeed, SET_SPEED, callback_group=group)
