"""What happens when a publisher and a subscription offer and ask for incompatible QoS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosless.errors import refuse

from rclpy.qos import POLICY_NAMES


@dataclass
class QoSIncompatibleInfo:
    """Which policy was found incompatible last, by its DDS id."""

    total_count: int
    total_count_change: int
    last_policy_kind: int


QoSRequestedIncompatibleQoSInfo = QoSOfferedIncompatibleQoSInfo = QoSIncompatibleInfo


class EventCallbacks:
    """Callbacks of the events of a publisher or a subscription."""

    text = ""

    def __init__(
        self,
        *,
        incompatible_qos: Callable[[Any], None] | None = None,
        use_default_callbacks: bool = True,
        **others: Any,
    ) -> None:
        refuse(**others)
        self.incompatible_qos, self.use_default_callbacks = incompatible_qos, use_default_callbacks
        self._count = 0

    def _on_incompatible(self, node: Any, topic: str) -> Callable[[int], None]:
        """The function that the DDS session calls with the id of a policy."""

        def report(policy: int) -> None:
            self._count += 1
            if self.incompatible_qos is not None:
                self.incompatible_qos(QoSIncompatibleInfo(self._count, 1, policy))
            elif self.use_default_callbacks:
                node.get_logger().warning(self.text.format(topic, POLICY_NAMES.get(policy, policy)))

        return report


class PublisherEventCallbacks(EventCallbacks):
    text = (
        "New subscription discovered on topic '{}', requesting incompatible QoS. No messages will be sent to it. "
        "Last incompatible policy: {}"
    )


class SubscriptionEventCallbacks(EventCallbacks):
    text = (
        "New publisher discovered on topic '{}', offering incompatible QoS. No messages will be received from it. "
        "Last incompatible policy: {}"
    )
