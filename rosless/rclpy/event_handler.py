"""What happens when a publisher and a subscription offer and ask for incompatible QoS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.qos import POLICY_NAMES


@dataclass
class QoSIncompatibleInfo:
    """Which policy was found incompatible last, by its DDS id."""

    total_count: int
    total_count_change: int
    last_policy_kind: int


QoSRequestedIncompatibleQoSInfo = QoSOfferedIncompatibleQoSInfo = QoSIncompatibleInfo


class _Callbacks:
    role = ""

    def __init__(
        self,
        *,
        incompatible_qos: Callable[[Any], None] | None = None,
        use_default_callbacks: bool = True,
        **others: Any,
    ) -> None:
        unknown = [name for name, callback in others.items() if callback is not None]
        if unknown:
            raise AttributeError(f"rosless does not provide the event callbacks {', '.join(sorted(unknown))}")
        self.incompatible_qos, self.use_default_callbacks = incompatible_qos, use_default_callbacks
        self._count = 0

    def _on_incompatible(self, node: Any, topic: str) -> Callable[[int], None]:
        """The function that the DDS session calls with the id of a policy."""

        def report(policy: int) -> None:
            self._count += 1
            if self.incompatible_qos is not None:
                self.incompatible_qos(QoSIncompatibleInfo(self._count, 1, policy))
            elif self.use_default_callbacks:
                node.get_logger().warning(self._text(topic, POLICY_NAMES.get(policy, f"{policy}")))

        return report

    def _text(self, topic: str, policy: str) -> str:
        raise NotImplementedError  # pragma: no cover - both subclasses define it


class PublisherEventCallbacks(_Callbacks):
    """Callbacks of a publisher's events."""

    def _text(self, topic: str, policy: str) -> str:
        return (
            f"New subscription discovered on topic '{topic}', requesting incompatible QoS. No messages will be "
            f"sent to it. Last incompatible policy: {policy}"
        )


class SubscriptionEventCallbacks(_Callbacks):
    """Callbacks of a subscription's events."""

    def _text(self, topic: str, policy: str) -> str:
        return (
            f"New publisher discovered on topic '{topic}', offering incompatible QoS. No messages will be "
            f"received from it. Last incompatible policy: {policy}"
        )
