"""One episode read from end to end: what is wrong with it, and what there is to compare with others."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.checks.index import at_keyframe, doubled_cameras, robot_of_episode, stamp_faults
from mini_diffuser_ros.data.checks.keyframes import keyframe_faults, seen_at_tool, tool_by_joints, view_faults
from mini_diffuser_ros.data.checks.words import sentence_faults
from mini_diffuser_ros.data.episodes import StoredEpisode
from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.records import RLBENCH, TABLE, CameraView, Cloud, Keyframe
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sentences import MAX_TOKENS

Array = NDArray[np.float64]

_MOVED = 0.01  # metres from one keyframe to the next that a camera would have seen
_LATE = 1.0  # seconds between the stamps of a keyframe and of an image of it


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """What one camera was and saw at the K keyframes of an episode that it was there at.

    Attributes:
        name: of the camera.
        size: (height, width) of its images.
        intrinsics: (3, 3) at the first keyframe.
        poses: (K, 7) of the tool at these keyframes, by joint positions where there are such.
        base_from_camera: (K, 4, 4).
        depth_ratios: (K,) depth at the tool over that which pose and calibration give it; NaN where it is not seen.
    """

    name: str
    size: tuple[int, int]
    intrinsics: Array
    poses: Array
    base_from_camera: Array
    depth_ratios: Array


@dataclass(frozen=True, eq=False)
class Examined:
    """What became of the examination of an episode.

    Attributes:
        source: its name.
        faults: all that is wrong with it by itself.
        task: of the episode; empty if it could not be read.
        sentences: of the episode.
        frame: that its clouds are given in; empty if none could be made.
        robots: that it says it was made with.
        cameras: that it has images of which make a cloud.
        camera_names: of all that it has images of.
        grippers: states of the gripper that occur.
        contents: a number for what was seen at each keyframe, the same for the same images or the same cloud.
    """

    source: str
    faults: tuple[Fault, ...]
    task: str = ""
    sentences: tuple[str, ...] = ()
    frame: str = ""
    robots: tuple[str, ...] = ()
    cameras: tuple[CameraTrack, ...] = ()
    camera_names: tuple[str, ...] = ()
    grippers: frozenset[bool] = frozenset()
    contents: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class _Seen:
    """A keyframe whose images and cloud have been read."""

    keyframe: Keyframe
    views: tuple[CameraView, ...]
    cloud: Cloud


def examine(stored: StoredEpisode, max_tokens: int = MAX_TOKENS) -> Examined:
    """Read an episode from end to end."""
    try:
        episode = stored.read()
    except DataError as error:
        return Examined(stored.source, (replace(_unreadable(stored.source, error), episodes=(stored.source,)),))
    faults: list[Fault] = [*sentence_faults(episode.sentences, max_tokens)]
    facts: list[_Fact] = []
    names: dict[str, None] = {}
    contents: list[int] = []
    frame = ""
    for number, keyframe in enumerate(episode.keyframes):
        try:
            views = keyframe.views
        except DataError as error:
            faults.append(_unreadable(stored.source, error))
            continue
        names |= dict.fromkeys(view.name for view in views)
        try:
            cloud = keyframe.cloud
        except DataError as error:
            # What cannot be fused because a camera cannot be is said of the camera.
            of_views = [fault for view in views for fault in view_faults(view) if fault.is_error]
            faults += [at_keyframe(number, fault) for fault in of_views] or [_unreadable(stored.source, error)]
            contents += [_content(views)] if views else []
            continue
        frame = cloud.frame
        own = robot_of_episode(episode, frame)
        seen = _Seen(keyframe, views, cloud)
        faults += (at_keyframe(number, fault) for fault in _faults(seen, own))
        facts.append(_fact(seen, own))
        contents.append(_content(views, cloud))
    faults += stamp_faults([{"": fact.stamp, **{view.name: view.stamp for view in fact.views}} for fact in facts])
    faults += _camera_faults(facts)
    faults += _twin_faults(facts)
    if not {TABLE, RLBENCH}.intersection(episode.provenance.worlds):  # whose cameras have no noise
        faults += _still_faults(facts)
    return Examined(
        source=stored.source,
        faults=tuple(replace(fault, episodes=(stored.source,)) for fault in faults),
        task=episode.task,
        sentences=episode.sentences,
        frame=frame,
        robots=episode.provenance.robots,
        cameras=_tracks(facts),
        camera_names=tuple(names),
        grippers=frozenset(keyframe.gripper_open for keyframe in episode.keyframes),
        contents=tuple(contents),
    )


@dataclass(frozen=True, eq=False)
class _View:
    """What is kept of a view when its images are let go."""

    name: str
    stamp: float
    size: tuple[int, int]
    intrinsics: Array
    base_from_camera: Array
    depth_ratio: float
    picture: int
    measures: int


@dataclass(frozen=True, eq=False)
class _Fact:
    """What is kept of a keyframe when its images are let go."""

    stamp: float
    pose: Array
    views: tuple[_View, ...]


def _fact(seen: _Seen, robot: RobotDescription | None) -> _Fact:
    pose = np.asarray(seen.keyframe.pose, dtype=np.float64)
    measured = None if robot is None else tool_by_joints(seen.keyframe.joint_positions, robot)
    pose = pose if measured is None else pose_from_matrix(measured)
    views = tuple(_view(view, pose) for view in seen.views)
    return _Fact(seen.keyframe.stamp, pose, views)


def _content(views: Sequence[CameraView], cloud: Cloud | None = None) -> int:
    """A number for what was seen: the images, or the cloud where there are none."""
    arrays: list[NDArray[Any]] = [view.color for view in views] or (
        [] if cloud is None else [cloud.points, cloud.colors]
    )
    return hash(tuple(map(_checksum, arrays)))


def _view(view: CameraView, pose: Array) -> _View:
    height, width = view.depth.shape
    place = np.asarray(view.base_from_camera, dtype=np.float64)
    try:
        ratio = seen_at_tool(pose, view)
    except (np.linalg.LinAlgError, ValueError, OverflowError):  # of a pose or calibration that cannot be
        ratio = float("nan")
    intrinsics = np.asarray(view.intrinsics, dtype=np.float64)
    checksums = _checksum(view.color), _checksum(view.depth)
    return _View(view.name, view.stamp, (height, width), intrinsics, place, ratio, *checksums)


def _checksum(array: NDArray[np.generic]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data) if array.size else 0


def _faults(seen: _Seen, robot: RobotDescription | None) -> Iterator[Fault]:
    yield from keyframe_faults(seen.keyframe, seen.views, robot)
    if not len(seen.cloud):
        yield Fault("an empty cloud", "its cloud has no points in the workspace")
    for view in seen.views:
        late = view.stamp - seen.keyframe.stamp
        if abs(late) > _LATE:
            yield Fault(
                "an image of another time",
                f"camera {view.name}: its image is {late:{'+.2f' if abs(late) < 1e6 else '+.2g'}} s from the keyframe",
                is_error=False,
            )


def _camera_faults(facts: Sequence[_Fact]) -> Iterator[Fault]:
    """Cameras whose images change their size, and cameras that are not there at every keyframe."""
    for name, views in _by_camera(facts).items():
        there = [view for view in views if view is not None]
        if len(sizes := {view.size for view in there}) > 1:
            found = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            yield Fault("images of several sizes", f"camera {name} has images of {len(sizes)} sizes: {found}")
        if len(there) < len(views):
            problem = f"camera {name} has no image, but has of {len(there)} of {len(views)} keyframes"
            yield at_keyframe(views.index(None), Fault("a camera that comes and goes", problem, is_error=False))


def _twin_faults(facts: Sequence[_Fact]) -> Iterator[Fault]:
    """Cameras that are there twice, under one name or under two."""
    for number, fact in enumerate(facts):
        yield from doubled_cameras(number, [view.name for view in fact.views])
        for one, other in combinations(fact.views, 2):
            if one.name != other.name and (one.picture == other.picture or one.measures == other.measures):
                what = "picture" if one.picture == other.picture else "depth"
                problem = f"cameras {one.name} and {other.name} show the same {what}, bit for bit: is one the other's?"
                yield at_keyframe(number, Fault("one camera taken for two", problem))


def _still_faults(facts: Sequence[_Fact]) -> Iterator[Fault]:
    """Cameras that show the same while the arm moves."""
    moved = [np.linalg.norm(after.pose[:3] - before.pose[:3]) > _MOVED for before, after in pairwise(facts)]
    for name, views in _by_camera(facts).items():
        for number, (before, after) in enumerate(pairwise(views), 1):
            if before is not None and after is not None and before.picture == after.picture and moved[number - 1]:
                problem = f"camera {name} shows the picture of the keyframe before, bit for bit, and the arm has moved"
                yield at_keyframe(number, Fault("a picture that stands still", problem, is_error=False))


def _by_camera(facts: Sequence[_Fact]) -> dict[str, list[_View | None]]:
    """Camera to its view at each keyframe."""
    names = dict.fromkeys(view.name for fact in facts for view in fact.views)
    return {name: [next((v for v in fact.views if v.name == name), None) for fact in facts] for name in names}


def _tracks(facts: Sequence[_Fact]) -> tuple[CameraTrack, ...]:
    names = dict.fromkeys(view.name for fact in facts for view in fact.views)
    tracks = []
    for name in names:
        found = [(fact.pose, view) for fact in facts for view in fact.views if view.name == name]
        views = [view for _, view in found]
        tracks.append(
            CameraTrack(
                name=name,
                size=views[0].size,
                intrinsics=views[0].intrinsics,
                poses=np.stack([pose for pose, _ in found]),
                base_from_camera=np.stack([view.base_from_camera for view in views]),
                depth_ratios=np.array([view.depth_ratio for view in views]),
            )
        )
    return tuple(tracks)


def _unreadable(source: str, error: DataError) -> Fault:
    text = str(error)
    if isinstance(error, EpisodeFileError):
        text = text.removeprefix(f"{error.file}: ")
        source = str(error.file)
    return Fault("it cannot be read", f"{source}: {text}")
