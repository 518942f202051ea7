"""TF as matrices."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time as ClockTime
from tf2_ros import Buffer, TransformException, TransformListener

from mini_diffuser_ros.nodes.errors import NodeError
from mini_diffuser_ros.nodes.messages import matrix_from_transform


class FrameLookup:
    """Poses of frames at the time of a stamp.

    Args:
        node: that listens to /tf and /tf_static.
        timeout: seconds to wait for a transform of the wanted time.
    """

    def __init__(self, node: Node, timeout: float) -> None:
        self._timeout = Duration(nanoseconds=round(timeout * 1e9))
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def parent_from_child(self, parent: str, child: str, stamp: Time) -> NDArray[np.float64]:
        """(4, 4) pose of the frame ``child`` in ``parent`` at ``stamp``.

        Raises:
            NodeError: naming both frames and what tf2 says.
        """
        try:
            transform = self._buffer.lookup_transform(parent, child, ClockTime.from_msg(stamp), self._timeout)
        except TransformException as error:
            raise NodeError(f"no transform from {child} to {parent}: {error}") from error
        return matrix_from_transform(transform.transform)
