"""Transforms by frame and time, with interpolation."""

from __future__ import annotations

import math
import threading
import time as wall_time
from bisect import bisect_left
from typing import Any, NamedTuple

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time

from tf2_ros.pose import Pose, compose, interpolate, invert

NO_WAIT = Duration()
NORMALIZATION_TOLERANCE = 1e-2
LONGEST_WAIT = 0.02  # seconds between looks for a transform that is waited for

logger = get_logger("tf2_ros")

# ruff: noqa: N818 - the names are tf2's


class TransformException(Exception):
    """Base of what lookups raise."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Frames are not connected."""


class ExtrapolationException(TransformException):
    """The time is outside of what is known."""


class InvalidArgumentException(TransformException):
    """A frame name is malformed."""


class Sample(NamedTuple):
    """A transform to a parent at a time in nanoseconds."""

    stamp: int
    parent: str
    pose: Pose


class FrameCache:
    """The transforms of one frame to its parent, in the order of their time."""

    def __init__(self, static: bool, cache_time: int) -> None:
        self.static, self.cache_time = static, cache_time
        self.samples: list[Sample] = []

    def _position(self, stamp: int) -> tuple[int, bool]:
        """Where a stamp belongs, and whether there is a sample of just that time."""
        position = bisect_left(self.samples, stamp, key=lambda one: one.stamp)
        return position, position < len(self.samples) and self.samples[position].stamp == stamp

    def insert(self, sample: Sample) -> bool:
        """Keep a sample; False if it is older than the cache reaches."""
        if self.static or not self.samples:
            self.samples = [sample]
            return True
        horizon = max(self.samples[-1].stamp, sample.stamp) - self.cache_time
        position, exact = self._position(sample.stamp)
        if sample.stamp >= horizon:
            self.samples[position : position + exact] = [sample]
        del self.samples[: self._position(horizon)[0]]
        return sample.stamp >= horizon

    def at(self, stamp: int) -> Sample:
        """The sample of a time (0: the latest).

        Raises:
            ExtrapolationException: before the first or after the last one.
        """
        if self.static or stamp == 0:
            return self.samples[-1]
        position, exact = self._position(stamp)
        if exact:
            return self.samples[position]
        first, last, asked = self.samples[0].stamp / 1e9, self.samples[-1].stamp / 1e9, stamp / 1e9
        needs = "Lookup would require extrapolation"
        if len(self.samples) == 1:
            raise ExtrapolationException(f"{needs} at time {asked:.6f}, but only time {first:.6f} is in the buffer")
        if position in (0, len(self.samples)):
            where, edge = ("past", f"earliest data is at time {first:.6f}")
            if position:
                where, edge = ("future", f"latest data is at time {last:.6f}")
            raise ExtrapolationException(f"{needs} into the {where}.  Requested time {asked:.6f} but the {edge}")
        before, after = self.samples[position - 1], self.samples[position]
        if before.parent != after.parent:
            return before
        share = (stamp - before.stamp) / (after.stamp - before.stamp)
        return Sample(stamp, before.parent, interpolate(before.pose, after.pose, share))


