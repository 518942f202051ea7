"""The monitor of the cameras: pairs of colour and depth, their freshness, and what is to be said about each camera."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from mini_diffuser_ros.sensing.pairing import ImagePair, Pairing, PairLimits
from mini_diffuser_ros.sensing.stamps import SenderWatch, StampWatch
from mini_diffuser_ros.support.settings import check_fields, not_expected

Image = TypeVar("Image")
Info = TypeVar("Info")


SEVERAL_SENDERS = (
    "those of several cameras in turn, as camera_info goes to and fro: end all drivers of this name but one"
)


@dataclass(frozen=True)
class SyncConfig:
    """When images belong together, when one is too old, and when a camera counts as gone.

    Attributes:
        pair_tolerance: seconds between the stamps of colour and depth of one camera that are always allowed; once the
            camera's period is known, half of it is allowed as well, so that every phase pairs.
        longest_pair_gap: seconds between the stamps of colour and depth that are never exceeded.
        set_tolerance: seconds between the stamps of different cameras in one cloud that are always allowed; the period
            of the slowest camera is allowed as well.
        longest_set_gap: seconds between the stamps of different cameras that are never exceeded.
        stale_after: seconds without a new pair after which a camera is left out, if that is more than two and a half of
            its periods.
    """

    pair_tolerance: float = 0.015
    longest_pair_gap: float = 0.6
    set_tolerance: float = 0.05
    longest_set_gap: float = 1.0
    stale_after: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("pair_tolerance", "longest_pair_gap", "set_tolerance", "longest_set_gap", "stale_after"):
            if not getattr(self, name) > 0.0:
                raise not_expected(name, getattr(self, name), "seconds above 0")

    @property
    def pair_limits(self) -> PairLimits:
        """How far apart colour and depth may be."""
        return PairLimits(self.pair_tolerance, max(self.pair_tolerance, self.longest_pair_gap))


class Instant(NamedTuple):
    """One moment on two clocks, seconds.

    Attributes:
        steady: on the receiver's monotonic clock, by which silence is measured.
        clock: on the clock that stamps are read from, by which ages are measured.
    """

    steady: float
    clock: float


@dataclass(frozen=True)
class AgeLimits:
    """Between which ages an image is used.

    Attributes:
        oldest: seconds from the stamp to now; older images are dropped. Those that came in time may wait for other
            cameras for one and a half periods of the slowest, if that is longer.
        lead: seconds that a stamp may lie in the future; beyond that the clocks disagree and no age can be told.
    """

    oldest: float
    lead: float

    def fault(self, age: float, period: float = 0.0) -> str:
        """What is wrong with an image of this age, in words that follow "images are"; empty if nothing is.

        Args:
            age: seconds.
            period: seconds between images of the camera that it waits for.
        """
        oldest = max(self.oldest, 1.5 * period)
        if age > oldest:
            return f"{age:.3f} s old when they could be used, allowed are {oldest:.3g} s (max_image_age)"
        if age < -self.lead:
            return (
                f"stamped {-age:.3f} s in the future, allowed are {self.lead:g} s (max_clock_lead): synchronise the "
                "clocks of the machines"
            )
        return ""


@dataclass(frozen=True, eq=False)
class RgbdPair(ImagePair[Image], Generic[Image, Info]):
    """Colour and depth of one camera at one time, with the camera's name and calibration."""

    camera: str
    info: Info


class Arrival(NamedTuple):
    """How the newest image of one kind came in.

    Attributes:
        steady: seconds of the steady clock, when it was received.
        lead: seconds that its stamp lay in the future then; negative for its age.
    """

    steady: float
    lead: float


@dataclass(frozen=True)
class CameraHealth:
    """What is to be said about one camera.

    Attributes:
        camera: its name.
        live: False if it counts as gone.
        well: whether it is live and nothing was wrong with its newest images.
        message: one line.
        dropped: how many pairs of images were too old, or from the future, so far.
    """

    camera: str
    live: bool
    well: bool
    message: str
    dropped: int


@dataclass(eq=False)
class _Camera(Generic[Image, Info]):
    pairing: Pairing[Image]
    last_pair: float  # seconds of the steady clock; at first the start of the monitor
    info: Info | None = None
    color: Arrival | None = None
    depth: Arrival | None = None
    color_stamps: StampWatch = field(default_factory=StampWatch)
    depth_stamps: StampWatch = field(default_factory=StampWatch)
    senders: SenderWatch = field(default_factory=SenderWatch)
    ever_seen: bool = False
    dropped: int = 0
    fault: str = ""  # of the newest pair, and when it was noticed on the steady clock
    fault_at: float = 0.0

    def drop(self, fault: str, steady: float) -> None:
        self.dropped, self.fault, self.fault_at = self.dropped + 1, fault, steady

    def believes(self, stamps: StampWatch, stamp: float, steady: float) -> bool:
        """Whether an image is of use by its stamp; what is wrong with it is noted."""
        fault = stamps.fault(stamp)
        if stamps.was_set_back():
            # The other stream follows.
            self.pairing.clear()
            self.drop("stamped before those that came earlier: the clock of their driver was set back", steady)
        elif fault:
            self.drop(fault, steady)
        return fault is None


