"""Fills a buffer from /tf and /tf_static."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import BufferCore

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Listens to transforms.

    Args:
        spin_thread: whether to spin the node in a thread of its own.
    """

    def __init__(
        self,
        buffer: BufferCore,
        node: Any,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int = 100,
        static_qos: QoSProfile | int = LATCHED,
    ) -> None:
        self.buffer, self.node, self.group = buffer, node, ReentrantCallbackGroup()
        self.executor: SingleThreadedExecutor | None = None
        self.tf_sub = node.create_subscription(TFMessage, "/tf", self.callback, qos, callback_group=self.group)
        self.tf_static_sub = node.create_subscription(
            TFMessage, "/tf_static", self.static_callback, static_qos, callback_group=self.group
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = threading.Thread(target=self._spin, args=(self.executor,), daemon=True)
            self.dedicated_listener_thread.start()

    @staticmethod
    def _spin(executor: SingleThreadedExecutor) -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    def callback(self, data: Any) -> None:
        """Take in moving transforms."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: Any) -> None:
        """Take in static transforms."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")

    def unregister(self) -> None:
        """Listen no longer."""
        self.tf_sub.destroy()
        self.tf_static_sub.destroy()
        if self.executor is not None:
            self.executor.shutdown()
            self.dedicated_listener_thread.join()
