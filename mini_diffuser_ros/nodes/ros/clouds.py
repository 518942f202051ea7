"""The topic of perception's clouds, and which are not believed: by stamps, by where points are, by who sends them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import numpy as np
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from mini_diffuser_ros.nodes.ros.graph import publishers_of
from mini_diffuser_ros.nodes.ros.heartbeat import QUEUE, Listener
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError, cloud_from_message
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.sensing.vouched_clouds import VouchedClouds

CLOUD_TOPIC = "mini_diffuser/cloud"
SILENT_AFTER = 1.0  # seconds without perception's heartbeat after which another one may take its place
MAX_LEAD = 0.25  # seconds that a cloud may be stamped in the future; by its stamp it is known to be new

FARTHEST = 10.0  # metres from the robot's base; nothing that an arm could reach, or that its cameras look at


def check_metres(cloud: Cloud) -> None:
    """Refuse a cloud whose points lie where no arm is: in millimetres there is nothing in its way.

    Raises:
        MalformedMessageError: most of its points are that far away.
    """
    distance = float(np.median(np.linalg.norm(cloud.points, axis=1))) if len(cloud.points) else 0.0
    if distance > FARTHEST:
        raise MalformedMessageError(
            f"points of a cloud lie {distance:.1f} m from the robot (median), allowed are {FARTHEST:g} m: metres?"
        )


def check_lead(cloud: Cloud, node: Node) -> None:
    """Refuse a cloud that is stamped too far in the future of a node's clock.

    Raises:
        MalformedMessageError: it seems to show what is yet to come.
    """
    lead = cloud.stamp - ros_seconds(node)
    if lead > MAX_LEAD:
        raise MalformedMessageError(
            f"a cloud is stamped {lead:.2f} s in the future, allowed are {MAX_LEAD} s: synchronise the machines' clocks"
        )


def cloud_to_use(message: PointCloud2, node: Node, frame: str = "", *, with_remembered: bool = False) -> Cloud:
    """The cloud of a message, if nothing in it speaks against acting on it.

    Args:
        message: the cloud.
        node: whose clock it may not be ahead of.
        frame: in which it has to be; empty for any.
        with_remembered: whether points are wanted as well that it does not show, but earlier ones did.

    Raises:
        MalformedMessageError: it is no cloud, in another frame or unit, or of the future of the node's clock.
    """
    cloud = cloud_from_message(message, with_remembered=with_remembered)
    if frame and cloud.frame != frame:
        raise MalformedMessageError(f"in frame '{cloud.frame}', expected is the robot's '{frame}'")
    check_metres(cloud)
    check_lead(cloud, node)
    return cloud


def digest_of(message: PointCloud2) -> int:
    """64 bits by which perception and those who listen know a cloud: its points, stamp and frame."""
    stamp = message.header.stamp
    digest = hashlib.blake2b(f"{stamp.sec} {stamp.nanosec} {message.header.frame_id}".encode(), digest_size=8)
    digest.update(message.data)
    return int.from_bytes(digest.digest(), "little")


class CloudSubscription:
    """Hands on the clouds of perception_node, by its heartbeats, and notices when somebody else publishes some, too.

    Args:
        node: that listens.
        on_cloud: takes each; never called by two threads at once.
    """

    def __init__(self, node: ManagedNode, on_cloud: Callable[[PointCloud2], None]) -> None:
        self._node, self._on_cloud = node, on_cloud
        self._clouds: VouchedClouds[PointCloud2] = VouchedClouds(QUEUE)
        # One group: a cloud and the word about it are not looked at at once. The newest clouds count, should they wait.
        group = MutuallyExclusiveCallbackGroup()
        self._perception = Listener(node, "perception", self._on_beat, SILENT_AFTER, group)
        self._subscription = node.create_subscription(
            PointCloud2, CLOUD_TOPIC, self._take, qos_profile_sensor_data, callback_group=group
        )

    def is_vouched(self) -> bool:
        """Whether a perception_node vouches for the clouds; those of a program of one's own nobody does."""
        return self._clouds.is_bound

    def stranger(self) -> str:
        """Who else publishes clouds, in one line; empty if nobody does."""
        if rivals := self._perception.rivals():
            return f"two perception_nodes serve, {rivals}: end one of the two"
        if self._clouds.is_bound:
            if not self._clouds.has_stranger(time.monotonic()):
                return ""
            what = f"somebody besides perception_node publishes {CLOUD_TOPIC}"
        elif self._node.count_publishers(CLOUD_TOPIC) > 1:
            what = f"{CLOUD_TOPIC} is published more than once, and by no perception_node"
        else:
            return ""
        names = sorted(set(publishers_of(self._node, CLOUD_TOPIC)))
        return f"{what}; publishers are {', '.join(names) or 'not in the graph'}: end all but one"

    def _take(self, message: PointCloud2) -> None:
        usable = self._clouds.take(digest_of(message), message, time.monotonic())
        if usable is not None:
            self._on_cloud(usable)

    def _on_beat(self, beat: Heartbeat) -> None:
        usable = self._clouds.vouch(beat.clouds, time.monotonic())
        if usable is not None:
            self._on_cloud(usable)
