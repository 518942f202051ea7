"""RealSense cameras, and recordings of them, as sources of RGB-D images; needs pyrealsense2."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.perception.lens_fit import fit_plumb_bob
from mini_diffuser_ros.perception.libusb import provide_libusb
from mini_diffuser_ros.records import Distortion

LINK_FROM_OPTICAL_ROTATION = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Axes of an optical frame (x right, y down, z forward) in a link (x forward, y left, z up), REP 103."""
QUEUE = 8  # frames of both streams that may wait for the reader
JOINED_WITHIN = 1000  # milliseconds
COLOR_FORMATS = ("rgb8", "bgr8")
LENS_SAMPLES, LENS_REACH = 30, 1.3  # directions along each side, and how far beyond a pinhole's image they reach


class RealSenseError(PerceptionError):
    """A camera is not there, cannot do what is asked of it, or has gone; one line says which and what to do."""


@dataclass(frozen=True)
class StreamConfig:
    """Resolution and rate of colour and depth.

    Attributes:
        width: pixels.
        height: pixels.
        fps: images per second.
    """

    width: int = 640
    height: int = 480
    fps: int = 30


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """Colour and depth of one time.

    Attributes:
        color: (H, W, 3) uint8, RGB.
        depth: (H, W) uint16, millimetres, aligned to colour; 0 is "no measurement".
        intrinsics: (3, 3) pinhole matrix of both, pixels.
        distortion: of both.
        color_stamp: seconds on the clock of the sensor.
        depth_stamp: likewise.
        host_clock: whether that clock is the computer's own, as with the SDK's global time.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    intrinsics: NDArray[np.float64]
    distortion: Distortion
    color_stamp: float
    depth_stamp: float
    host_clock: bool


def load_sdk() -> ModuleType:
    """The module pyrealsense2.

    Raises:
        RealSenseError: if it cannot be imported, saying what to install.
    """
    try:
        provide_libusb()
        import pyrealsense2
    except ImportError as error:
        raise RealSenseError(
            f"pip install 'mini_diffuser_ros[realsense]' is needed for RealSense cameras ({error})"
        ) from (error)
    return pyrealsense2


class RealSenseDevices:
    """Finds cameras by serial number and opens recordings.

    Args:
        context: of pyrealsense2, whose cameras are found; None for those at this machine's ports.
    """

    def __init__(self, context: Any = None) -> None:
        self._sdk = load_sdk()
        self._context = self._sdk.context() if context is None else context

    def open(self, serial: str, config: StreamConfig, taken: Collection[str] = ()) -> RealSenseCamera:
        """The connected camera with a serial number; an empty one means any that is not among those ``taken``.

        Raises:
            RealSenseError: naming what is connected, or the valid resolutions and rates.
        """
        facts = self._sdk.camera_info
        try:
            found = {device.get_info(facts.serial_number): device for device in self._context.query_devices()}
            models = {one: device.get_info(facts.name) for one, device in found.items()}
        except RuntimeError as error:
            raise RealSenseError(f"the RealSense cameras cannot be listed: {error}") from error
        wanted = [one for one in found if (one == serial if serial else one not in taken)]
        if not wanted:
            shown = [f"{one} ({name}{', of another camera' if one in taken else ''})" for one, name in models.items()]
            which = f"with serial number {serial}" if serial else "that is free"
            raise RealSenseError(
                f"no RealSense {which} is connected; connected are: {', '.join(sorted(shown)) or 'none'}: plug it in, "
                "or set its serial right"
            )
        return RealSenseCamera(found[wanted[0]], config)

    def play(self, recording: Path) -> RealSenseCamera:
        """A recording of the SDK (.bag, or .db3 from version 2.58 on), played at the speed at which it was made.

        Raises:
            RealSenseError: if it cannot be read.
        """
        if not recording.is_file():
            raise RealSenseError(f"recording {recording} does not exist")
        try:
            # In a context of its own: in that of the cameras it would pass for one of them.
            device = self._sdk.context().load_device(str(recording))
        except RuntimeError as error:
            raise RealSenseError(f"recording {recording} cannot be read: {error}") from error
        return RealSenseCamera(device, None)


class RealSenseCamera:
    """One device that streams colour and depth.

    Args:
        device: of pyrealsense2: a camera, a recording, or a software device.
        config: what to stream; None takes what a recording holds.

    Raises:
        RealSenseError: if it has no such streams, listing those that it has, or does not start.
    """

    def __init__(self, device: Any, config: StreamConfig | None) -> None:
        self._sdk = load_sdk()
        self._device = device
        self._sensors: list[Any] = []
        self._lenses: dict[tuple[Any, ...], Distortion] = {}
        self.serial = self._info("serial_number")
        self.name = self._info("name")
        self.usb = self._info("usb_type_descriptor")
        try:
            self._start(config)
        except RuntimeError as error:
            self.close()
            raise RealSenseError(f"{self.name} {self.serial} does not start: {error}") from error

    def _start(self, config: StreamConfig | None) -> None:
        """Find the streams and start them."""
        sensors = list(self._device.query_sensors())
        self._offered = [(sensor, profile) for sensor in sensors for profile in sensor.get_stream_profiles()]
        depth, color = (self._profile(stream, formats, config) for stream, formats in self._wanted())
        self.link_from_optical = _link_from_optical(color[1].get_extrinsics_to(depth[1]))
        self._align = _Alignment(self._sdk, 0.5 / color[1].fps())
        self._frames = self._sdk.frame_queue(QUEUE, True)
        for sensor, profile in _by_sensor(depth, color):
            sensor.open(profile)
            self._sensors.append(sensor)
        for sensor in self._sensors:
            self._prefer_global_time(sensor)
            sensor.start(self._frames)

    def read(self, timeout: float) -> RgbdFrame | None:
        """The next colour and depth of one time; None if none comes within ``timeout`` seconds.

        Raises:
            RealSenseError: if the camera was unplugged, or its images cannot be aligned.
        """
        deadline = time.monotonic() + timeout
        try:
            while (left := deadline - time.monotonic()) > 0.0:
                arrived, frame = self._frames.try_wait_for_frame(math.ceil(1e3 * left))
                pair = self._align.add(frame) if arrived else None
                if pair is not None:
                    return self._frame(*pair)
            if not self._device.is_connected():
                raise RealSenseError(f"{self.name} {self.serial} is not connected any more")
        except RuntimeError as error:
            raise RealSenseError(f"{self.name} {self.serial}: {error}") from error
        return None

    def has_ended(self) -> bool:
        """Whether this is a recording that has been played to its end."""
        if not self._device.is_playback():
            return False
        return bool(self._device.as_playback().current_status() == self._sdk.playback_status.stopped)

    def close(self) -> None:
        """Stop streaming; harmless when called twice, or after the camera was unplugged."""
        for sensor in self._sensors:
            for end in (sensor.stop, sensor.close):
                try:
                    end()
                except RuntimeError:  # it has stopped already, or is gone
                    continue
        self._sensors = []

    def _info(self, name: str) -> str:
        key = getattr(self._sdk.camera_info, name)
        return str(self._device.get_info(key)) if self._device.supports(key) else ""

    def _wanted(self) -> tuple[tuple[Any, tuple[str, ...]], tuple[Any, tuple[str, ...]]]:
        return (self._sdk.stream.depth, ("z16",)), (self._sdk.stream.color, COLOR_FORMATS)

    def _profile(self, stream: Any, formats: tuple[str, ...], config: StreamConfig | None) -> tuple[Any, Any]:
        """Sensor and profile of a stream, the formats in order of preference."""
        offered = [
            (sensor, profile.as_video_stream_profile())
            for sensor, profile in self._offered
            if profile.stream_type() == stream and profile.format().name in formats
        ]
        offered.sort(key=lambda one: formats.index(one[1].format().name))
        for sensor, profile in offered:
            size = (profile.width(), profile.height(), profile.fps())
            if config is None or size == (config.width, config.height, config.fps):
                return sensor, profile
        valid = sorted({(p.width(), p.height(), p.fps()) for _, p in offered})
        shown = ", ".join(f"{width}x{height} at {fps}" for width, height, fps in valid) or "none"
        asked = "" if config is None else f" of {config.width}x{config.height} pixels at {config.fps} Hz"
        raise RealSenseError(
            f"{self.name} {self.serial} has no {stream.name} stream in {' or '.join(formats)}{asked}; it has: {shown}"
        )

    def _prefer_global_time(self, sensor: Any) -> None:
        option = self._sdk.option.global_time_enabled
        if not self._device.is_playback() and sensor.supports(option) and not sensor.is_option_read_only(option):
            sensor.set_option(option, 1.0)

    def _distortion(self, intrinsics: Any) -> Distortion:
        """The SDK's lens as CameraInfo says it, worked out once: its models are its own.

        Raises:
            RealSenseError: if no coefficients say it, naming the model.
        """
        key = (str(intrinsics.model), *intrinsics.coeffs)
        if key not in self._lenses:
            self._lenses[key] = lens_of_sdk(self._sdk, intrinsics, f"{self.name} {self.serial}")
        return self._lenses[key]

    def _frame(self, color: Any, depth: Any, depth_stamp: float) -> RgbdFrame:
        profile = color.get_profile().as_video_stream_profile()
        intrinsics = profile.get_intrinsics()
        pixels = np.asanyarray(color.get_data())
        if profile.format().name == "bgr8":
            pixels = pixels[:, :, ::-1]
        hardware = color.get_frame_timestamp_domain() == self._sdk.timestamp_domain.hardware_clock
        return RgbdFrame(
            # Copies: the SDK uses its buffers again.
            color=np.array(pixels, dtype=np.uint8, order="C"),
            depth=_millimetres(np.asanyarray(depth.get_data()), depth.get_units()),
            intrinsics=np.array(
                [[intrinsics.fx, 0.0, intrinsics.ppx], [0.0, intrinsics.fy, intrinsics.ppy], [0.0, 0.0, 1.0]]
            ),
            distortion=self._distortion(intrinsics),
            color_stamp=color.get_timestamp() / 1e3,
            depth_stamp=depth_stamp,
            host_clock=not hardware and not self._device.is_playback(),
        )


class _Alignment:
    """Pairs colour and depth of one time and aligns them, whatever order they come in.

    The SDK's syncer is not used: it hands out incomplete sets for seconds after a gap.

    Args:
        sdk: the module pyrealsense2.
        tolerance: seconds between the stamps of a pair.
    """

    def __init__(self, sdk: ModuleType, tolerance: float) -> None:
        self._sdk, self._tolerance = sdk, tolerance
        self._latest: dict[Any, Any] = {}
        # The SDK aligns sets of frames, which only its processing blocks can make.
        self._sets = sdk.frame_queue(1)
        self._joiner = sdk.processing_block(self._join)
        self._joiner.start(self._sets)
        self._align = sdk.align(sdk.stream.color)

    def add(self, frame: Any) -> tuple[Any, Any, float] | None:
        """Colour, depth aligned to it and the depth's stamp, if the frame completes a pair."""
        self._latest[frame.get_profile().stream_type()] = frame
        color, depth = (self._latest.get(stream) for stream in (self._sdk.stream.color, self._sdk.stream.depth))
        if color is None or depth is None:
            return None
        depth_stamp = depth.get_timestamp() / 1e3
        if abs(color.get_timestamp() / 1e3 - depth_stamp) > self._tolerance:
            return None
        self._joiner.invoke(frame)
        self._latest.clear()
        aligned = self._align.process(self._sets.wait_for_frame(JOINED_WITHIN).as_frameset())
        return aligned.get_color_frame(), aligned.get_depth_frame(), depth_stamp

    def _join(self, _: Any, source: Any) -> None:
        source.frame_ready(source.allocate_composite_frame(list(self._latest.values())))


