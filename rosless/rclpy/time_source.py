"""Feeds the clock of a node from /clock while `use_sim_time` is true."""

from __future__ import annotations

from typing import Any

from rosgraph_msgs.msg import Clock as ClockMessage
from rosless.errors import CodecError
from rosless.interfaces.messages import message_codec
from rosless.wire.session import Reader

from rclpy.clock import ROSClock
from rclpy.clock_type import ClockType
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy, dds_qos
from rclpy.time import Time

USE_SIM_TIME = "use_sim_time"
CLOCK_TOPIC = "/clock"


class TimeSource:
    """Attaches a ROS clock to /clock.  The clock moves even while the node's executor is busy."""

    def __init__(self, node: Any, clock: ROSClock) -> None:
        self._node, self._clock = node, clock
        self._codec = message_codec(ClockMessage)
        self._reader: Reader | None = None

    def attach(self) -> None:
        """Declare `use_sim_time` and follow it."""
        node = self._node
        if not node.has_parameter(USE_SIM_TIME):
            node.declare_parameter(USE_SIM_TIME, False)
        value = node.get_parameter(USE_SIM_TIME)
        if value.type_ is Parameter.Type.BOOL:
            self._follow(value.value)
        else:
            node.get_logger().error(f"Invalid type for parameter '{USE_SIM_TIME}' {value.type_} should be bool")

    def parameter_changed(self, parameter: Parameter) -> None:
        """Take over a new value of `use_sim_time`."""
        if parameter.name == USE_SIM_TIME and parameter.type_ is Parameter.Type.BOOL:
            self._follow(parameter.value)

    def _follow(self, simulated: bool) -> None:
        if simulated == (self._reader is not None):
            return
        node = self._node
        if simulated:
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._clock._set_ros_time_is_active(True)
            self._reader = node.context.session.reader(
                f"rt{CLOCK_TOPIC}",
                self._codec.name,
                dds_qos(qos, node._user_data(self._codec.name), False),
                self._heard,
            )
            node._announce([self._reader])
        else:
            self.detach()
            self._clock._set_ros_time_is_active(False)

    def _heard(self, data: bytes, info: Any) -> None:
        try:
            message = self._codec.decode(data)
        except CodecError:
            return
        self._clock.set_ros_time_override(Time.from_msg(message.clock, ClockType.ROS_TIME))

    def detach(self) -> None:
        """Let go of /clock."""
        if self._reader is not None:
            self._node._withdraw([self._reader])
            self._reader.close()
            self._reader = None
