"""Whether a simulation lives, and what comes of it: known by its signs of life and by who publishes."""

from __future__ import annotations

from mini_diffuser_msgs.msg import Heartbeat

from mini_diffuser_ros.nodes.ros.graph import publishers_of
from mini_diffuser_ros.nodes.ros.heartbeat import Listener
from mini_diffuser_ros.nodes.ros.process import ManagedNode

FRESH = 3.0  # seconds since the last sign of life of sim_node, on a busy machine as well


class SimulationWatch:
    """Listens to sim_node. Anybody may advertise its topics, as the playback of a recording does.

    Args:
        node: that listens.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._name = ""  # of sim_node
        self._sim = Listener(node, "sim", self._on_beat, FRESH)

    def is_there(self) -> bool:
        """Whether a simulation lives."""
        return self._sim.silence() <= FRESH

    def alone_publishes(self, topic: str) -> bool:
        """Whether a simulation lives, and it and nobody else publishes on a topic."""
        return self.is_there() and set(publishers_of(self._node, topic)) == {self._name}

    def _on_beat(self, beat: Heartbeat) -> None:
        self._name = beat.sender.partition(" (process ")[0]