class BufferCore:
    """Keeps transforms and answers lookups.

    Args:
        cache_time: how long transforms are kept (default 10 s).
    """

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._cache_time = (cache_time or Duration(seconds=10)).nanoseconds
        self._frames: dict[str, FrameCache] = {}
        self._parents: set[str] = set()
        self._changed = threading.Condition(threading.RLock())

    def set_transform(self, transform: Any, authority: str) -> None:
        """Keep a geometry_msgs/TransformStamped."""
        self._set(transform, authority, static=False)

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Keep a transform that holds at all times."""
        self._set(transform, authority, static=True)

    def _set(self, transform: Any, authority: str, static: bool) -> None:
        parent, child = transform.header.frame_id.removeprefix("/"), transform.child_frame_id.removeprefix("/")
        t, q, stamp = transform.transform.translation, transform.transform.rotation, transform.header.stamp
        pose = Pose((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        fault = None
        if not child or not parent or child == parent:
            fault = "TF_SELF_TRANSFORM, frame_id and child_frame_id must be given and differ"
        elif not all(map(math.isfinite, (*pose.translation, *pose.rotation))):
            fault = "TF_NAN_INPUT, a value is not finite"
        elif abs(math.hypot(*pose.rotation) ** 2 - 1.0) > NORMALIZATION_TOLERANCE:
            fault = f"TF_DENORMALIZED_QUATERNION, {pose.rotation}"
        else:
            with self._changed:
                cache = self._frames.get(child)
                if cache is None or cache.static != static:
                    cache = self._frames[child] = FrameCache(static, self._cache_time)
                self._parents.add(parent)
                if not cache.insert(Sample(stamp.sec * 10**9 + stamp.nanosec, parent, pose)):
                    fault = "TF_OLD_DATA, it is from the past"
                self._changed.notify_all()
        if fault is not None:
            what = f"ignoring transform from child_frame_id '{child}' to '{parent}' of authority '{authority}'"
            logger.error(f"{what}: {fault}", throttle_duration_sec=1.0)

    def clear(self) -> None:
        """Forget all transforms but the static ones."""
        with self._changed:
            self._frames = {name: cache for name, cache in self._frames.items() if cache.static}

    def _require(self, frame: str, role: str) -> None:
        fault = "cannot be empty" if not frame else "cannot start with a '/'"
        if not frame or frame.startswith("/"):
            raise InvalidArgumentException(
                f'Invalid argument "{frame}" passed to lookupTransform argument {role} - in tf2 frame_ids {fault}'
            )
        if frame not in self._frames and frame not in self._parents:
            raise LookupException(f'"{frame}" passed to lookupTransform argument {role} does not exist.')

    def _lookup(self, target: str, source: str, stamp: int) -> tuple[int, Pose]:
        """The time and target_from_source."""
        with self._changed:
            self._require(target, "target_frame")
            self._require(source, "source_frame")
            if target == source:
                return stamp, Pose()
            chains, faults = zip(*(self._chain(frame, stamp) for frame in (target, source)), strict=True)
            common = next((frame for frame in chains[0] if frame in chains[1]), None)
            if common is None and any(faults):
                fault = next(filter(None, faults))
                raise ExtrapolationException(
                    f"{fault}, when looking up transform from frame [{source}] to frame [{target}]"
                )
            if common is None:
                raise ConnectivityException(
                    f"Could not find a connection between '{target}' and '{source}' because they are not part of the "
                    "same tree. Tf has two or more unconnected trees."
                )
            if stamp == 0:
                between = (list(chain)[: list(chain).index(common)] for chain in chains)
                caches = [self._frames[frame] for frames in between for frame in frames]
                stamp = min((cache.samples[-1].stamp for cache in caches if not cache.static), default=0)
                if stamp:
                    return self._lookup(target, source, stamp)
            return stamp, compose(invert(chains[0][common]), chains[1][common])

    def _chain(self, frame: str, stamp: int) -> tuple[dict[str, Pose], ExtrapolationException | None]:
        """ancestor_from_frame for the frame and those above it, and what kept it from going further.

        Raises:
            LookupException: the frames are in a ring.
        """
        found = {frame: Pose()}
        while (cache := self._frames.get(frame)) is not None:
            try:
                sample = cache.at(stamp)
            except ExtrapolationException as error:
                return found, error
            if sample.parent in found:
                raise LookupException("The tf tree is invalid because it contains a loop.")
            found[sample.parent], frame = compose(sample.pose, found[frame]), sample.parent
        return found, None

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Any) -> Any:
        """target_from_source at a time, as geometry_msgs/TransformStamped; a zero time means the latest."""
        stamp, pose = self._lookup(target_frame, source_frame, _nanoseconds(time))
        message = TransformStamped(child_frame_id=source_frame)
        message.header.frame_id, message.header.stamp = target_frame, Time(nanoseconds=stamp).to_msg()
        t, q = message.transform.translation, message.transform.rotation
        t.x, t.y, t.z = pose.translation
        q.x, q.y, q.z, q.w = pose.rotation
        return message

    def can_transform_core(self, target_frame: str, source_frame: str, time: Any) -> tuple[bool, str]:
        """Whether a lookup would succeed, and if not, why."""
        try:
            self._lookup(target_frame, source_frame, _nanoseconds(time))
        except TransformException as error:
            return False, str(error)
        return True, ""


def _nanoseconds(time: Any) -> int:
    """Nanoseconds of an rclpy Time or a builtin_interfaces/Time."""
    return int(time.nanoseconds if hasattr(time, "nanoseconds") else time.sec * 10**9 + time.nanosec)


class Buffer(BufferCore):
    """A buffer whose lookups can wait, in another thread than that which spins the listener's node.

    Args:
        cache_time: how long transforms are kept (default 10 s).
        node: accepted for genuine's service of frames, which pocketros does not provide.
    """

    def __init__(self, cache_time: Duration | None = None, node: Any = None) -> None:
        super().__init__(cache_time)

    def lookup_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT) -> Any:
        """target_from_source at a time (zero: the latest), waiting up to `timeout` for it.

        Raises:
            LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Whether a lookup would succeed within `timeout`; with the reason why not, if asked."""
        end, what = wall_time.monotonic_ns() + timeout.nanoseconds, (target_frame, source_frame, time)
        with self._changed:
            while not (answer := self.can_transform_core(*what))[0] and wall_time.monotonic_ns() < end:
                self._changed.wait(LONGEST_WAIT)
        return answer if return_debug_tuple else answer[0]
