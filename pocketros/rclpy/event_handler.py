"""What happens when a publisher and a subscription offer and ask for incompatible QoS, or have different types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pocketros.errors import refuse

from rclpy.qos import INCOMPATIBLE_KINDS, QoSPolicyKind


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
        self._count = 0

    def _on_incompatible(self, topic: str, logger: Any, policy: int) -> None:
        """Tell of a counterpart whose policy (a DDS id) is incompatible."""
        if (kind := INCOMPATIBLE_KINDS.get(policy)) is None:
            return  # not a policy but the type, which is told of elsewhere
        self._count += 1
        if self.incompatible_qos is not None:
            self.incompatible_qos(QoSIncompatibleInfo(self._count, 1, kind))
        elif self.use_default_callbacks:
            logger.warning(
                f"New {self.met.format(topic)} incompatible QoS. "
                f"No messages will be {self.way} it. Last incompatible policy: {kind.name}"
            )


class PublisherEventCallbacks(EventCallbacks):
    met, way = "subscription discovered on topic '{}', requesting", "sent to"


class SubscriptionEventCallbacks(EventCallbacks):
    met, way = "publisher discovered on topic '{}', offering", "received from"
