"""What happens when a publisher and a subscription offer and ask for incompatible QoS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pocketros.errors import refuse

from rclpy.qos import QoSPolicyKind


@dataclass
class QoSIncompatibleInfo:
    """Which policy was found incompatible last, as a rclpy.qos.QoSPolicyKind."""

    total_count: int
    total_count_change: int
    last_policy_kind: QoSPolicyKind


QoSRequestedIncompatibleQoSInfo = QoSOfferedIncompatibleQoSInfo = QoSIncompatibleInfo


class EventCallbacks:
    """Callbacks of the events of a publisher or a subscription."""

    met, way = "", ""

    def __init__(
        self,
        *,
        incompatible_qos: Callable[[Any], None] | None = None,
        use_default_callbacks: bool = True,
        **others: Any,
    ) -> None:
        refuse(**others)
        self.incompatible_qos, self.use_default_callbacks = incompatible_qos, use_default_callbacks

    def _warning(self, topic: str, kind: QoSPolicyKind) -> str:
        """What the log says of a counterpart when there is no callback."""
        found = f"New {self.met.format(topic)} incompatible QoS."
        return f"{found} No messages will be {self.way} it. Last incompatible policy: {kind.name}"


class PublisherEventCallbacks(EventCallbacks):
    met, way = "subscription discovered on topic '{}', requesting", "sent to"


class SubscriptionEventCallbacks(EventCallbacks):
    met, way = "publisher discovered on topic '{}', offering", "received from"
