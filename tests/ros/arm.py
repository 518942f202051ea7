"""Keyframes to send and joint states to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from mini_diffuser_msgs.msg import KeyframeMode

from mini_diffuser_ros.nodes.ros.messages import pose_to_message

MOVE = "/mini_diffuser/move_to_keyframe"
# Tests share the processors with others, and a node that waits for one is no fault of the arm's.
PATIENCE = {"max_joint_age": 4.0, "guard_timeout": 4.0, "feedback_timeout": 4.0, "watch.lag": 2.0}
GUARD_PATIENCE = {"max_joint_age": 5.0, "motion_timeout": 5.0, "feedback_timeout": 5.0, "watch.lag": 3.0}
MOVING, RESTING = 0.05, 0.02  # rad/s


def keyframe(x: float, y: float, z: float, gripper_open: bool = True) -> KeyframeMode:
    """A keyframe whose gripper points straight down."""
    pose = pose_to_message(np.array([x, y, z, 1.0, 0.0, 0.0, 0.0]))
    return KeyframeMode(pose=pose, gripper_open=gripper_open, share=1.0)


LEFT, RIGHT = keyframe(0.45, 0.25, 0.3), keyframe(0.45, -0.25, 0.3)


def speed_of(state: Any) -> float:
    """Of the arm's fastest joint, rad/s."""
    return max(abs(v) for name, v in zip(state.name, state.velocity, strict=True) if "finger" not in name)


def is_moving(states: list[Any]) -> bool:
    """Whether the newest joint state shows motion."""
    return speed_of(states[-1]) > MOVING


def stays_at_rest(states: list[Any], count: int = 50) -> bool:
    """Whether none of the last joint states, a second of them, shows motion."""
    return all(speed_of(state) < RESTING for state in states[-count:])


def finger_width(states: list[Any]) -> float:
    """Metres between the fingers in the newest joint state."""
    state = states[-1]
    return float(sum(p for name, p in zip(state.name, state.position, strict=True) if "finger" in name))
