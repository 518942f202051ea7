"""TF as matrices."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time as ClockTime
from tf2_ros import Buffer, ExtrapolationException, TransformException, TransformListener

from mini_diffuser_ros.nodes.ros.messages import matrix_from_transform
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.sensing.stamps import SetBackClock
from mini_diffuser_ros.support.errors import one_line


class FrameLookup:
    """Poses of frames at the time of a stamp.

    Args:
        node: that listens to /tf and /tf_static.
        timeout: seconds to wait for a transform of the wanted time.
    """

    def __init__(self, node: Node, timeout: float) -> None:
        self._timeout = timeout
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        self._clock = SetBackClock(lambda: ros_seconds(node))

    def parent_from_child(
        self, parent: str, child: str, stamp: Time, timeout: float | None = None
    ) -> NDArray[np.float64]:
        """(4, 4) pose of the frame ``child`` in ``parent`` at ``stamp``.

        Waits for a transform that is yet to come, not for a frame that nobody has ever published: every other camera
        would grow old meanwhile.

        Args:
            timeout: seconds to wait, if others than those of the whole lookup.

        Raises:
            NodeError: naming both frames, the time, what tf2 says and what to look at.
        """
        if not child:
            raise NodeError("images have no header.frame_id; it must name the camera's optical frame")
        _, was_set_back = self._clock.read()
        if was_set_back:
            self._buffer.clear()  # as tf2 does; it would refuse whatever comes as too old
        when = ClockTime.from_msg(stamp)
        patience = Duration(nanoseconds=round((self._timeout if timeout is None else max(timeout, 0.0)) * 1e9))
        try:
            try:
                transform = self._buffer.lookup_transform(parent, child, when)
            except ExtrapolationException:
                transform = self._buffer.lookup_transform(parent, child, when, patience)
        except TransformException as error:
            reason = one_line(error)
            raise NodeError(
                f"could not transform from '{child}' to '{parent}' at {stamp.sec}.{stamp.nanosec:09d}: {reason}; "
                f"is somebody publishing it? ros2 run tf2_ros tf2_echo {parent} {child}"
            ) from error
        return matrix_from_transform(transform.transform)
