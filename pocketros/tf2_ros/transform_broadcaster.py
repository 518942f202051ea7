"""Broadcasters of transforms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformBroadcaster:
    """Publishes transforms on /tf."""

    def __init__(self, node: Any, qos: QoSProfile | int = 100) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf", qos)

    def sendTransform(self, transform: Any | Iterable[Any]) -> None:  # noqa: N802 - tf2's name
        """Publish a geometry_msgs/TransformStamped, or several."""
        self.pub_tf.publish(TFMessage(transforms=_as_list(transform)))


class StaticTransformBroadcaster:
    """Publishes transforms that never change on /tf_static; late joiners receive all of them."""

    def __init__(self, node: Any, qos: QoSProfile | int = LATCHED) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._sent: dict[str, Any] = {}

    def sendTransform(self, transform: Any | Iterable[Any]) -> None:  # noqa: N802
        """Publish a geometry_msgs/TransformStamped, or several, with those of earlier calls."""
        self._sent.update({one.child_frame_id: one for one in _as_list(transform)})
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))


def _as_list(transform: Any) -> list[Any]:
    return [transform] if isinstance(transform, TransformStamped) else list(transform)
