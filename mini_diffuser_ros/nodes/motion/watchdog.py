"""The watchdog of the motion under way: joint states, the policy's heartbeat, signs of life for the client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Empty

from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.motion_goal import GoalProgress, Result
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.cancellation import CancellationToken

PERIOD = 0.05  # seconds between two looks
REPEAT_EVERY = 10  # looks between two signs of life


@dataclass(frozen=True)
class _Watched:
    """A goal that is looked after."""

    token: CancellationToken
    progress: GoalProgress
    has_heartbeat: bool


class MotionWatchdog:
    """Interrupts a motion when the joint states or the policy that asked for it fall silent.

    Args:
        node: that subscribes to the heartbeat.
        arm: moves.
        joints: joint states.
        client_timeout: seconds without the policy's heartbeat.
    """

    def __init__(self, node: Node, arm: ControllerClient, joints: JointStateMonitor, client_timeout: float) -> None:
        self._arm = arm
        self._joints = joints
        self._client_timeout = client_timeout
        self._heard: float | None = None  # when the last heartbeat was received
        self._watched: _Watched | None = None
        self._looks = 0
        node.create_subscription(
            Empty,
            "mini_diffuser/heartbeat",
            self._on_heartbeat,
            1,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        steady_timer(node, PERIOD, self._look)

    @contextmanager
    def watching(self, token: CancellationToken, progress: GoalProgress) -> Iterator[None]:
        """Around a motion."""
        # Goals from the command line have no heart to beat.
        self._watched = _Watched(token, progress, self._silence() < self._client_timeout)
        try:
            yield
        finally:
            self._watched = None

    def _on_heartbeat(self, _: Empty) -> None:
        self._heard = time.monotonic()

    def _silence(self) -> float:
        return float("inf") if self._heard is None else time.monotonic() - self._heard

    def _look(self) -> None:
        watched = self._watched
        if watched is None:
            return
        self._looks += 1
        if self._looks % REPEAT_EVERY == 0:
            watched.progress.repeat()
        try:
            if self._arm.is_busy():
                self._joints.positions()
        except StaleJointsError as error:
            watched.token.interrupt(Result.STALE, str(error))
        if watched.has_heartbeat and (silence := self._silence()) > self._client_timeout:
            watched.token.interrupt(Result.STALE, f"no heartbeat of the policy for {silence:.1f} s")
