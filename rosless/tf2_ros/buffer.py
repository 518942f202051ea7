"""Transforms by frame and time, with interpolation."""

from __future__ import annotations

import math
import threading
import time as wall_time
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any, NamedTuple

import rclpy.logging
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.task import Future
from rclpy.time import Time

DEFAULT_CACHE_TIME = Duration(seconds=10)
NO_WAIT = Duration()
NORMALIZATION_TOLERANCE = 1e-2
POLL = 0.02

logger = rclpy.logging.get_logger("tf2_ros")

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]  # x y z w


class TransformException(Exception):  # noqa: N818 - tf2's names
    """Base of what lookups raise."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Frames are not connected."""


class ExtrapolationException(TransformException):
    """The time is outside of what is known."""


class InvalidArgumentException(TransformException):
    """A frame name or a transform is malformed."""


class TimeoutException(TransformException):
    """The time to wait is over."""


class TypeException(TransformException):
    """No conversion is known for a type."""


class Pose(NamedTuple):
    """parent_from_child: translation in metres and rotation."""

    translation: Vector
    rotation: Quaternion


IDENTITY = Pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """The product of two quaternions."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(q: Quaternion, v: Vector) -> Vector:
    """A vector rotated by a unit quaternion."""
    x, y, z, w = q
    # t = 2 q x v;  v' = v + w t + q x t
    tx, ty, tz = 2 * (y * v[2] - z * v[1]), 2 * (z * v[0] - x * v[2]), 2 * (x * v[1] - y * v[0])
    return (v[0] + w * tx + y * tz - z * ty, v[1] + w * ty + z * tx - x * tz, v[2] + w * tz + x * ty - y * tx)


def compose(a: Pose, b: Pose) -> Pose:
    """a_from_c from a_from_b and b_from_c."""
    moved = rotate(a.rotation, b.translation)
    return Pose(
        (a.translation[0] + moved[0], a.translation[1] + moved[1], a.translation[2] + moved[2]),
        multiply(a.rotation, b.rotation),
    )


def invert(a: Pose) -> Pose:
    """b_from_a from a_from_b."""
    x, y, z, w = a.rotation
    back = (-x, -y, -z, w)
    moved = rotate(back, a.translation)
    return Pose((-moved[0], -moved[1], -moved[2]), back)


def interpolate(a: Pose, b: Pose, share: float) -> Pose:
    """Between a (share 0) and b (share 1): linear translation, spherical linear rotation."""
    translation = tuple(p + share * (q - p) for p, q in zip(a.translation, b.translation, strict=True))
    dot = sum(p * q for p, q in zip(a.rotation, b.rotation, strict=True))
    sign, dot = (-1.0, -dot) if dot < 0 else (1.0, dot)
    if dot > 0.9995:
        from_a, from_b = 1 - share, share
    else:
        angle = math.acos(dot)
        from_a, from_b = math.sin((1 - share) * angle) / math.sin(angle), math.sin(share * angle) / math.sin(angle)
    mixed = [from_a * p + sign * from_b * q for p, q in zip(a.rotation, b.rotation, strict=True)]
    norm = math.sqrt(sum(value * value for value in mixed))
    return Pose(translation, tuple(value / norm for value in mixed))  # type: ignore[arg-type]


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

    def insert(self, sample: Sample) -> bool:
        """Keep a sample; False if it is older than the cache reaches."""
        if self.static:
            self.samples = [sample]
            return True
        if self.samples and sample.stamp < self.samples[-1].stamp - self.cache_time:
            return False
        position = bisect_left(self.samples, sample.stamp, key=lambda one: one.stamp)
        if position < len(self.samples) and self.samples[position].stamp == sample.stamp:
            self.samples[position] = sample
        else:
            insort(self.samples, sample, key=lambda one: one.stamp)
        horizon = self.samples[-1].stamp - self.cache_time
        if self.samples[0].stamp < horizon:
            del self.samples[: bisect_left(self.samples, horizon, key=lambda one: one.stamp)]
        return True

    def at(self, stamp: int) -> Sample:
        """The sample of a time (0: the latest).

        Raises:
            ExtrapolationException: before the first or after the last one.
        """
        if self.static or stamp == 0:
            return self.samples[-1]
        position = bisect_left(self.samples, stamp, key=lambda one: one.stamp)
        if position < len(self.samples) and self.samples[position].stamp == stamp:
            return self.samples[position]
        if len(self.samples) == 1:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {seconds(stamp)}, but only time "
                f"{seconds(self.samples[0].stamp)} is in the buffer"
            )
        if position == len(self.samples):
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the future.  Requested time {seconds(stamp)} but the "
                f"latest data is at time {seconds(self.samples[-1].stamp)}"
            )
        if position == 0:
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the past.  Requested time {seconds(stamp)} but the "
                f"earliest data is at time {seconds(self.samples[0].stamp)}"
            )
        before, after = self.samples[position - 1], self.samples[position]
        if before.parent != after.parent:
            return before
        share = (stamp - before.stamp) / (after.stamp - before.stamp)
        return Sample(stamp, before.parent, interpolate(before.pose, after.pose, share))


def seconds(stamp: int) -> str:
    """Nanoseconds as seconds with six digits."""
    return f"{stamp // 10**9}.{stamp % 10**9 // 1000:06d}"


def clean(frame: str) -> str:
    """A frame name without the slash that tf2 ignores."""
    return frame[1:] if frame.startswith("/") else frame


class BufferCore:
    """Keeps transforms and answers lookups.

    Args:
        cache_time: how long transforms are kept.
    """

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._cache_time = (cache_time or DEFAULT_CACHE_TIME).nanoseconds
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
        parent, child = clean(transform.header.frame_id), clean(transform.child_frame_id)
        t, q = transform.transform.translation, transform.transform.rotation
        translation, rotation = (t.x, t.y, t.z), (q.x, q.y, q.z, q.w)
        norm = sum(value * value for value in rotation)
        fault = None
        if not child or not parent:
            fault = "frame_id or child_frame_id is empty"
        elif child == parent:
            fault = "frame_id and child_frame_id are the same"
        elif not all(map(math.isfinite, (*translation, *rotation))):
            fault = "a value is not finite"
        elif abs(norm - 1.0) > NORMALIZATION_TOLERANCE:
            fault = f"the quaternion {rotation} is not normalized"
        if fault:
            logger.error(
                f"ignoring transform from child_frame_id '{child}' to '{parent}' of authority '{authority}': {fault}",
                throttle_duration_sec=1.0,
            )
            return
        stamp = transform.header.stamp.sec * 10**9 + transform.header.stamp.nanosec
        with self._changed:
            cache = self._frames.get(child)
            if cache is None or cache.static != static:
                cache = self._frames[child] = FrameCache(static, self._cache_time)
            self._parents.add(parent)
            if not cache.insert(Sample(stamp, parent, Pose(translation, rotation))):
                logger.warning(
                    f"TF_OLD_DATA ignoring data from the past for frame {child} at time {seconds(stamp)} "
                    f"according to authority {authority}",
                    throttle_duration_sec=1.0,
                )
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all transforms but the static ones."""
        with self._changed:
            for name in [name for name, cache in self._frames.items() if not cache.static]:
                del self._frames[name]

    def _exists(self, frame: str) -> bool:
        return frame in self._frames or frame in self._parents

    def frame_exists(self, frame: str) -> bool:
        return self._exists(clean(frame))

    def get_frame_names(self) -> list[str]:
        with self._changed:
            return sorted({*self._frames, *self._parents})

    def _require(self, frame: str, role: str) -> str:
        name = clean(frame)
        if not name:
            raise InvalidArgumentException(
                f"Invalid argument passed to lookupTransform argument {role} in tf2 frame_ids cannot be empty"
            )
        if not self._exists(name):
            raise LookupException(f'"{name}" passed to lookupTransform argument {role} does not exist.')
        return name

    def _lookup(self, target: str, source: str, stamp: int) -> tuple[int, Pose]:
        """The time and target_from_source."""
        with self._changed:
            target, source = self._require(target, "target_frame"), self._require(source, "source_frame")
            if target == source:
                return stamp, IDENTITY
            if stamp == 0:
                stamp = self._latest_common_time(target, source)
            (above_target, target_fault), (above_source, source_fault) = (
                self._ancestors(target, stamp),
                self._ancestors(source, stamp),
            )
            for frame, from_target in above_target.items():
                if frame in above_source:
                    return stamp, compose(invert(from_target), above_source[frame])
            if fault := target_fault or source_fault:
                raise ExtrapolationException(
                    f"{fault}, when looking up transform from frame [{source}] to frame [{target}]"
                )
            raise self._unconnected(target, source)

    @staticmethod
    def _unconnected(target: str, source: str) -> ConnectivityException:
        return ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they "
            "are not part of the same tree. Tf has two or more unconnected trees."
        )

    def _ancestors(self, frame: str, stamp: int) -> tuple[dict[str, Pose], ExtrapolationException | None]:
        """ancestor_from_frame for the frame and those above it, and what kept it from going further."""
        found, pose = {frame: IDENTITY}, IDENTITY
        while (cache := self._frames.get(frame)) is not None:
            try:
                sample = cache.at(stamp)
            except ExtrapolationException as error:
                return found, error
            pose, frame = compose(sample.pose, pose), sample.parent
            if frame in found:
                break
            found[frame] = pose
        return found, None

    def _latest_common_time(self, target: str, source: str) -> int:
        def chain(frame: str) -> list[str]:
            names = [frame]
            while (cache := self._frames.get(frame)) is not None and cache.samples[-1].parent not in names:
                frame = cache.samples[-1].parent
                names.append(frame)
            return names

        above_target, above_source = chain(target), chain(source)
        common = next((name for name in above_target if name in above_source), None)
        if common is None:
            raise self._unconnected(target, source)
        between = [*above_target[: above_target.index(common)], *above_source[: above_source.index(common)]]
        stamps = [self._frames[name].samples[-1].stamp for name in between if not self._frames[name].static]
        return min(stamps, default=0)

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Time) -> Any:
        """target_from_source at a time, as geometry_msgs/TransformStamped; a zero time means the latest."""
        stamp, pose = self._lookup(target_frame, source_frame, _nanoseconds(time))
        return _message(clean(target_frame), clean(source_frame), stamp, pose)

    def lookup_transform_full_core(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> Any:
        """The source frame at one time in the target frame at another, by a frame that does not move."""
        _, fixed_from_source = self._lookup(fixed_frame, source_frame, _nanoseconds(source_time))
        stamp, target_from_fixed = self._lookup(target_frame, fixed_frame, _nanoseconds(target_time))
        return _message(clean(target_frame), clean(source_frame), stamp, compose(target_from_fixed, fixed_from_source))

    def can_transform_core(self, target_frame: str, source_frame: str, time: Time) -> tuple[bool, str]:
        """Whether a lookup would succeed, and if not, why."""
        try:
            self._lookup(target_frame, source_frame, _nanoseconds(time))
        except TransformException as error:
            return False, str(error)
        return True, ""


def _nanoseconds(time: Any) -> int:
    if hasattr(time, "nanoseconds"):
        return int(time.nanoseconds)
    if hasattr(time, "sec"):
        return int(time.sec * 10**9 + time.nanosec)
    raise TypeError(f"expected an rclpy.time.Time, not {type(time).__name__}")


def _message(target: str, source: str, stamp: int, pose: Pose) -> Any:
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.header.stamp = Time(nanoseconds=stamp).to_msg()
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, pose.translation)
    q.x, q.y, q.z, q.w = map(float, pose.rotation)
    return message


