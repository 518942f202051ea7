"""Signs of life between nodes of which there is to be one each: who is there, who is silent, who is there twice."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable

from mini_diffuser_msgs.msg import Heartbeat
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.support.printable import printable

TOPIC = "mini_diffuser/heartbeat"
PERIOD = 0.05  # seconds between two beats
SHOWN = 300  # characters of who beats
QUEUE = 10  # beats that may wait to be read
LOOKING = 1.0  # seconds that a node looks for another of its kind before it serves
NOTICED = 0.2  # seconds within which a silence that is too long is noticed
RIVAL_HELD = 1.0  # seconds after its last beat for which another one counts as there


class Heart:
    """Beats for a node, and sees to it that it is the only one of its kind.

    Known by beats, not by names in the graph, where who was killed stands for a while. A node that hears one that
    serves already ends with one line that names it. Of two that start at once, the one that drew the smaller number
    stays. Two that serve nevertheless, as one was held for a while, hear of each other by :meth:`rival`.

    Args:
        node: whose heart it is.
        kind: of the node, last part of the topic.
        fill: completes each beat.
    """

    def __init__(self, node: ManagedNode, kind: str, fill: Callable[[Heartbeat], None] = lambda _: None) -> None:
        self._node, self._kind, self._fill = node, kind, fill
        self._instance = random.SystemRandom().randrange(1, 2**63)
        self._sender = f"{node.get_fully_qualified_name()} (process {os.getpid()} on {socket.gethostname()})"
        self._began: float | None = None  # monotonic, of the first beat
        self._rival, self._rival_heard = "", -float("inf")
        self._gives_way = False  # to another one that was first
        topic = f"{TOPIC}/{kind}"
        self._publisher = node.create_publisher(Heartbeat, topic, QUEUE)
        node.create_subscription(
            Heartbeat, topic, self._on_beat, QUEUE, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._timer = steady_timer(node, PERIOD, self.beat)

    @property
    def instance(self) -> int:
        """Number that was drawn for the node."""
        return self._instance

    def beat(self) -> None:
        """Give a sign of life now."""
        if self._began is None:
            self._began = time.monotonic()
        message = Heartbeat(sender=self._sender, instance=self._instance, serving=self.is_serving())
        self._fill(message)
        self._publisher.publish(message)

    def is_serving(self) -> bool:
        """Whether the node has looked for another of its kind, and is the one."""
        return self._began is not None and not self._gives_way and time.monotonic() - self._began >= LOOKING

    def rival(self) -> str:
        """Another node of the kind that serves as well; empty if there is none."""
        return self._rival if time.monotonic() - self._rival_heard <= RIVAL_HELD else ""

    def _on_beat(self, message: Heartbeat) -> None:
        if message.instance == self._instance:
            return
        if self.is_serving():
            if message.serving:
                self._rival, self._rival_heard = printable(message.sender, SHOWN), time.monotonic()
        elif (message.serving or message.instance < self._instance) and not self._gives_way:
            self._gives_way = True
            sender = printable(message.sender, SHOWN)
            self._node.get_logger().fatal(
                f"there is a {self._kind} node already, {sender}: end it first, or choose another namespace"
            )
            self._node.finish(1)


class Listener:
    """Hears the beats of another node.

    Of several that beat, the first one counts, until it has been silent for so long that whoever listens has noticed:
    another one does not make up for it.

    Args:
        node: that listens.
        kind: of the node that beats.
        on_beat: called with each beat.
        patience: seconds of silence after which who listens acts; None for one that hears whoever beats.
        group: in which it is called; one of its own if left out.
    """

    def __init__(
        self,
        node: ManagedNode,
        kind: str,
        on_beat: Callable[[Heartbeat], None] = lambda _: None,
        patience: float | None = None,
        group: CallbackGroup | None = None,
    ) -> None:
        self._on_beat, self._awake, self._patience = on_beat, node.awake, patience
        self._heard, self._instance = -float("inf"), 0
        self._sender, self._rival, self._rival_heard = "", "", -float("inf")
        node.create_subscription(
            Heartbeat, f"{TOPIC}/{kind}", self._take, QUEUE, callback_group=group or MutuallyExclusiveCallbackGroup()
        )

    def silence(self) -> float:
        """Seconds since the last beat of one that serves, infinite if there was none.

        Those for which the listener itself stood still do not count: it has the beats of that time still to read.
        """
        return self._awake.since(self._heard)

    def heard(self) -> int:
        """Instance of the node that is heard; 0 if none is, or it has been silent for longer than the patience."""
        return self._instance if self._patience is not None and self.silence() <= self._patience else 0

    def rivals(self) -> str:
        """The two that beat, where there are two at once; empty if not."""
        there = time.monotonic() - self._rival_heard <= RIVAL_HELD
        return f"{self._sender} and {self._rival}" if there else ""

    def _take(self, message: Heartbeat) -> None:
        if not message.serving:
            return
        if message.instance != self._instance and self._patience is not None:
            if self.silence() < self._patience + NOTICED:
                self._rival, self._rival_heard = printable(message.sender, SHOWN), time.monotonic()
                return
            self._instance = message.instance
        self._sender, self._heard = printable(message.sender, SHOWN), time.monotonic()
        self._on_beat(message)


def key_of(goal_id: UUID) -> bytes:
    """The id of a goal as something to compare; all zeros stand for none."""
    return bytes(goal_id.uuid)
