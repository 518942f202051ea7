"""Cells in which everything fits, drawn at random."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mini_diffuser_ros.cell import CameraIntrinsics, Cell, CellCamera, CellGripper, CellSpeeds, CellTable
from mini_diffuser_ros.geometry import quaternion_from_matrix
from mini_diffuser_ros.records import Distortion, StaticBox, Workspace

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
ROBOTS = ("fr3", "panda")


def look_at(position: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) of an optical frame whose z axis points from one place to another."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda value: round(value, 5))


@st.composite
def lenses(draw: st.DrawFn) -> CameraIntrinsics:
    width, height = draw(st.sampled_from([(640, 480), (848, 480), (1280, 720)]))
    focal = draw(numbers(0.7, 1.0)) * width
    coefficients = draw(st.sampled_from([(), (0.1, -0.2, 0.001, 0.0, 0.05)]))
    return CameraIntrinsics(
        width, height, focal, focal, width / 2 - 0.5, height / 2 + 1.5, Distortion("plumb_bob", coefficients)
    )


@st.composite
def fixed_cameras(draw: st.DrawFn, serial: str, robot: str, height: float) -> CellCamera:
    centre = np.array([0.5, 0.0, height + 0.15])
    azimuth, elevation = draw(numbers(-2.0, 2.0)), draw(numbers(0.4, 1.2))
    distance = draw(numbers(0.9, 1.5))
    away = (math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation))
    position = np.round(centre + distance * np.array(away), 5)
    rotation = look_at(position, centre)
    lens = draw(st.none() | lenses())
    place = (float(position[0]), float(position[1]), float(position[2]))
    if draw(st.booleans()):
        return CellCamera(
            serial, f"{robot}_link0", "", place, tuple(map(float, quaternion_from_matrix(rotation))), None, lens
        )
    rows = tuple(tuple(map(float, row)) for row in rotation)
    return CellCamera(serial, f"{robot}_link0", "", place, None, rows, lens)  # type: ignore[arg-type]


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    robot = draw(st.sampled_from(ROBOTS))
    height = draw(numbers(-0.1, 0.1))
    serials = draw(st.lists(st.text("0123456789", min_size=12, max_size=12), min_size=2, max_size=4, unique=True))
    names = [f"camera_{number}" for number in range(len(serials))]
    cameras = {name: draw(fixed_cameras(serial, robot, height)) for name, serial in zip(names, serials, strict=True)}
    cameras["wrist"] = CellCamera("", f"{robot}_hand", "", (0.05, 0.0, 0.04), (0.0, 0.0, 0.7071, 0.7071))
    cameras["elsewhere"] = CellCamera()
    boxes = tuple(
        StaticBox(f"box {number}", (x, y, height + 0.3), (0.04, 0.3, 0.3), yaw)
        for number, (x, y, yaw) in enumerate(
            draw(st.lists(st.tuples(numbers(1.0, 2.0), numbers(-1.0, 1.0), numbers(-3.1, 3.1)), max_size=3))
        )
    )
    workspace = Workspace((0.25, draw(numbers(-0.4, -0.2)), height + 0.004), (draw(numbers(0.6, 0.75)), 0.4, 0.55))
    speeds = CellSpeeds(draw(st.sampled_from([None, "collaborative", "fast"])), draw(st.none() | numbers(0.05, 0.25)))
    gripper = CellGripper("", draw(st.none() | numbers(5.0, 60.0)), draw(st.none() | numbers(0.04, 0.08)))
    return Cell(robot, cameras, workspace, CellTable(height), boxes, speeds, gripper)
