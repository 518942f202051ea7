"""True surfaces of a robot's links, where its folder has them; shapes in ``model.yaml`` are coarse.

``model.npz`` beside ``model.yaml`` and ``tool.npz`` beside ``tool.yaml`` hold ``<link>_vertices`` (V, 3), whole
tenths of a millimetre in the link frame, and ``<link>_faces`` (F, 3), triangles by their vertices. No robot of this
package has them: makers' meshes are theirs. Those of franka_description, thinned to 1600 triangles a link, are within
2.5 mm of each other for FER and FR3; docs/calibration.md shows how a folder of one's own gets them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots.description import RobotDescription

_UNIT = 1e-4  # metres


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """Triangles of a link.

    Attributes:
        vertices: (V, 3) metres, link frame.
        faces: (F, 3) numbers of vertices.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def surface_meshes(robot: RobotDescription) -> dict[str, SurfaceMesh]:
    """Mesh by ROS frame of those links whose surface is known; none for a robot without such a file."""
    meshes = {}
    for file in robot.surface_files:
        with np.load(file, allow_pickle=False) as arrays:
            for link in robot.links:
                name = link.name.removeprefix(robot.prefix)
                if f"{name}_faces" in arrays:
                    vertices = _UNIT * arrays[f"{name}_vertices"].astype(np.float64)
                    meshes[link.name] = SurfaceMesh(vertices, arrays[f"{name}_faces"].astype(np.int64))
    return meshes
