"""Whether the arm that a policy is about to move is a simulated one, known by who lives and who serves it."""

from __future__ import annotations

from mini_diffuser_msgs.msg import Heartbeat

from mini_diffuser_ros.nodes.recovery.robot_recovery import names_of_motion_node
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls
from mini_diffuser_ros.nodes.ros.graph import publishers_of
from mini_diffuser_ros.nodes.ros.heartbeat import Listener
from mini_diffuser_ros.nodes.ros.process import ManagedNode

FRESH = 1.0  # seconds since sim_node's last sign of life


class SimulatedArm:
    """Listens to sim_node, and asks who serves the action by which motion_node leads the arm.

    Anybody may advertise a topic, as the playback of a recording does, and a simulation may run beside a real arm.

    Args:
        node: that listens.
        calls: by which it asks motion_node.
    """

    def __init__(self, node: ManagedNode, calls: ServiceCalls) -> None:
        self._node, self._calls = node, calls
        self._name = ""  # of sim_node
        self._sim = Listener(node, "sim", self._on_beat, FRESH)

    def is_there(self) -> bool:
        """Whether a simulation lives."""
        return self._sim.silence() <= FRESH

    def is_led(self) -> bool:
        """Whether it is the simulation's arm that motion_node leads, whose action it alone serves.

        Without a motion_node nothing is led anywhere.
        """
        if not self.is_there():
            return False
        names = names_of_motion_node(self._node, self._calls)
        if names is None:
            return True
        return set(publishers_of(self._node, f"{names.arm_action}/_action/status")) == {self._name}

    def _on_beat(self, beat: Heartbeat) -> None:
        self._name = beat.sender.partition(" (process ")[0]
