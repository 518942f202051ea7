"""Clouds of perception for motion to keep away from."""

from __future__ import annotations

from sensor_msgs.msg import PointCloud2

from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC, CloudSubscription, cloud_to_use
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.running.obstacle_watch import ObstacleWatch

CHECK_PERIOD = 0.1  # seconds between looks at the clouds' age


class ObstacleClouds:
    """Hands clouds to an :class:`ObstacleWatch`.

    Args:
        node: that listens.
        watch: takes the clouds.
        base_frame: in which clouds have to be.
    """

    def __init__(self, node: ManagedNode, watch: ObstacleWatch, base_frame: str) -> None:
        self._node, self._watch, self._base_frame = node, watch, base_frame
        # A look ahead may take longer than a cloud: the next one waits for it, and the newest of those counts.
        self._clouds = CloudSubscription(node, self._take)
        self._timer = steady_timer(node, CHECK_PERIOD, watch.check_age)

    def stranger(self) -> str:
        """Who publishes clouds besides perception_node, in one line; empty if nobody does."""
        return self._clouds.stranger()

    def _take(self, message: PointCloud2) -> None:
        try:
            cloud = cloud_to_use(message, self._node, self._base_frame, with_remembered=True)
            self._check_lateness(cloud)
        except MalformedMessageError as error:
            self._node.get_logger().warning(f"{CLOUD_TOPIC}: {error}", throttle_duration_sec=5.0)
            return
        self._watch.take(cloud)

    def _check_lateness(self, cloud: Cloud) -> None:
        """Whether a cloud shows what is there now.

        Raises:
            MalformedMessageError: if it does not.
        """
        late = ros_seconds(self._node) - cloud.stamp
        if late > self._watch.max_age:
            allowed = f"allowed are {self._watch.max_age:.1f} s (obstacles.max_cloud_age)"
            raise MalformedMessageError(f"a cloud came {late:.1f} s after what it shows, {allowed}")
