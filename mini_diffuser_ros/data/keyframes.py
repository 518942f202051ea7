"""Which frames of a densely recorded demonstration are its keyframes: the rule of the RLBench literature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STOPPED_SPEED = 0.1
"""Radians a second: an arm none of whose joints is faster has stopped."""

_FRAMES_BETWEEN_STOPS = 4


def discover_keyframes(gripper_open: NDArray[np.floating], joint_velocities: NDArray[np.floating]) -> list[int]:
    """Numbers of the keyframes, the first frame included.

    A later frame is one if the gripper has just changed, if the arm stops there, or if it is the last. The arm stops
    where every joint is slow and the gripper is the same from two frames before to one after; after a stop, four
    frames must pass before the next. If the last two are neighbours, the earlier one is dropped.

    Args:
        gripper_open: (T,) state of the gripper, any two values.
        joint_velocities: (T, J) rad/s.
    """
    last = len(gripper_open) - 1
    slow = (np.abs(joint_velocities) <= STOPPED_SPEED).all(axis=1)
    found: list[int] = []
    pause = 0
    for frame in range(last + 1):
        # Frames before the first are, in the published rule, those counted from the end.
        around = [frame - 2, frame - 1, frame, frame + 1]
        stopped = pause <= 0 and bool(slow[frame]) and frame < last - 1 and len(set(gripper_open[around].tolist())) == 1
        pause = _FRAMES_BETWEEN_STOPS if stopped else pause - 1
        changed = frame > 0 and gripper_open[frame] != gripper_open[frame - 1]
        if frame > 0 and (changed or stopped or frame == last):
            found.append(frame)
    if len(found) > 1 and found[-1] - found[-2] == 1:
        del found[-2]
    return [0, *found]
