"""A digest over what an episode is, whatever file it came from: what went out is known when it comes back."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from mini_diffuser_ros.data.formats.images import depth_steps
from mini_diffuser_ros.records import CameraView, Episode, Keyframe


class ContentDigest:
    """A digest that grows by a keyframe at a time, over all that training or a person can see of an episode.

    Args:
        episode: its task, sentences and world count; its ``source`` does not: it is a name.
        robot: name of the robot description whose points are taken out of the clouds; None for none.
        frame: of poses and views.
    """

    def __init__(self, episode: Episode, robot: str | None, frame: str) -> None:
        # Which robots and cameras there are is added to the world when an episode is written.
        world = (episode.provenance.worlds, episode.provenance.cells)
        about = (episode.task, episode.variation, episode.sentences, world, robot, frame)
        self._digest = hashlib.sha256(json.dumps(about).encode())

    def add(self, keyframe: Keyframe, views: tuple[CameraView, ...]) -> str:
        """Add the next keyframe with its images.

        Returns:
            hexadecimal digest of the episode up to here.
        """
        self._digest.update(json.dumps(_measured(keyframe)).encode())
        for view in views:
            self._digest.update(json.dumps(_calibrated(view)).encode())
            self._digest.update(view.color.tobytes())
            self._digest.update(depth_steps(view.depth).astype("<u2").tobytes())
        return self._digest.hexdigest()


def _measured(keyframe: Keyframe) -> tuple[object, ...]:
    pose = np.asarray(keyframe.pose, dtype=np.float64).tolist()
    joints = sorted((name, float(value)) for name, value in keyframe.joint_positions.items())
    return pose, bool(keyframe.gripper_open), float(keyframe.stamp), joints


def _calibrated(view: CameraView) -> tuple[object, ...]:
    lens = (view.distortion.model, view.distortion.coefficients) if view.distortion.bends else None
    matrices = [np.asarray(matrix, dtype=np.float64).tolist() for matrix in (view.intrinsics, view.base_from_camera)]
    return view.name, float(view.stamp), matrices, lens, view.color.shape, view.depth.shape
