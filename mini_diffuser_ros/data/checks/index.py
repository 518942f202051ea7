"""What can be wrong with an episode as far as it tells without its images: what is looked at before each training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.checks.keyframes import calibration_faults, keyframe_faults
from mini_diffuser_ros.data.checks.words import sentence_faults
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.robots import RobotDescription, robot_of_data
from mini_diffuser_ros.sentences import MAX_TOKENS


def index_faults(episode: Episode, max_tokens: int = MAX_TOKENS) -> Iterator[Fault]:
    """What is wrong with sentences, poses, joint positions, stamps and calibrations; no image is read."""
    yield from sentence_faults(episode.sentences, max_tokens)
    robot = robot_of_episode(episode, episode.frame)
    for number, keyframe in enumerate(episode.keyframes):
        yield from (at_keyframe(number, fault) for fault in keyframe_faults(keyframe, (), robot))
        cameras = keyframe.calibrations
        for camera in cameras:
            found = calibration_faults(
                camera.name, np.asarray(camera.intrinsics), np.asarray(camera.base_from_camera), None
            )
            yield from (at_keyframe(number, fault) for fault in found)
        yield from doubled_cameras(number, [camera.name for camera in cameras])
    yield from stamp_faults(
        [{"": one.stamp, **{camera.name: camera.stamp for camera in one.calibrations}} for one in episode.keyframes]
    )


def robot_of_episode(episode: Episode, frame: str) -> RobotDescription | None:
    """The robot that an episode says it was made with, if it is one that is known here and ``frame`` is its base's.

    What is given in another frame, such as a simulator's world, says nothing of its reach.
    """
    try:
        [name] = episode.provenance.robots
        robot = robot_of_data(name)
    except ValueError:  # several, none, or one that is not known here
        return None
    return robot if robot.base_frame == frame else None


def stamp_faults(stamps: Sequence[Mapping[str, float]]) -> Iterator[Fault]:
    """Times that do not go on from one keyframe to the next.

    Args:
        stamps: of each keyframe, seconds: its own under ``""``, those of its cameras' images under their names.
    """
    last: dict[str, float] = {}
    for number, those in enumerate(stamps):
        for name, stamp in those.items():
            whose = f"camera {name}: its stamp" if name else "its stamp"
            step = stamp - last.get(name, -float("inf"))
            last[name] = stamp
            if step < 0.0:
                problem = f"{whose} is {-step:.3f} s before that of the keyframe before: are the keyframes in order?"
                yield at_keyframe(number, Fault("stamps that run backwards", problem))
            elif step == 0.0:
                problem = f"{whose} is that of the keyframe before: what gives the time?"
                yield at_keyframe(number, Fault("stamps that stand still", problem, is_error=not name))


def doubled_cameras(number: int, names: Sequence[str]) -> Iterator[Fault]:
    """Cameras of a keyframe that are there more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            yield at_keyframe(number, Fault("one camera taken for two", f"camera {name} is there twice"))


def at_keyframe(number: int, fault: Fault) -> Fault:
    """The fault, of which keyframe."""
    return replace(fault, problem=f"keyframe {number}: {fault.problem}")
