"""Which frames of a demonstration carry which decision, read off the motion alone.

A frame is a keyframe together with its action, the pose and gripper of the next keyframe. Nothing here knows a task:
what a frame is follows from where the action goes and from when the gripper changes.

* ``FIRST``: the first frame. Nothing but the sentence tells where to go.
* ``LATER``: a frame after a change of the gripper whose action travels more than :data:`TRAVEL` horizontally and leaves
  the gripper as it is, and which is not the last: the arm picks its next object, e.g. the block to put the held one
  on. Approaching, pressing, lifting, releasing and retreating are vertical and do not count; for a retreat that
  travels, the episode is over.
* ``GRASP``: a frame whose action closes the gripper.
* ``OTHER``: the rest, where the scene without the sentence tells what to do.

``FIRST`` and ``LATER`` are the decision frames, whose errors are reported apart: a mean over all frames looks fine
while the sentence is ignored.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

TRAVEL = 0.04
"""Metres; horizontal distance above which an action goes to another object, about the width of a small one."""


class FrameKind(Enum):
    """What the action of a frame decides; the values are the names used in reports."""

    FIRST = "first"
    LATER = "later"
    GRASP = "grasp"
    OTHER = "other"

    @property
    def decides_object(self) -> bool:
        """True if only the sentence tells which object the action goes to."""
        return self in (FrameKind.FIRST, FrameKind.LATER)


def frame_kinds(poses: NDArray[np.floating], gripper_open: NDArray[np.bool_]) -> list[FrameKind]:
    """The kind of each of the K - 1 frames of an episode.

    Args:
        poses: (K, 7) xyz + xyzw of the end effector at the keyframes, K >= 2.
        gripper_open: (K,) gripper at the keyframes.
    """
    travel = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)
    opens = np.asarray(gripper_open, dtype=bool)
    changed = opens[1:] != opens[:-1]
    kinds = []
    for t in range(len(poses) - 1):
        if t == 0:
            kinds.append(FrameKind.FIRST)
        elif changed[t] and not opens[t + 1]:
            kinds.append(FrameKind.GRASP)
        elif changed[:t].any() and not changed[t] and travel[t] > TRAVEL and t < len(poses) - 2:
            kinds.append(FrameKind.LATER)
        else:
            kinds.append(FrameKind.OTHER)
    return kinds
