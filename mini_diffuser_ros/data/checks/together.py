"""What is wrong with episodes together, though each by itself may be well."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.checks.episode import CameraTrack, Examined
from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.checks.keyframes import tool_from_camera
from mini_diffuser_ros.perception.content import ContentConfig

Array = NDArray[np.float64]

FEW_EPISODES = 10
"""Of a task; fewer teach hardly more than themselves."""

BASE, HAND, NEITHER = "fixed to the base", "on the hand", "moved by neither"

_CONTENT = ContentConfig()
_HOLDS = {  # metres and radians between two calibrations of one camera that stays where it is
    BASE: (_CONTENT.fixed_moved_by, _CONTENT.fixed_turned_by),
    HAND: (_CONTENT.moved_by, _CONTENT.turned_by),
}
_HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # of the gripper about its own axis
_STILL = 0.01  # metres that a camera may move against what it is fixed to within one episode
_LEADS = 0.02  # metres that the arm has to move for that to be told
_ZOOMED = 0.01  # share of a focal length or a width between two calibrations of one lens
_UNLIKELY_DEPTH = 0.7, 1.4  # of what pose and calibration say, in the median of many keyframes
_LEAST_RATIOS = 10
_RARE = 0.1  # share of a task's episodes that differ from all others
_SHARED = 0.5  # share of an episode's keyframes that another one has too


def compare(episodes: Sequence[Examined]) -> Iterator[Fault]:
    """What is wrong with episodes that could be read, in the order that they were recorded in as far as names tell."""
    read = [episode for episode in episodes if episode.task]
    yield from _mixtures(read)
    yield from _camera_faults(read)
    copies = list(_copies(sorted(read, key=_has_errors)))  # of two that are the same the faultless one counts
    yield from copies
    yield from _task_faults(read, {name for fault in copies for name in fault.episodes})


def _mixtures(episodes: Sequence[Examined]) -> Iterator[Fault]:
    """Robots, frames, cameras and sizes that differ from one episode to another."""
    robots = {episode.source: " and ".join(episode.robots) for episode in episodes if episode.robots}
    frames = {episode.source: episode.frame for episode in episodes if episode.frame}
    # Of an episode that nothing could be read of, nobody knows which cameras it has.
    cameras = {episode.source: _names(episode) for episode in episodes if episode.camera_names or episode.frame}
    yield from _mixture("robots", robots, "one policy is of one robot: train on those of one", True)
    if len(set(robots.values())) <= 1:  # robots have frames of their own
        yield from _mixture("frames", frames, "poses of one are not poses of the other", True)
    yield from _mixture("sets of cameras", cameras, "their clouds show different sides of things", False)
    sizes: dict[str, dict[str, str]] = defaultdict(dict)
    for episode in episodes:
        for track in episode.cameras:
            sizes[track.name][episode.source] = f"{track.size[1]}x{track.size[0]}"
    for name, found in sizes.items():
        yield from _mixture(f"image sizes of camera {name}", found, "clouds differ in density", False)


def _has_errors(episode: Examined) -> bool:
    return any(fault.is_error for fault in episode.faults)


def _names(episode: Examined) -> str:
    return ", ".join(sorted(episode.camera_names)) or "clouds alone"


def _mixture(what: str, values: Mapping[str, str], why: str, is_error: bool) -> Iterator[Fault]:
    """Episode to a value that all should share: the episodes of the rarer ones are named."""
    counts = Counter(values.values())
    if len(counts) <= 1:
        return
    (common, _), *others = counts.most_common()
    named = "; ".join(f"{value} in {count}" for value, count in counts.most_common(4))
    rest = f"; {len(counts) - 4} more" if len(counts) > 4 else ""
    odd = tuple(source for source, value in values.items() if value != common)
    first = f"{others[0][0]} in {next(source for source, value in values.items() if value == others[0][0])}"
    yield Fault(f"several {what}", f"{len(counts)} {what}: {named}{rest} ({first}): {why}", is_error, odd)


@dataclass(frozen=True, eq=False)
class _Calibration:
    """Where a camera was in one episode: in the base frame, or in the tool's for a camera on the hand.

    ``lens`` is of its intrinsics (2, 3) in widths and heights of the image, the same for images of any size.
    """

    source: str
    place: Array
    lens: Array
    mount: str


def _camera_faults(episodes: Sequence[Examined]) -> Iterator[Fault]:
    names = dict.fromkeys(track.name for episode in episodes for track in episode.cameras)
    for name in names:
        tracks = [(e.source, track) for e in episodes for track in e.cameras if track.name == name]
        yield from _depth_faults(name, [track for _, track in tracks])
        mounts = {source: _mount(track) for source, track in tracks}
        yield from _mixture(
            f"mounts of camera {name}", {s: m for s, m in mounts.items() if m}, "it was put elsewhere", False
        )
        for kind in (BASE, HAND):
            found = [
                _Calibration(source, _placed(track, kind), _lens(track), kind)
                for source, track in tracks
                if mounts[source] == kind
            ]
            yield from _jumps(name, kind, found)


def _lens(track: CameraTrack) -> Array:
    height, width = track.size
    return np.asarray(track.intrinsics[:2] / np.array([[width], [height]]), dtype=np.float64)


def _mount(track: CameraTrack) -> str:
    """What a camera is fixed to, found out by what it moved with; empty if the arm has not moved enough to tell."""
    if not np.isfinite(track.base_from_camera).all():
        return ""
    in_base = _spread(track.base_from_camera)
    if np.ptp(track.poses[:, :3], axis=0).max() < _LEADS:
        return ""
    if in_base <= _STILL:
        return BASE
    return HAND if _spread(_in_tool(track)) <= max(2 * _STILL, 0.1 * in_base) else NEITHER


def _spread(places: Array) -> float:
    """Metres by which places (K, 4, 4) differ along the axis in which they differ most."""
    return float(np.ptp(places[:, :3, 3], axis=0).max()) if len(places) else 0.0


def _in_tool(track: CameraTrack) -> Array:
    """Poses (K, 4, 4) against the tool, which is the same turned by half a circle: as near to the first as can be."""
    try:
        places = [tool_from_camera(p, c) for p, c in zip(track.poses, track.base_from_camera, strict=True)]
    except ValueError:  # a pose that cannot be, which is a fault of its own
        return track.base_from_camera
    return np.stack([min(place, _HALF_TURN @ place, key=partial(_apart, places[0])) for place in places])


def _apart(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one - other))


def _placed(track: CameraTrack, mount: str) -> Array:
    return track.base_from_camera[0] if mount == BASE else _in_tool(track)[0]


def _jumps(camera: str, mount: str, found: Sequence[_Calibration]) -> Iterator[Fault]:
    """Calibrations that are not those of the episode before, and those that have drifted from the first."""
    against = "in the base frame" if mount == BASE else "against the hand"
    for what, verb, differs, why in (
        ("calibration", "jumps", _differs, "calibrated anew, or pushed?"),
        ("intrinsics", "jump", _zooms, "calibrated anew, zoomed, or another part of the image?"),
    ):
        jumps = []
        reference = found[0] if found else None
        for before, after in pairwise(found):
            assert reference is not None
            if told := differs(before, after) or differs(reference, after):
                jumps.append((before, after, told))
                reference = after
        if jumps:
            before, after, told = max(jumps, key=lambda jump: jump[2][0])
            yield Fault(
                f"{what} of camera {camera} that {verb}",
                f"camera {camera}: its {what} {verb} {f'{len(jumps)} times, ' if len(jumps) > 1 else ''}"
                f"{'at most ' if len(jumps) > 1 else ''}by {told[1]} "
                f"{against + ' ' if what == 'calibration' else ''}between {before.source} and {after.source}: {why}",
                is_error=False,
                episodes=tuple(jump[1].source for jump in jumps),
            )


def _differs(before: _Calibration, after: _Calibration) -> tuple[float, str] | None:
    """How much two places differ, in units of what is allowed and in words; None if they do not."""
    if after.mount == HAND and _apart(before.place, after.place) > _apart(before.place, _HALF_TURN @ after.place):
        after = replace(after, place=_HALF_TURN @ after.place)
    moved = float(np.linalg.norm(after.place[:3, 3] - before.place[:3, 3]))
    apart = float(np.linalg.norm(after.place[:3, :3] - before.place[:3, :3])) / np.sqrt(8.0)
    turned = 2.0 * float(np.arcsin(min(1.0, apart)))
    far, skew = _HOLDS[after.mount]
    if moved <= far and turned <= skew:
        return None
    return max(moved / far, turned / skew), f"{1000 * moved:.0f} mm and {np.degrees(turned):.1f} degrees"


def _zooms(before: _Calibration, after: _Calibration) -> tuple[float, str] | None:
    sizes = np.maximum(np.abs(np.diag(before.lens)), 1e-9)  # of the focal lengths
    share = float((np.abs(after.lens - before.lens) / sizes[:, None]).max())
    return None if share <= _ZOOMED else (share, f"{100 * share:.1f} % of the focal length")


def _depth_faults(camera: str, tracks: Sequence[CameraTrack]) -> Iterator[Fault]:
    """Depth that contradicts pose and calibration of the tool: another unit, another scale, another camera."""
    ratios = np.concatenate([track.depth_ratios for track in tracks]) if tracks else np.zeros(0)
    ratios = ratios[np.isfinite(ratios)]
    if len(ratios) < _LEAST_RATIOS:
        return
    median = float(np.median(ratios))
    if not _UNLIKELY_DEPTH[0] < median < _UNLIKELY_DEPTH[1]:
        yield Fault(
            "depth that contradicts the pose",
            f"camera {camera}: where pose and calibration say that the tool is, depth measures {median:.2f} times its "
            f"distance, in the median of {len(ratios)} keyframes: another unit, calibration or frame?",
            is_error=False,
        )


def _copies(episodes: Sequence[Examined]) -> Iterator[Fault]:
    """Episodes that show what another one shows, whatever they are called."""
    where: dict[int, list[int]] = defaultdict(list)
    for number, episode in enumerate(episodes):
        contents = set(episode.contents)
        shared = Counter(other for content in contents for other in where[content])
        for content in contents:
            where[content].append(number)
        for first, count in shared.most_common(1):
            if count > _SHARED * len(contents):
                what = "all" if count == len(contents) else f"{count} of {len(contents)}"
                yield Fault(
                    "the same episode twice",
                    f"{episode.source}: {what} of its keyframes show, bit for bit, what {episodes[first].source} shows",
                    is_error=False,
                    episodes=(episode.source,),
                )


def _task_faults(episodes: Sequence[Examined], copies: Set[str]) -> Iterator[Fault]:
    tasks: dict[str, list[Examined]] = defaultdict(list)
    for episode in episodes:
        tasks[episode.task].append(episode)
    for task, own in sorted(tasks.items()):
        first = (own[0].source,)
        good = [e for e in own if e.source not in copies and not _has_errors(e)]
        if len(own) < FEW_EPISODES or 0 < len(good) < FEW_EPISODES:
            of_all = f" ({len(own) - len(good)} more copied or with errors)" if len(good) < len(own) else ""
            problem = f"task {task} has {len(good)} episode{'s' * (len(good) != 1)}{of_all}, fewer than {FEW_EPISODES}"
            yield Fault("a task of few episodes", problem, False, first, task)
        sentences = {sentence for episode in own for sentence in episode.sentences}
        if len(sentences) == 1:
            problem = f"task {task} has one sentence, {min(sentences)!r:.60}: other words for it will not be known"
            yield Fault("a task of one sentence", problem, False, first, task)
        still = [episode for episode in own if len(episode.grippers) == 1]
        if 0 < len(still) <= _RARE * len(own):
            problem = f"task {task}: the gripper never changes in {len(still)} of {len(own)} episodes"
            yield Fault(
                "a gripper that never changes", problem, False, tuple(episode.source for episode in still), task
            )
