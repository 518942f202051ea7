"""The cameras of a lab: serial numbers and where each is fixed, from one YAML file such as config/cameras.yaml."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError, read_yaml

KEYS = ("serial", "parent", "frame", "translation", "quaternion")
UNIT_TOLERANCE = 1e-2  # a quaternion written with two digits is meant to be one of length 1


class CameraFileError(UserError, ValueError):
    """A file of cameras that cannot be read, or says something that cannot be."""


@dataclass(frozen=True)
class FixedCamera:
    """A camera of the lab.

    Attributes:
        name: prefix of its topics.
        serial: number of the device, empty if the file names none.
        frame: the camera's frame.
        parent: the frame it is fixed to; empty if its TF comes from elsewhere.
        translation: of the camera in its parent, metres.
        quaternion: x, y, z, w, of length 1.
    """

    name: str
    serial: str
    frame: str
    parent: str = ""
    translation: tuple[float, ...] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)


def read_camera_file(path: Path, names: Sequence[str]) -> list[FixedCamera]:
    """Cameras from a file.

    Args:
        path: of the YAML file.
        names: those wanted, in this order; others in the file are of no concern.

    Raises:
        CameraFileError: in one line, what is wrong where, and what is expected.
    """
    try:
        content = read_yaml(path)
    except SettingsError as error:
        raise CameraFileError(f"camera file {error}") from error
    if not isinstance(content, dict):
        raise CameraFileError(f"camera file {path} holds no cameras; config/cameras.yaml shows how it looks")
    missing = [name for name in names if name not in content]
    if missing:
        raise CameraFileError(f"camera file {path} has no '{missing[0]}'; it has {', '.join(map(str, content))}")
    return [_camera(f"camera file {path}, {name}", name, content[name]) for name in names]


def _camera(where: str, name: str, entry: Any) -> FixedCamera:
    if not isinstance(entry, dict):
        raise CameraFileError(f"{where}: expected {', '.join(KEYS)}")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise CameraFileError(f"{where}: '{unknown[0]}' is not known; known are {', '.join(KEYS)}")
    serial, frame = _text(where, entry, "serial"), _text(where, entry, "frame")
    camera = FixedCamera(name, serial, frame or f"{name}_color_optical_frame")
    parent = _text(where, entry, "parent")
    if not parent:
        return camera
    quaternion = _numbers(where, entry, "quaternion", 4)
    length = math.hypot(*quaternion)
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise CameraFileError(f"{where}: quaternion has length {length:.3f}, expected 1 (x, y, z, w)")
    unit = tuple(value / length for value in quaternion)
    return FixedCamera(name, serial, camera.frame, parent, _numbers(where, entry, "translation", 3), unit)


def _text(where: str, entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise CameraFileError(f'{where}: {key} is {value!r}, expected a text: write it in quotes, "{value}"')
    return value


def _numbers(where: str, entry: Mapping[str, Any], key: str, count: int) -> tuple[float, ...]:
    values = entry.get(key)
    fits = isinstance(values, list) and len(values) == count
    if not fits or not all(type(one) in (int, float) and math.isfinite(one) for one in values):  # type: ignore[union-attr]
        raise CameraFileError(f"{where}: {key} is {values!r}, expected {count} numbers")
    return tuple(float(one) for one in values)  # type: ignore[union-attr]