class Buffer(BufferCore):
    """A buffer whose lookups can wait.

    Args:
        cache_time: how long transforms are kept (default 10 s).
        node: its clock measures the waiting.
    """

    def __init__(self, cache_time: Duration | None = None, node: Any = None) -> None:
        super().__init__(cache_time)
        self._clock = node.get_clock() if node is not None else None
        self._waiting: list[tuple[Callable[[], bool], Future]] = []

    def _set(self, transform: Any, authority: str, static: bool) -> None:
        super()._set(transform, authority, static)
        with self._changed:
            ready = [one for one in self._waiting if one[0]()]
            self._waiting = [one for one in self._waiting if one not in ready]
        for _, future in ready:
            future.set_result(True)

    def _wait(self, ready: Callable[[], bool], timeout: Duration) -> bool:
        now = (lambda: self._clock.now().nanoseconds) if self._clock is not None else wall_time.monotonic_ns
        end = now() + timeout.nanoseconds
        with self._changed:
            while not ready():
                if now() >= end:
                    return False
                self._changed.wait(POLL)
        return True

    def lookup_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT) -> Any:
        """target_from_source at a time (zero: the latest), waiting up to `timeout` for it.

        Raises:
            LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> Any:
        """The source frame at one time in the target frame at another, by a frame that does not move."""
        self.can_transform_full(target_frame, target_time, source_frame, source_time, fixed_frame, timeout)
        return self.lookup_transform_full_core(target_frame, target_time, source_frame, source_time, fixed_frame)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> Any:
        """Whether a lookup would succeed within `timeout`; with the reason why not, if asked."""
        self._wait(lambda: self.can_transform_core(target_frame, source_frame, time)[0], timeout)
        answer = self.can_transform_core(target_frame, source_frame, time)
        return answer if return_debug_tuple else answer[0]

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> bool:
        """Whether `lookup_transform_full` would succeed within `timeout`."""
        return self._wait(
            lambda: (
                self.can_transform_core(fixed_frame, source_frame, source_time)[0]
                and self.can_transform_core(target_frame, fixed_frame, target_time)[0]
            ),
            timeout,
        )

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """A future that is done when the lookup succeeds."""
        future = Future()

        def ready() -> bool:
            return self.can_transform_core(target_frame, source_frame, time)[0]

        with self._changed:
            if not ready():
                self._waiting.append((ready, future))
                return future
        future.set_result(True)
        return future

    async def lookup_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Any:
        """The same as `lookup_transform`, for coroutines: waits as long as it takes."""
        await self.wait_for_transform_async(target_frame, source_frame, time)
        return self.lookup_transform_core(target_frame, source_frame, time)
