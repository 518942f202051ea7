"""What benchmarks ask of motion_node, and how they wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.nodes.ros.messages import mode_to_message
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.support.cancellation import CancellationToken

TIMEOUT = 60.0  # seconds


def keyframe_at(place: Sequence[float], gripper_open: bool = True) -> Any:
    """Message of the keyframe with the tool at a place (3,), metres, pointing down."""
    pose = np.concatenate([place, top_down_quaternion(0.0)])
    return mode_to_message(KeyframeMode(pose, gripper_open, False, 1.0, 0.0))


def result_of(future: Any) -> Any:
    """Result of a future."""
    return CancellationToken().result_of(future, TIMEOUT)


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: ``otherwise`` says what did not come true.
    """
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.002)
