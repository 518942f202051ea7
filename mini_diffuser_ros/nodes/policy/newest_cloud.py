"""The newest cloud of perception, and waiting for one that shows the scene as it is now."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import PointCloud2

from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC, CloudSubscription, cloud_to_use
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.health import Health, HealthLevel, RecentValues
from mini_diffuser_ros.support.printable import printable

SPEAKS_WITHIN = 3.0  # seconds, after which perception is taken to be gone
STALE_AFTER = 2.0  # seconds without a cloud after which perception counts as silent


class NewestCloud:
    """Listens to perception, and keeps the newest cloud.

    Args:
        node: that listens.
        timeout: seconds that are waited for a cloud.
        notify: called when there is a new one.
    """

    def __init__(self, node: ManagedNode, timeout: float, notify: Callable[[], None]) -> None:
        self._node = node
        self._timeout = timeout
        self._notify = notify
        self._cloud: Cloud | None = None
        self._arrived: float | None = None
        self._problem = ""  # of the newest message
        self._ages = RecentValues()
        self._speaker = f"{node.get_namespace().rstrip('/')}/perception_node: fusion".lstrip("/")
        self._told: tuple[float, str] = (float("-inf"), "")  # what perception has last said, and when
        self._clouds = CloudSubscription(node, self._take)
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10, callback_group=group)

    def _take(self, message: PointCloud2) -> None:
        try:
            cloud = cloud_to_use(message, self._node)
        except MalformedMessageError as error:
            self._problem = f"{CLOUD_TOPIC}: {error}"
            self._node.get_logger().warning(self._problem, throttle_duration_sec=5.0)
            return
        self._cloud, self._arrived, self._problem = cloud, time.monotonic(), ""
        self._ages.add(1e3 * (ros_seconds(self._node) - cloud.stamp))
        self._notify()

    def is_fresh(self) -> bool:
        """Whether clouds arrive that can be decided on."""
        arrive = self._arrived is not None and self._node.awake.since(self._arrived) < STALE_AFTER
        return arrive and not self._clouds.stranger()

    def await_newer(self, token: CancellationToken, settle_time: float) -> Cloud:
        """A cloud whose every image was taken after now plus the settle time, seconds.

        Raises:
            NodeError: if none comes, or there are clouds of somebody else as well.
            InterruptionError: when the token is interrupted.
        """
        newer_than = ros_seconds(self._node) + settle_time

        def newer() -> Cloud | None:
            if stranger := self._clouds.stranger():
                raise NodeError(stranger)
            cloud = self._cloud
            return cloud if cloud is not None and cloud.stamp >= newer_than else None

        try:
            return token.wait_for(newer, self._timeout)
        except TimeoutError:
            what = "no cloud" if self._cloud is None else "no new cloud"
            raise NodeError(f"{what} on {CLOUD_TOPIC} within {self._timeout:.1f} s; {self._reason()}") from None

    def health(self) -> Health:
        """Age and rate of the clouds."""
        values: dict[str, float | str] = {"rate (Hz)": self._ages.rate(), **self._ages.summary("age on arrival", "ms")}
        if problem := self._clouds.stranger() or self._problem:
            return Health(HealthLevel.ERROR, problem, values)
        if self._arrived is None or self._cloud is None:
            return Health(HealthLevel.ERROR, f"no cloud on {CLOUD_TOPIC} yet", values)
        values["points"] = len(self._cloud)
        silence = self._node.awake.since(self._arrived)
        if silence >= STALE_AFTER:
            return Health(HealthLevel.ERROR, f"no cloud on {CLOUD_TOPIC} for {silence:.1f} s", values)
        if not self._clouds.is_vouched():
            return Health(HealthLevel.WARN, "clouds arrive, of a program that is no perception_node", values)
        return Health(HealthLevel.OK, "clouds arrive", values)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._speaker:
                self._told = (time.monotonic(), printable(status.message))

    def _reason(self) -> str:
        """Why there is no cloud, in perception's own words where it lives."""
        if self._problem:
            return self._problem
        if self.is_fresh() and self._cloud is not None:
            late = ros_seconds(self._node) - self._cloud.stamp
            return f"clouds come, the newest shows what was {late:.1f} s ago: are the machines' clocks synchronised?"
        told, words = self._told
        if self._node.awake.since(told) < SPEAKS_WITHIN:
            return f"perception_node says: {words}"
        return "perception_node says nothing; does it run? /diagnostics has the cameras"
