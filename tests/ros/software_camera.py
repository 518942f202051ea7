"""A RealSense without hardware: the SDK's own software device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mini_diffuser_ros.perception.realsense import load_sdk

WIDTH, HEIGHT, FPS = 64, 48, 30
METRES = 1.25
COLOR = (200, 10, 20)
BASELINE = 0.015  # metres from the depth camera to the colour camera, to the right


Look = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Gives colour, (H, W, 3) uint8, and depth, (H, W) uint16 in the camera's units."""


@dataclass(frozen=True)
class Optics:
    """Of both streams.

    Attributes:
        width, height: pixels.
        focal: pixels; the centre is that of the image.
        baseline: metres from the depth camera to the colour camera, to the right.
        rate: pictures a second that are sent, which claim to be FPS.
    """

    width: int = WIDTH
    height: int = HEIGHT
    focal: float = WIDTH
    baseline: float = BASELINE
    rate: float = FPS


class SoftwareCamera:
    """Sends what it looks at until it is stopped; by itself that is one grey wall at METRES, in COLOR.

    Args:
        serial: serial number.
        units: metres per unit of depth.
        one_sensor: whether one sensor has both streams, as on a D405.
        optics: of both streams.
        look: gives the pictures; None for the wall.
    """

    def __init__(
        self,
        serial: str = "42",
        units: float = 0.001,
        one_sensor: bool = False,
        optics: Optics | None = None,
        look: Look | None = None,
    ) -> None:
        sdk = load_sdk()
        self._sdk, self._units, self._optics = sdk, units, optics or Optics()
        self._look = look or self._wall
        self.device = sdk.software_device()
        self.device.register_info(sdk.camera_info.serial_number, serial)
        self.device.register_info(sdk.camera_info.name, "Software D4")
        depth_sensor = self.device.add_sensor("Stereo Module")
        depth_sensor.add_read_only_option(sdk.option.depth_units, units)
        color_sensor = depth_sensor if one_sensor else self.device.add_sensor("RGB Camera")
        self._depth = (depth_sensor, self._stream(depth_sensor, sdk.stream.depth, sdk.format.z16, 2))
        self._color = (color_sensor, self._stream(color_sensor, sdk.stream.color, sdk.format.rgb8, 3))
        apart = sdk.extrinsics()
        apart.rotation, apart.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [-self._optics.baseline, 0, 0]
        self._depth[1].register_extrinsics_to(self._color[1], apart)
        self.device.create_matcher(sdk.matchers.dlr_c)
        self.sends = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send nothing more."""
        self._ended.set()
        self._thread.join()

    def _stream(self, sensor: Any, kind: Any, form: Any, pixel_bytes: int) -> Any:
        lens = self._sdk.intrinsics()
        width, height, focal = self._optics.width, self._optics.height, self._optics.focal
        lens.width, lens.height, lens.fx, lens.fy = width, height, focal, focal
        lens.ppx, lens.ppy, lens.model = width / 2 - 0.5, height / 2 - 0.5, self._sdk.distortion.none
        stream = self._sdk.video_stream()
        stream.type, stream.fmt, stream.index, stream.uid = kind, form, 0, pixel_bytes
        stream.width, stream.height, stream.fps, stream.bpp = width, height, FPS, pixel_bytes
        stream.intrinsics = lens
        return sensor.add_video_stream(stream)

    def _wall(self) -> tuple[np.ndarray, np.ndarray]:
        depth = np.full((HEIGHT, WIDTH), round(METRES / self._units), np.uint16)
        return np.full((HEIGHT, WIDTH, 3), COLOR, np.uint8), depth

    def _send(self) -> None:
        number = 0
        while not self._ended.wait(1.0 / self._optics.rate):
            number += 1
            if not self.sends:
                continue
            color, depth = self._look()
            for (sensor, profile), pixels in ((self._depth, depth), (self._color, color)):
                frame = self._sdk.software_video_frame()
                frame.pixels, frame.bpp = pixels, pixels[0, 0].nbytes
                frame.stride = self._optics.width * frame.bpp
                frame.timestamp, frame.domain = 1e3 * time.monotonic(), self._sdk.timestamp_domain.hardware_clock
                frame.frame_number, frame.profile = number, profile.as_video_stream_profile()
                if pixels is depth:
                    frame.depth_units = self._units
                sensor.on_video_frame(frame)


def record(file: Path, frames: int) -> None:
    """Make a recording of a software camera with the SDK's recorder."""
    sdk, camera = load_sdk(), SoftwareCamera()
    recorder = sdk.recorder(str(file), camera.device)
    queue = sdk.frame_queue(100)
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(queue)
    for _ in range(2 * frames):
        queue.wait_for_frame(5000)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    recorder.pause()
    camera.close()
