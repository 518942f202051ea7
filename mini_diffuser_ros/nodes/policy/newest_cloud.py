"""The newest cloud of perception, and waiting for one that shows the scene as it is now."""

from __future__ import annotations

import time

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError, cloud_from_message
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.health import Health, HealthLevel, RecentValues

TOPIC = "mini_diffuser/cloud"
STALE_AFTER = 2.0  # seconds without a cloud after which perception counts as silent


class NewestCloud:
    """Keeps the newest cloud.

    Args:
        node: whose clock the stamps are compared with.
        timeout: seconds that are waited for a cloud.
    """

    def __init__(self, node: Node, timeout: float) -> None:
        self._node = node
        self._timeout = timeout
        self._cloud: Cloud | None = None
        self._arrived: float | None = None
        self._ages = RecentValues()

    def take(self, message: PointCloud2) -> bool:
        """A new message; whether it holds a cloud."""
        try:
            self._cloud = cloud_from_message(message)
        except MalformedMessageError as error:
            self._node.get_logger().warning(f"{TOPIC}: {error}", throttle_duration_sec=5.0)
            return False
        self._arrived = time.monotonic()
        self._ages.add(1e3 * (self._now() - self._cloud.stamp))
        return True

    def is_fresh(self) -> bool:
        """Whether clouds arrive."""
        return self._arrived is not None and time.monotonic() - self._arrived < STALE_AFTER

    def await_newer(self, token: CancellationToken, settle_time: float) -> Cloud:
        """A cloud whose every image was taken after now plus the settle time, seconds.

        Raises:
            NodeError: if none comes.
            InterruptionError: when the token is interrupted.
        """
        newer_than = self._now() + settle_time

        def newer() -> Cloud | None:
            cloud = self._cloud
            return cloud if cloud is not None and cloud.stamp >= newer_than else None

        try:
            return token.wait_for(newer, self._timeout)
        except TimeoutError:
            what = "no cloud" if self._cloud is None else "no new cloud"
            raise NodeError(
                f"{what} on {TOPIC} within {self._timeout:.1f} s; see /diagnostics for the cameras"
            ) from None

    def health(self) -> Health:
        """Age and rate of the clouds."""
        values: dict[str, float | str] = {"rate (Hz)": self._ages.rate(), **self._ages.summary("age on arrival", "ms")}
        if self._arrived is None or self._cloud is None:
            return Health(HealthLevel.ERROR, f"no cloud on {TOPIC} yet", values)
        values["points"] = len(self._cloud)
        if not self.is_fresh():
            silence = time.monotonic() - self._arrived
            return Health(HealthLevel.ERROR, f"no cloud on {TOPIC} for {silence:.1f} s", values)
        return Health(HealthLevel.OK, "clouds arrive", values)

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) * 1e-9
