"""bag_node: each sentence that the stack obeys as one MCAP file, from which its decisions come out again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from action_msgs.msg import GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.msg import KeyframeModes, SpeedState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, JointState, PointCloud2
from std_msgs.msg import Bool, String
from tf2_msgs.msg import TFMessage

from mini_diffuser_ros.data.bags.mcap import DISTRIBUTION, Channel, require_mcap
from mini_diffuser_ros.data.bags.run_bags import Received, RunBags
from mini_diffuser_ros.data.task_names import task_of
from mini_diffuser_ros.nodes.bags.message_types import definition_of, type_name
from mini_diffuser_ros.nodes.bags.offered_qos import IN_NUMBERS, offered_qos
from mini_diffuser_ros.nodes.cameras.camera_topics import topics_of
from mini_diffuser_ros.nodes.cameras.image_transports import transports_from_parameters
from mini_diffuser_ros.nodes.recording.followed_run import (
    EXECUTIONS,
    INSTRUCTION,
    MOTIONS,
    FollowedRun,
    RunEvent,
    goals_of,
)
from mini_diffuser_ros.nodes.ros.cell_parameter import cameras_from, cell_from
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.heartbeat import Heart
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.running.world_verdict import JUDGED, SUCCESS

CLOSING_TIMEOUT = 4.0  # seconds that the end of the process waits for what is to be written
# As sensors publish, and more than what comes while a busy machine keeps this node waiting: half a second.
IMAGES = QoSProfile(depth=15, reliability=ReliabilityPolicy.BEST_EFFORT)
SENSORS = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
CLOUDS = QoSProfile(depth=30, reliability=ReliabilityPolicy.BEST_EFFORT)
STATES = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # of every broadcaster


class BagNode(ManagedNode):
    """Listens to all that a run is made of, as bytes, and to two topics for when it begins and ends."""

    threads = 2

    def __init__(self) -> None:
        super().__init__("bag_node")
        require_mcap()
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        cameras = cameras_from(parameters, cell, "names of the cameras to record")
        robot = parameters.text("robot", cell.robot if cell else "panda", "robot description, to be told in the bags")
        folder = Path(parameters.text("folder", "bags", "directory of the bags"))
        tail = parameters.number("tail", 2.0, "seconds after a run that still go into its bag", 0.0, 60.0)
        memory = parameters.integer("memory", 256, "MB that may wait for the disk before images are dropped", 1, 16384)
        self._exit_on_done = parameters.flag("exit_on_done", False, "end when the first run has been written")
        color, depth = transports_from_parameters(parameters)
        about = {
            "cameras": ",".join(cameras),
            "robot": robot,
            "color_transport": color.suffix,
            "depth_transport": depth.suffix,
        }
        self._distribution = os.environ.get("ROS_DISTRO", "")
        if self._distribution in IN_NUMBERS:
            about[DISTRIBUTION] = self._distribution
        self._bags = RunBags(folder, about, tail, memory * 1_000_000, self._tell)
        self._run = FollowedRun()
        # One group: what comes first is written first.
        self._group = MutuallyExclusiveCallbackGroup()
        for name in cameras:
            kinds = (color.message, depth.message, CameraInfo)
            for kind, topic in zip(kinds, topics_of(name, (color, depth)), strict=True):
                self._record(kind, topic, IMAGES)
        for kind, topic, qos in (
            (JointState, "joint_states", SENSORS),
            (PointCloud2, CLOUD_TOPIC, CLOUDS),
            (TFMessage, "/tf", QoSProfile(depth=500)),
            (TFMessage, "/tf_static", STATES),
            (KeyframeModes, "mini_diffuser/modes", QoSProfile(depth=10)),
            (GoalStatusArray, MOTIONS, LATCHED),
            (SpeedState, "mini_diffuser/speed_state", LATCHED),
            (String, "sim/task", LATCHED),
            (String, JUDGED, LATCHED),
            (Bool, SUCCESS, LATCHED),
            (DiagnosticArray, "/diagnostics", QoSProfile(depth=10)),
        ):
            self._record(kind, topic, qos)
        # Volatile: a sentence that was obeyed before this node came has half a run at best.
        self._record(String, INSTRUCTION, QoSProfile(depth=10), self._on_instruction)
        self._record(GoalStatusArray, EXECUTIONS, LATCHED, self._on_executions)
        self._heart = Heart(self, "bag")
        Diagnostics(self, "disk").add("bag", self._bags.health)
        self.get_logger().info(f"each run goes into a bag in {folder}")

    def close(self) -> None:
        """Write what is there; the bag of a run under way ends here."""
        self._bags.close(CLOSING_TIMEOUT)

    def _record(self, kind: Any, topic: str, qos: QoSProfile, before: Callable[[bytes], None] = lambda _: None) -> None:
        """Have a topic recorded; ``before`` is called with each of its messages before that is taken."""
        name = self.resolve_topic_name(topic)
        channel = Channel(name, type_name(kind), definition_of(kind), offered_qos(qos, self._distribution))
        is_state = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL

        def take(data: bytes) -> None:
            before(data)
            self._bags.take(Received(channel, data, self.get_clock().now().nanoseconds, is_state))

        self.create_subscription(kind, topic, take, qos, callback_group=self._group, raw=True)

    def _on_instruction(self, data: bytes) -> None:
        sentence = deserialize_message(data, String).data
        self._follow(self._run.instructed(sentence))

    def _on_executions(self, data: bytes) -> None:
        self._follow(self._run.executions(goals_of(deserialize_message(data, GoalStatusArray))))

    def _follow(self, events: list[RunEvent]) -> None:
        for event in events:
            if event == RunEvent.STARTED:
                self._bags.begin(task_of(self._run.sentence))
            else:
                self._bags.end()

    def _tell(self, line: str) -> None:
        self.get_logger().info(line)
        if self._exit_on_done:
            self.finish()


def main() -> NoReturn:
    """Entry point of the executable ``bag_node``."""
    run_node(BagNode)


if __name__ == "__main__":
    main()
