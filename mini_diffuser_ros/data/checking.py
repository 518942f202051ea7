"""Every episode read from end to end, every fault named."""

from __future__ import annotations

import numpy as np

from mini_diffuser_ros.data.episodes import StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.records import Episode, Keyframe

_NORM_TOLERANCE = 1e-3


def episode_faults(stored: StoredEpisode) -> list[str]:
    """What is wrong with an episode, a line each; none if it can be trained on."""
    try:
        episode = stored.read()
    except DataError as error:
        return [str(error)]
    faults = []
    for number, keyframe in enumerate(episode.keyframes):
        try:
            faults += [f"{episode.source}: keyframe {number}: {fault}" for fault in _keyframe_faults(keyframe)]
        except DataError as error:
            faults.append(str(error))
    return faults or _size_faults(episode)


def _keyframe_faults(keyframe: Keyframe) -> list[str]:
    faults = []
    norm = float(np.linalg.norm(keyframe.pose[3:]))
    if not abs(norm - 1.0) <= _NORM_TOLERANCE:
        faults.append(f"quaternion of norm {norm:.4g}, expected 1")
    if not len(keyframe.cloud):
        faults.append("its cloud has no points in the workspace")
    return faults


def _size_faults(episode: Episode) -> list[str]:
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for keyframe in episode.keyframes:
        for view in keyframe.views:
            sizes.setdefault(view.name, set()).add(view.depth.shape)
    return [
        f"{episode.source}: camera {name} has images of {len(found)} sizes: {', '.join(map(str, sorted(found)))}"
        for name, found in sizes.items()
        if len(found) > 1
    ]
