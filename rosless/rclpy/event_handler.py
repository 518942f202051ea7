"""What happens when a publisher and a subscription offer and ask for incompatible QoS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosless.errors import refuse

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

    text = type_text = ""

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
            kind = INCOMPATIBLE_KINDS.get(policy, QoSPolicyKind.INVALID)
            if self.incompatible_qos is not None:
                self.incompatible_qos(QoSIncompatibleInfo(self._count, 1, kind))
            elif self.use_default_callbacks:
                node.get_logger().warning(self.text.format(topic, kind.name))

        return report

    def _on_other_type(self, entity: Any) -> Callable[[str], None]:
        """The function that the DDS session calls with the type of a counterpart."""
        told: set[str] = set()

        def report(kind: str) -> None:
            if kind not in told:
                told.add(kind)
                own = entity.msg_type._definition.name
                entity._node.get_logger().warning(self.type_text.format(entity.topic, kind, own))

        return report


class PublisherEventCallbacks(EventCallbacks):
    type_text = (
        "Incompatible type on topic '{}': a subscription takes '{}', this publisher offers '{}'. "
        "No messages will be sent to it."
    )
    text = (
        "New subscription discovered on topic '{}', requesting incompatible QoS. No messages will be sent to it. "
        "Last incompatible policy: {}"
    )


class SubscriptionEventCallbacks(EventCallbacks):
    type_text = (
        "Incompatible type on topic '{}': a publisher offers '{}', this subscription takes '{}'. "
        "No messages will be received from it."
    )
    text = (
        "New publisher discovered on topic '{}', offering incompatible QoS. No messages will be received from it. "
        "Last incompatible policy: {}"
    )
