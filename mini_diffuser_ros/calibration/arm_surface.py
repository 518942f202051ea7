"""What a camera would see of the arm: its surface in a pose of the joints, hidden parts left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.robots import RobotDescription, SurfaceMesh, robot_mjcf, surface_meshes

Array = NDArray[np.float64]

_FARTHEST = 20.0  # metres


@dataclass(frozen=True, eq=False)
class SeenSurface:
    """Points of the arm that a camera sees, N of them.

    Attributes:
        points: (N, 3) metres, base frame.
        normals: (N, 3) unit vectors out of the arm, base frame.
        depths: (N,) metres along the optical axis.
        places: (N,) which of the rays they were hit by.
    """

    points: Array
    normals: Array
    depths: Array
    places: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.points)


class ArmSurface:
    """The surface of a robot, at rest in poses that are given: its true one where known, else its coarse shapes.

    Args:
        robot: whose surface it is.

    Attributes:
        is_true: whether it is the true one, not that of coarse shapes.
    """

    def __init__(self, robot: RobotDescription) -> None:
        self.robot = robot
        meshes = surface_meshes(robot)
        self.is_true = bool(meshes)
        self._model = mujoco.MjModel.from_xml_string(_with_meshes(robot_mjcf(robot), meshes))
        self._data = mujoco.MjData(self._model)

    def seen(self, joints: Mapping[str, float], base_from_camera: Array, rays: Array) -> SeenSurface:
        """The first points of the arm that rays of a camera meet.

        Args:
            joints: joint name to radians, metres for fingers; fingers that are left out are closed.
            base_from_camera: (4, 4).
            rays: (N, 2) x and y at z = 1, as :func:`ray_grid` gives them.
        """
        self._move_to(joints)
        count = len(rays)
        directions = np.concatenate([rays, np.ones((count, 1))], axis=1) @ base_from_camera[:3, :3].T
        geoms, lengths, normals = np.empty(count, np.int32), np.empty(count), np.empty(3 * count)
        origin = np.ascontiguousarray(base_from_camera[:3, 3])
        mujoco.mj_multiRay(
            self._model, self._data, origin, directions.ravel(), None, 1, -1, geoms, lengths, normals, count, _FARTHEST
        )
        hit = np.flatnonzero(geoms >= 0)
        # A ray reaches one metre forward, so that its length to the hit is the depth.
        points = origin + lengths[hit, None] * directions[hit]
        return SeenSurface(points, normals.reshape(-1, 3)[hit], lengths[hit], hit)

    def _move_to(self, joints: Mapping[str, float]) -> None:
        for name in (*self.robot.arm_joint_names, *self.robot.finger_joint_names):
            if name in joints:
                self._data.joint(name).qpos[0] = joints[name]
        mujoco.mj_kinematics(self._model, self._data)


def _with_meshes(document: str, meshes: Mapping[str, SurfaceMesh]) -> str:
    """An MJCF document in which the links of those names have their meshes in place of their shapes."""
    root = ElementTree.fromstring(document)
    assets = ElementTree.SubElement(root, "asset")
    for body in root.iter("body"):
        name = body.get("name", "")
        if name in meshes:
            for geom in body.findall("geom"):
                body.remove(geom)
            vertices, faces = (
                " ".join(f"{number:.6g}" for number in values.ravel())
                for values in (meshes[name].vertices, meshes[name].faces)
            )
            ElementTree.SubElement(assets, "mesh", name=name, vertex=vertices, face=faces, inertia="shell")
            ElementTree.SubElement(body, "geom", type="mesh", mesh=name, mass="1")
    return ElementTree.tostring(root, encoding="unicode")


class RayGrid(NamedTuple):
    """Every so manieth pixel of a camera.

    Attributes:
        rows, columns: (N,) pixels.
        rays: (N, 2) x and y at z = 1.
        shape: (rows, columns) of the grid.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    rays: Array
    shape: tuple[int, int]


def ray_grid(lens: Lens, stride: int) -> RayGrid:
    """Pixels of a lens, one in ``stride`` each way, row by row."""
    rows, columns = np.meshgrid(
        np.arange(stride // 2, lens.height, stride), np.arange(stride // 2, lens.width, stride), indexing="ij"
    )
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    return RayGrid(rows.ravel(), columns.ravel(), lens.rays(pixels), rows.shape)
