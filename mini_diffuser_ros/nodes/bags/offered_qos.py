"""The QoS of a topic as rosbag2 writes it into a bag, and reads it when it plays one."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

IN_NUMBERS = ("humble", "iron")
"""Distributions whose rosbag2 writes and reads policies as the numbers of rmw; later ones have their names."""

_NUMBERS = {
    "keep_last": 1,
    "reliable": 1,
    "best_effort": 2,
    "transient_local": 1,
    "volatile": 2,
    "automatic": 1,
}
_FOR_EVER = "{sec: 9223372036, nsec: 854775807}"


def offered_qos(qos: QoSProfile, distribution: str = "") -> str:
    """YAML of ``offered_qos_profiles``: one publisher that offers what was asked for.

    Args:
        qos: of the subscription that recorded.
        distribution: of ROS 2 that will play it, as ``humble``.
    """
    reliability = "best_effort" if qos.reliability == ReliabilityPolicy.BEST_EFFORT else "reliable"
    durability = "transient_local" if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL else "volatile"

    def told(policy: str) -> str | int:
        return _NUMBERS[policy] if distribution in IN_NUMBERS else policy

    return (
        f"- history: {told('keep_last')}\n  depth: {qos.depth}\n"
        f"  reliability: {told(reliability)}\n  durability: {told(durability)}\n"
        f"  deadline: {_FOR_EVER}\n  lifespan: {_FOR_EVER}\n  liveliness: {told('automatic')}\n"
        f"  liveliness_lease_duration: {_FOR_EVER}\n  avoid_ros_namespace_conventions: false\n"
    )