class CameraMonitor(Generic[Image, Info]):
    """Takes the images of any number of cameras as they arrive, and hands out the pairs that can be used. Thread-safe.

    Args:
        cameras: names.
        config: tolerances.
        limits: which ages are used.
        start: the steady clock's seconds now.
        calibration_of: what of a calibration is the same as long as the camera is.

    Attributes:
        cameras: names.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        config: SyncConfig,
        limits: AgeLimits,
        start: float,
        calibration_of: Callable[[Info], object] = lambda info: info,
    ) -> None:
        self.cameras = tuple(cameras)
        self._config, self._limits, self._calibration_of = config, limits, calibration_of
        self._cameras = {name: _Camera[Image, Info](Pairing(config.pair_limits), start) for name in cameras}
        self._lock = threading.Lock()

    def add_info(self, camera: str, info: Info) -> None:
        """Calibration of a camera."""
        with self._lock:
            self._cameras[camera].info = info
            self._cameras[camera].senders.take(self._calibration_of(info))

    def add_color(self, camera: str, stamp: float, image: Image, now: Instant) -> RgbdPair[Image, Info] | None:
        """The pair that a colour image completes, if it can be used; ``stamp`` in seconds."""
        with self._lock:
            one = self._cameras[camera]
            one.color = Arrival(now.steady, stamp - now.clock)
            if not one.believes(one.color_stamps, stamp, now.steady):
                return None
            return self._usable(camera, one.pairing.add_color(stamp, image), now)

    def add_depth(self, camera: str, stamp: float, image: Image, now: Instant) -> RgbdPair[Image, Info] | None:
        """The pair that a depth image, aligned to colour, completes, if it can be used; ``stamp`` in seconds."""
        with self._lock:
            one = self._cameras[camera]
            one.depth = Arrival(now.steady, stamp - now.clock)
            if not one.believes(one.depth_stamps, stamp, now.steady):
                return None
            return self._usable(camera, one.pairing.add_depth(stamp, image), now)

    def arrivals(self, camera: str) -> tuple[Arrival | None, Arrival | None]:
        """Of colour and of depth; None as long as there is none."""
        with self._lock:
            return self._cameras[camera].color, self._cameras[camera].depth

    def is_calibrated(self, camera: str) -> bool:
        """Whether a calibration of the camera has come."""
        return self._cameras[camera].info is not None

    def has_several_senders(self, camera: str) -> bool:
        """Whether several drivers send under the camera's name."""
        with self._lock:
            return self._cameras[camera].senders.are_several()

    def names_of_live(self, steady: float) -> list[str]:
        """Cameras that have delivered a pair lately."""
        with self._lock:
            return [name for name, camera in self._cameras.items() if self._is_live(camera, steady)]

    def newest(self) -> dict[str, float | None]:
        """Newest stamp of an image of each camera, paired or not; None of those that have sent none."""
        with self._lock:
            return {name: camera.pairing.newest() for name, camera in self._cameras.items()}

    def fault_of(self, pair: RgbdPair[Image, Info], now: Instant) -> str:
        """What is wrong with the age of a pair that has waited for other cameras, empty if nothing is."""
        with self._lock:
            return self._limits.fault(now.clock - pair.newest, self._slowest(now.steady))

    def set_tolerance(self, steady: float) -> float:
        """Seconds that pairs of different cameras may be apart in one set at present."""
        with self._lock:
            return max(self._config.set_tolerance, self._slowest(steady))

    def clear(self) -> None:
        """Forget the images that wait for others, and their stamps: time began anew."""
        with self._lock:
            for camera in self._cameras.values():
                camera.pairing.clear()
                camera.color_stamps, camera.depth_stamps = StampWatch(), StampWatch()

    def count_drop(self, camera: str, fault: str, steady: float) -> None:
        """A pair that was handed out is not used after all."""
        with self._lock:
            self._cameras[camera].drop(fault, steady)

    def health(self, steady: float) -> list[CameraHealth]:
        """State of every camera, in the order in which they were named."""
        with self._lock:
            return [self._health(name, camera, steady) for name, camera in self._cameras.items()]

    def _usable(self, name: str, pair: ImagePair[Image] | None, now: Instant) -> RgbdPair[Image, Info] | None:
        camera = self._cameras[name]
        if pair is None or camera.info is None:
            return None
        if camera.senders.are_several():
            camera.drop(SEVERAL_SENDERS, now.steady)
            return None
        # By the newer image: the other one may be half a period older, however quick the way is.
        fault = self._limits.fault(now.clock - pair.newest)
        if fault:
            camera.drop(fault, now.steady)
            return None
        camera.fault, camera.last_pair, camera.ever_seen = "", now.steady, True
        return RgbdPair(pair.stamp, pair.newest, pair.color, pair.depth, name, camera.info)

    def _slowest(self, steady: float) -> float:
        """Longest period of the live cameras, seconds, as far as it counts."""
        periods = [camera.pairing.period() for camera in self._cameras.values() if self._is_live(camera, steady)]
        return min(max(periods, default=0.0), self._config.longest_set_gap)

    def _is_live(self, camera: _Camera[Image, Info], steady: float) -> bool:
        usual = 2.5 * camera.pairing.period() if camera.ever_seen else 0.0
        return steady - camera.last_pair <= max(self._config.stale_after, usual)

    def _health(self, name: str, camera: _Camera[Image, Info], steady: float) -> CameraHealth:
        silence, live = f"for {steady - camera.last_pair:.1f} s", self._is_live(camera, steady)
        faulty = bool(camera.fault) and steady - camera.fault_at <= self._config.stale_after
        if faulty:
            message = f"images are {camera.fault}"
        elif live:
            message = "delivers" if camera.ever_seen else "awaited"
        elif camera.ever_seen:
            message = f"no images {silence}"
        else:
            message = f"{_what_is_missing(camera)} {silence}"
        return CameraHealth(name, live, live and not faulty, f"camera {name}: {message}", camera.dropped)


def _what_is_missing(camera: _Camera[Image, Info]) -> str:
    missing = [*(["camera_info"] if camera.info is None else []), *camera.pairing.missing()]
    if missing:
        return f"no {', '.join(missing)}"
    return f"no colour and depth within {camera.pairing.tolerance():g} s of each other (pair_tolerance)"