def _by_sensor(*chosen: tuple[Any, Any]) -> list[tuple[Any, list[Any]]]:
    """Each sensor once, with its profiles: some cameras have colour and depth on the same one."""
    grouped: list[tuple[Any, list[Any]]] = []
    for sensor, profile in chosen:
        same = [profiles for one, profiles in grouped if one is sensor]
        if same:
            same[0].append(profile)
        else:
            grouped.append((sensor, [profile]))
    return grouped


def _link_from_optical(depth_from_color: Any) -> NDArray[np.float64]:
    """(4, 4) pose of the colour camera's optical frame in <camera>_link, which lies at the depth camera."""
    link_from_depth, depth_from_optical = np.eye(4), np.eye(4)
    link_from_depth[:3, :3] = LINK_FROM_OPTICAL_ROTATION
    # The SDK's rotations are column-major.
    depth_from_optical[:3, :3] = np.reshape(depth_from_color.rotation, (3, 3)).T
    depth_from_optical[:3, 3] = depth_from_color.translation
    return np.asarray(link_from_depth @ depth_from_optical, dtype=np.float64)


def lens_of_sdk(sdk: ModuleType, intrinsics: Any, camera: str) -> Distortion:
    """The lens through which the SDK aligns depth to colour.

    Args:
        sdk: the module pyrealsense2.
        intrinsics: as the SDK has them; with zeros alone only a fisheye bends.
        camera: for messages.

    Raises:
        RealSenseError: if no coefficients say it, naming the model.
    """
    if not any(intrinsics.coeffs) and intrinsics.model != sdk.distortion.kannala_brandt4:
        return Distortion(coefficients=(0.0,) * 5)
    focal, center = (intrinsics.fx, intrinsics.fy), (intrinsics.ppx, intrinsics.ppy)
    size = np.array((intrinsics.width, intrinsics.height))
    x, y = (LENS_REACH * np.linspace(-1.0, 1.0, LENS_SAMPLES) * half for half in 0.5 * size / focal)
    directions = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    pixels = np.array([sdk.rs2_project_point_to_pixel(intrinsics, [*one, 1.0]) for one in directions.tolist()])
    shown = np.all((pixels >= 0.0) & (pixels < size), axis=1)
    try:
        return fit_plumb_bob(directions[shown], (pixels[shown] - center) / focal, min(focal))
    except PerceptionError as error:
        raise RealSenseError(f"{camera}: the lens model {intrinsics.model}: {error}") from error


def _millimetres(depth: NDArray[np.uint16], units: float) -> NDArray[np.uint16]:
    """Depth in units of so many metres as millimetres; what is farther than they reach is no measurement."""
    if abs(units - 1e-3) < 1e-9:
        return np.array(depth)
    scaled = np.rint(depth * np.float32(1e3 * units))
    return np.where(scaled > np.iinfo(np.uint16).max, 0.0, scaled).astype(np.uint16)
