"""The cell of an FR3 as its cameras see it while the arm moves: arm, table, a board; for RealSense's software device.

One process renders, into a folder; whichever opens the cameras finds what they see there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node

from mini_diffuser_ros.calibration.arm_surface import ArmSurface, ray_grid
from mini_diffuser_ros.calibration.board import BoardConfig
from mini_diffuser_ros.calibration.lens import Array, Lens
from mini_diffuser_ros.geometry import inverse_transform
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.arm_shots import arm_depth
from mini_diffuser_ros.simulation.boards import render_board

from .software_camera import Optics, SoftwareCamera

OPTICS = Optics(320, 240, 305.0, baseline=0.0, rate=8.0)
LENS = Lens(320, 240, np.array([[305.0, 0.0, 159.5], [0.0, 305.0, 119.5], [0.0, 0.0, 1.0]]))
MILLIMETRES = 0.001
CUPS = (
    ((0.52, 0.14, 0.0), (0.58, 0.20, 0.08), (200, 30, 30)),
    ((0.52, -0.20, 0.0), (0.58, -0.14, 0.08), (30, 30, 200)),
)
"""Two corners, metres in the base frame, and the colour of each thing on the table."""
SAME = 1e-3  # radians, beneath which a joint is where it was


@dataclass(frozen=True)
class Place:
    """Where a camera is: its serial number, the frame that carries it, and (4, 4) its pose in that."""

    serial: str
    parent: str
    parent_from_camera: Array


class RenderedCell:
    """Renders whenever the arm has moved, until it is closed.

    Args:
        node: that hears the joint states.
        folder: for the pictures.
        places: camera to where it is.
    """

    def __init__(self, node: Node, folder: Path, places: Mapping[str, Place]) -> None:
        self.robot = load_robot("fr3")
        self._places, self._folder = places, folder
        self._surface = ArmSurface(self.robot)
        self._joints: dict[str, float] = {}
        self._boards: dict[str, Callable[[Array], Array]] = {}
        self._wanted, self._shown = 1, 0  # how often something has changed, and up to which change it is to be seen
        self._changed = threading.Condition()
        self._ended = False
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cameras.json").write_text(json.dumps({name: place.serial for name, place in places.items()}))
        subscribe_joint_states(node, self._take)
        self._thread = threading.Thread(target=self._render_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Render no more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def hold_board(self, camera: str, camera_from_board: Array) -> None:
        """Hold a board before a camera, which hides all else from it."""
        self._put(camera, lambda _: camera_from_board)

    def lay_board(self, camera: str, base_from_board: Array) -> None:
        """Put a board down, where a camera sees it in front of all else."""
        self._put(camera, lambda base_from_camera: inverse_transform(base_from_camera) @ base_from_board)

    def put_away(self, camera: str) -> None:
        """Take the board from where this camera sees it."""
        with self._changed:
            self._boards.pop(camera)
            self._wanted += 1
            self._changed.notify_all()

    def positions(self) -> dict[str, float]:
        """Joint name to radians, as far as was heard."""
        return dict(self._joints)

    def await_shown(self, joints: Mapping[str, float] | None = None) -> None:
        """Until the arm is where it is to be, if that is said, and the cameras see it there."""
        deadline = time.monotonic() + 60.0
        with self._changed:
            while self._shown < self._wanted or not self._is_at(joints or {}):
                assert self._changed.wait(deadline - time.monotonic()), "the cameras do not see the arm there"

    def _is_at(self, joints: Mapping[str, float]) -> bool:
        return all(abs(self._joints.get(name, np.inf) - value) < SAME for name, value in joints.items())

    def _put(self, camera: str, camera_from_board: Callable[[Array], Array]) -> None:
        with self._changed:
            self._boards[camera] = camera_from_board
            self._wanted += 1
            self._changed.notify_all()

    def _take(self, names: Any, positions: Any, *_: Any) -> None:
        state = dict(zip(names, positions, strict=True))
        with self._changed:
            if not self._is_at(state):
                self._joints |= state
                self._wanted += 1
                self._changed.notify_all()

    def _render_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or (self._joints and self._shown < self._wanted))
                if self._ended:
                    return
                wanted, joints = self._wanted, dict(self._joints)
            for name, place in self._places.items():
                self._render(name, place, joints)
            with self._changed:
                self._shown = wanted
                self._changed.notify_all()

    def _render(self, name: str, place: Place, joints: Mapping[str, float]) -> None:
        base_from_camera = self.robot.forward_kinematics(joints)[place.parent] @ place.parent_from_camera
        depth = arm_depth(self._surface, joints, LENS, base_from_camera)
        color = np.full((*depth.shape, 3), 110, np.uint8)
        for lower, upper, paint in CUPS:
            reach = _box_depth(np.array(lower), np.array(upper), base_from_camera)
            seen = (reach < depth) | ((depth == 0.0) & np.isfinite(reach))
            depth, color[seen] = np.where(seen, reach, depth), paint
        if name in self._boards:
            color = np.repeat(render_board(BoardConfig(), LENS, self._boards[name](base_from_camera))[:, :, None], 3, 2)
        partial = self._folder / f"{name}.partial.npz"
        np.savez(partial, color=color, depth=np.rint(depth / MILLIMETRES))
        os.replace(partial, self._folder / f"{name}.npz")


def _box_depth(lower: Array, upper: Array, base_from_camera: Array) -> Array:
    """(H, W) metres along the optical axis to a box, infinite beside it."""
    rays = ray_grid(LENS, 1).rays
    rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=1) @ base_from_camera[:3, :3].T
    with np.errstate(divide="ignore"):
        ends = (np.stack([lower, upper])[:, None] - base_from_camera[:3, 3]) / rays
    enters, leaves = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
    return np.where((enters < leaves) & (enters > 0.0), enters, np.inf).reshape(LENS.height, LENS.width)


def plugged_cameras(folder: Path) -> list[SoftwareCamera]:
    """The cameras of a rendered cell as devices of the SDK, each with a noise of its own."""
    serials = json.loads((folder / "cameras.json").read_text())
    return [
        SoftwareCamera(serial, MILLIMETRES, optics=OPTICS, look=Noisy(folder / f"{name}.npz").look)
        for name, serial in serials.items()
    ]


class Noisy:
    """A picture in a file, which somebody replaces, with the noise of a sensor.

    Args:
        file: npz of color and depth.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._read_at = file, -1
        self._color, self._depth = np.zeros((LENS.height, LENS.width, 3), np.uint8), np.zeros((LENS.height, LENS.width))
        self._random = np.random.default_rng(len(file.name))

    def look(self) -> tuple[np.ndarray, np.ndarray]:
        """Colour and depth now."""
        changed = self._file.stat().st_mtime_ns if self._file.exists() else -1
        if changed != self._read_at:
            with np.load(self._file) as stored:
                self._color, self._depth, self._read_at = stored["color"], stored["depth"], changed
        depth = self._depth + self._random.integers(-1, 2, self._depth.shape)
        color = self._color ^ self._random.integers(0, 2, self._color.shape, np.uint8)
        return color, np.where(self._depth > 0, depth, 0).astype(np.uint16)
