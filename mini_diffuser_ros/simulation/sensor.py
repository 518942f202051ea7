"""The simulated RGB-D cameras as measuring devices: what a real one makes of depth, colour and its own calibration.

A sensor is told in one line, the same on command lines, in recipes, as a ROS parameter and in recordings: the name of
a preset and what differs from it, ``d435 scale=2 depth.subpixel=0.1``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.simulation.depth_noise import ColorImage, DepthImage, StereoNoise
from mini_diffuser_ros.support.settings import (
    SettingsError,
    bounded,
    check_fields,
    leaves,
    unknown_name,
    with_values,
    with_words,
)

Pose = NDArray[np.float64]

_DEPTH_ERRORS: Final = (
    "subpixel",
    "step",
    "unit",
    "nearest",
    "lost_at_edges",
    "flying",
    "lost_in_shadow",
    "lost_when_dark",
    "lost_when_grazing",
    "lost_when_shiny",
)
"""Fields of :class:`StereoNoise` that are errors; the others are properties such as a focal length."""


@dataclass(frozen=True)
class ColorNoise:
    """What a colour camera adds; an effect is off at 0.

    Attributes:
        exposure: all channels are scaled by a factor uniform in 1 +- exposure, drawn for each camera and episode.
        balance: each channel is scaled by a factor uniform in 1 +- balance, drawn for each camera and episode.
        grain: levels of 255, standard deviation of a pixel's brightness.
        shift: pixels, standard deviation of the offset of colour against depth along each axis, drawn for each camera
            and episode.
        rolling: pixels, standard deviation by which the lowest row is sideways of the uppermost, as of a rolling
            shutter whose camera or arm still swings; drawn for each picture.
    """

    exposure: float = bounded(0.0, 0.0, 0.99)
    balance: float = bounded(0.0, 0.0, 0.99)
    grain: float = bounded(0.0, 0.0, 255.0)
    shift: float = bounded(0.0, 0.0, 100.0)
    rolling: float = bounded(0.0, 0.0, 100.0)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class SensorModel:
    """A kind of RGB-D camera with the errors of its calibration; the defaults are free of any error.

    Attributes:
        scale: factor of all errors; at 0 there are none.
        depth: of the depth image.
        color: of the colour image.
        position: metres, root mean square by which the calibrated position of a camera is off, drawn for each camera
            and episode.
        angle: radians, root mean square by which its calibrated rotation is off, likewise.
        missing: probability that a camera gives no pictures in an episode; one always does.
    """

    scale: float = bounded(1.0, 0.0, 100.0)
    depth: StereoNoise = field(default_factory=lambda: StereoNoise(**dict.fromkeys(_DEPTH_ERRORS, 0.0)))
    color: ColorNoise = field(default_factory=ColorNoise)
    position: float = bounded(0.0, 0.0, 10.0)
    angle: float = bounded(0.0, 0.0, math.pi)
    missing: float = bounded(0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def exact(self) -> bool:
        """Whether it has no errors at all."""
        return self.scaled() == PERFECT

    def scaled(self) -> SensorModel:
        """The same with ``scale`` multiplied into every error, none of which can be more than all."""
        factors = {leaf.name: leaf.default for leaf in leaves(self) if _is_error(leaf.name)}
        most = {leaf.name: leaf.bounds[1] for leaf in leaves(self) if leaf.bounds}
        errors = {name: min(self.scale * value, most[name]) for name, value in factors.items()}
        if not any(errors.values()):
            return PERFECT
        return with_values(replace(self, scale=1.0), errors, "sensor")

    def __str__(self) -> str:
        """The line that :func:`sensor_of` reads back to an equal one."""
        lines = (_difference(name, preset, self) for name, preset in PRESETS.items())
        return min(lines, key=len)


def _is_error(name: str) -> bool:
    """Whether a value, by its dotted name, is an error and not a property such as a focal length."""
    group, _, last = name.rpartition(".")
    return last in _DEPTH_ERRORS if group == "depth" else name != "scale"


PERFECT: Final = SensorModel()
"""Pictures as they are rendered."""

D435: Final = SensorModel(
    depth=StereoNoise(
        # Of 640 x 480 pixels; nearest that of 424 x 240, to which who has one on the wrist turns it down.
        nearest=0.105,
        lost_in_shadow=1.0,
        lost_when_dark=0.5,
        lost_when_grazing=1.0,
        lost_when_shiny=0.2,
    ),
    color=ColorNoise(exposure=0.15, balance=0.05, grain=2.0, shift=0.7, rolling=0.5),
    position=0.005,
    angle=math.radians(1.0),
)
"""An Intel RealSense D435 on a camera stand, calibrated by hand: off by 5 mm and 1 degree."""

PRESETS: Final[Mapping[str, SensorModel]] = MappingProxyType({"perfect": PERFECT, "d435": D435})


def sensor_of(text: str, source: str = "") -> SensorModel:
    """The sensor that a line tells.

    Args:
        text: name of a preset, then fields that differ, as ``d435 scale=2 color.grain=4``.
        source: where the line comes from, for messages.

    Raises:
        SettingsError: there is no such preset or field, or a value is out of range.
    """
    name, *changes = text.split() or [""]
    if name not in PRESETS:
        raise SettingsError("sensor", f"is {text[:60]!r}: {unknown_name(name[:60], list(PRESETS), 'sensor')}", source)
    return with_words(PRESETS[name], changes, source, "sensor")


def _difference(name: str, preset: SensorModel, model: SensorModel) -> str:
    own = {leaf.name: leaf.default for leaf in leaves(model)}
    changed = [f"{leaf.name}={own[leaf.name]!r}" for leaf in leaves(preset) if own[leaf.name] != leaf.default]
    return " ".join([name, *changed])


@dataclass(frozen=True, eq=False)
class _DrawnCamera:
    """What stays the same of a camera for an episode."""

    error: Pose  # (4, 4) true camera from calibrated camera
    gains: NDArray[np.float32]  # (3,)
    shift: tuple[float, float]  # rows, columns


class Sensors:
    """The cameras of one episode: their calibration errors, gains and offsets are drawn once, noise for each picture.

    Args:
        model: what kind of camera they are.
        names: of the cameras.
        random: source of all draws.
        noise: source of the pictures' noise; by default ``random``, too.

    Attributes:
        missing: names of those that give no pictures.
    """

    def __init__(
        self,
        model: SensorModel,
        names: Sequence[str],
        random: np.random.Generator,
        noise: np.random.Generator | None = None,
    ) -> None:
        self._model = model.scaled()
        self._random = random if noise is None else noise
        self._cameras = {name: _draw_camera(self._model, random) for name in names}
        absent = [name for name in names if self._model.missing and random.random() < self._model.missing]
        if names and len(absent) == len(names):
            absent.pop(int(random.integers(len(absent))))
        self.missing = frozenset(absent)

    def pose_error(self, name: str) -> Pose:
        """(4, 4) pose of the camera as calibrated in that of the camera as it is."""
        return self._cameras[name].error

    def measured(self, view: CameraView) -> CameraView:
        """The view as this camera would give it, with the pose that it is taken to have."""
        if self._model == PERFECT:
            return view
        color, depth = self.pictures(view.name, view.color, np.asarray(view.depth, np.float32), view.intrinsics)
        pose = view.base_from_camera @ self.pose_error(view.name)
        return replace(view, color=color, depth=depth, base_from_camera=pose)

    def pictures(
        self, name: str, color: ColorImage, depth: DepthImage, intrinsics: NDArray[np.floating]
    ) -> tuple[ColorImage, DepthImage]:
        """Colour (H, W, 3) and depth (H, W), metres, of a camera as it would give them."""
        if self._model == PERFECT:
            return color, depth
        measured = depth
        if any(getattr(self._model.depth, effect) for effect in _DEPTH_ERRORS):
            measured = self._model.depth.apply(depth, self._random, color, intrinsics)
        return self._colored(self._cameras[name], color), measured

    def _colored(self, camera: _DrawnCamera, color: ColorImage) -> ColorImage:
        noise = self._model.color
        if noise.shift or noise.rolling:
            color = _moved(color, camera.shift, noise.rolling * float(self._random.standard_normal()))
        if not (noise.exposure or noise.balance or noise.grain):
            return color
        levels = color * camera.gains
        if noise.grain:
            grain = self._random.standard_normal((*color.shape[:2], 1), dtype=np.float32)
            grain *= np.float32(noise.grain)
            levels += grain
        np.clip(levels, 0.0, 255.0, out=levels)
        return np.rint(levels, out=levels).astype(np.uint8)


def _draw_camera(model: SensorModel, random: np.random.Generator) -> _DrawnCamera:
    error = np.eye(4)
    turn = random.normal(0.0, model.angle / math.sqrt(3.0), 3)
    if angle := float(np.linalg.norm(turn)):
        error = axis_angle_matrix(turn / angle, angle)
    error[:3, 3] = random.normal(0.0, model.position / math.sqrt(3.0), 3)
    gains = (1.0 + model.color.exposure * random.uniform(-1.0, 1.0)) * (
        1.0 + model.color.balance * random.uniform(-1.0, 1.0, 3)
    )
    rows, columns = random.normal(0.0, model.color.shift, 2)
    return _DrawnCamera(error, gains.astype(np.float32), (float(rows), float(columns)))


def _moved(color: ColorImage, shift: tuple[float, float], rolling: float) -> ColorImage:
    """The image (H, W, 3) by whole pixels down and to the right, its lowest row by ``rolling`` more than the first."""
    height, width = color.shape[:2]
    rows = np.arange(height)
    sideways = np.rint(shift[1] + rolling * (rows / max(height - 1, 1) - 0.5)).astype(np.intp)
    columns = np.clip(np.arange(width) - sideways[:, None], 0, width - 1)
    rows = np.clip(rows - int(np.rint(shift[0])), 0, height - 1)
    return color[rows[:, None], columns]
