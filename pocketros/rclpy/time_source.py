"""Feeds the clock of a node from /clock while `use_sim_time` is true, even while the node's executor is busy."""

from __future__ import annotations

from typing import Any

from pocketros.errors import CodecError
from pocketros.interfaces.codec import decode
from pocketros.wire.native import Sample
from pocketros.wire.session import Reader
from rosgraph_msgs.msg import Clock as ClockMessage

from rclpy.clock import ROSClock
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy, dds_qos

USE_SIM_TIME = "use_sim_time"


class TimeSource:
    """Attaches a ROS clock to /clock as the parameter `use_sim_time` of its node says."""

    def __init__(self, node: Any, clock: ROSClock) -> None:
        self._node, self._clock = node, clock
        self._reader: Reader | None = None
        value = node.declare_parameter(USE_SIM_TIME, False) if not node.has_parameter(USE_SIM_TIME) else None
        self.parameter_changed(value or node.get_parameter(USE_SIM_TIME))

    def parameter_changed(self, parameter: Parameter) -> None:
        """Take over a new value of `use_sim_time`."""
        if parameter.name != USE_SIM_TIME or parameter.value is (self._reader is not None):
            return
        if not parameter.value:
            self.detach()
            self._clock._simulate(None)
            return
        self._clock._simulate(0)
        name, qos = ClockMessage._definition.name, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._reader = Reader(
            self._node.context.session, "rt/clock", name, dds_qos(qos, name, False), on_sample=self._heard
        )
        self._node._announce(added=[self._reader])

    def _heard(self, sample: Sample) -> None:
        try:
            stamp = decode(ClockMessage, sample.data).clock
        except CodecError:
            return
        self._clock._simulate(stamp.sec * 10**9 + stamp.nanosec)

    def detach(self) -> None:
        """Let go of /clock."""
        if self._reader is not None:
            self._node._announce(removed=[self._reader])
            self._reader.close()
            self._reader = None
