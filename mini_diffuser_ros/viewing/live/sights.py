"""What is seen, small enough to be sent several times a second: clouds, the arm, lines, pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mini_diffuser_ros.geometry import pose_from_matrix, transform_points
from mini_diffuser_ros.records import Cloud, StaticBox, Workspace
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.robots.description import Box, Capsule, Geom
from mini_diffuser_ros.robots.surface import surface_meshes
from mini_diffuser_ros.support.drawing import GripperGlyph, Wireframe, drawable
from mini_diffuser_ros.viewing.scene import gripper_values, whole_steps, wire_values

MOST_POINTS = 8000
"""Of a cloud: more than a window has places for."""
REMEMBERED_COLOR = (158, 90, 200)
"""Of points that are in the way though no camera shows them now."""
ARM_COLOR = (120, 135, 165)
WORKSPACE_COLOR, BOX_COLOR, MEASURED_COLOR = (150, 155, 165), (190, 120, 20), (40, 50, 70)
PICTURE_WIDTH, PICTURE_QUALITY = 320, 70
_SPACING = 0.016  # metres between points of a surface
_MOST_VERTICES = 500  # of a link
_DARKEST = 0.55  # of a colour, where a surface looks down

Packed = tuple[dict[str, Any], bytes]
"""Values and content of a part."""


def packed_points(points: NDArray[np.floating], colors: NDArray[np.uint8]) -> Packed:
    """Points (N, 3), metres, with colours (N, 3) as live_scene.js reads them; what has no place is left out.

    The content is their steps of 16 bits, then their colours.
    """
    cloud, _, _, left_out = drawable(Cloud(points.astype(np.float32), colors, "", 0.0), (), ())
    if not len(cloud):
        return {"center": [0.0, 0.0, 0.0], "unit": 1.0, "count": 0, "left_out": left_out}, b""
    center, unit, steps = whole_steps(cloud.points, cloud.points.min(axis=0), cloud.points.max(axis=0))
    values = {"center": center.tolist(), "unit": unit, "count": len(cloud), "left_out": left_out}
    return values, steps.tobytes() + np.ascontiguousarray(cloud.colors).tobytes()


class DrawnArm:
    """Points on a robot's links, of their meshes where they are known, else of their coarse shapes."""

    def __init__(self, robot: RobotDescription) -> None:
        self._robot = robot
        meshes = surface_meshes(robot)
        self._links: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        for link in robot.links:
            if link.name in meshes:
                vertices = meshes[link.name].vertices
                points = vertices[:: max(1, len(vertices) // _MOST_VERTICES)]
                self._links[link.name] = (points, _outwards(points))
            elif link.geoms:
                pieces = [_surface(geom) for geom in link.geoms]
                points, normals = (np.concatenate(each) for each in zip(*pieces, strict=True))
                self._links[link.name] = (points, normals)

    def packed(self, positions: Mapping[str, float]) -> tuple[Packed, NDArray[np.float64]]:
        """The arm at joint positions by name, and the pose (7,) of its tool centre point.

        Raises:
            ValueError: a joint of the arm is missing or not finite.
        """
        poses = self._robot.forward_kinematics(positions)
        points, lights = [], []
        for name, (surface, normals) in self._links.items():
            points.append(transform_points(poses[name], surface))
            lights.append(normals @ poses[name][2, :3])
        light = _DARKEST + (1.0 - _DARKEST) * (0.5 + 0.5 * np.concatenate(lights))
        colors = (light[:, None] * np.array(ARM_COLOR)).astype(np.uint8)
        return packed_points(np.concatenate(points), colors), pose_from_matrix(poses[self._robot.tcp_frame])


@dataclass(frozen=True, kw_only=True)
class StandingThings:
    """What stands still in a cell.

    Attributes:
        workspace: in which the tool stays; None where it is not known.
        boxes: obstacles that never move.
    """

    workspace: Workspace | None = None
    boxes: tuple[StaticBox, ...] = ()


def lines_values(
    standing: StandingThings,
    candidates: Sequence[GripperGlyph],
    planned: Sequence[Wireframe],
    measured: Sequence[GripperGlyph],
) -> dict[str, Any]:
    """Lines of the scene, the last ones on top, and the corners of the box that is looked at.

    Args:
        standing: what stands still.
        candidates: keyframes that the policy proposes, the most probable first.
        planned: what the arm is about to do.
        measured: the gripper as it is.
    """
    space = standing.workspace or _SPACE
    frame = Wireframe(_box_edges(*_centre_of(space), 0.0), WORKSPACE_COLOR)
    boxes = [
        Wireframe(_box_edges(box.center, box.half_extents, box.yaw), BOX_COLOR, box.name) for box in standing.boxes
    ]
    _, grippers, wires, _ = drawable(_NOTHING, [*reversed(candidates), *measured], [*boxes, *planned])
    return {
        "low": [min(_BEHIND, space.lower[0]), space.lower[1], min(0.0, space.lower[2])],
        "high": list(space.upper),
        "lines": [
            *([{**wire_values(frame), "thin": True}] if standing.workspace else []),
            *map(wire_values, wires),
            *map(gripper_values, grippers),
        ],
    }


def packed_picture(color: NDArray[np.uint8]) -> Packed:
    """A picture (H, W, 3) as JPEG of at most PICTURE_WIDTH pixels in width."""
    skipped = max(1, color.shape[1] // (2 * PICTURE_WIDTH))  # of a large one the most, before anything is computed
    picture = Image.fromarray(np.ascontiguousarray(color[::skipped, ::skipped]))
    picture.thumbnail((PICTURE_WIDTH, 4 * PICTURE_WIDTH), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=PICTURE_QUALITY)
    return {"width": picture.width, "height": picture.height}, buffer.getvalue()


_SPACE = Workspace((0.15, -0.60, 0.0), (0.85, 0.60, 0.90))  # where nobody says another
_BEHIND = -0.15  # metres of x, so that the arm's base is seen
_NOTHING = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "", 0.0)


def _centre_of(space: Workspace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.array(space.lower), np.array(space.upper)
    return (low + high) / 2.0, (high - low) / 2.0


def _box_edges(center: Sequence[float] | NDArray[np.float64], half: Any, yaw: float) -> NDArray[np.float64]:
    """(12, 2, 3) edges of a box."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0.0], [math.sin(yaw), math.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    places = (corners * np.asarray(half)) @ turn.T + np.asarray(center)
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(corners[a] - corners[b]).sum() == 2.0]
    return np.array([[places[a], places[b]] for a, b in pairs])


def _surface(geom: Geom) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (N, 3) on a shape and their normals (N, 3), link frame."""
    rows = list(_capsule(geom) if isinstance(geom, Capsule) else _box(geom))
    values = np.array(rows, dtype=np.float64)
    rotation, middle = geom.link_from_geom[:3, :3], geom.link_from_geom[:3, 3]
    return values[:, :3] @ rotation.T + middle, values[:, 3:] @ rotation.T


def _capsule(geom: Capsule) -> Iterator[tuple[float, ...]]:
    """Rings of points with their normals."""
    half, radius = geom.length / 2.0, geom.radius
    steps = max(1, round(math.pi / 2.0 * radius / _SPACING))
    rings = [(z, 0.0) for z in np.linspace(-half, half, max(2, round(geom.length / _SPACING)))]
    tilts = [math.pi / 2.0 * step / steps for step in range(1, steps + 1)]
    rings += [(side * half, side * tilt) for side in (-1.0, 1.0) for tilt in tilts]
    for z, tilt in rings:
        count = max(1, round(2.0 * math.pi * radius * math.cos(tilt) / _SPACING))
        for angle in np.arange(count) * 2.0 * math.pi / count:
            normal = (math.cos(tilt) * math.cos(angle), math.cos(tilt) * math.sin(angle), math.sin(tilt))
            yield radius * normal[0], radius * normal[1], z + radius * normal[2], *normal


def _box(geom: Box) -> Iterator[tuple[float, ...]]:
    """Grids of points on the six faces with their normals."""
    half = geom.half_extents
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        counts = [max(2, round(2.0 * half[each] / _SPACING) + 1) for each in (first, second)]
        for side in (-1.0, 1.0):
            for a in np.linspace(-half[first], half[first], counts[0]):
                for b in np.linspace(-half[second], half[second], counts[1]):
                    point, normal = np.zeros(3), np.zeros(3)
                    point[axis], point[first], point[second], normal[axis] = side * half[axis], a, b, side
                    yield (*point, *normal)


def _outwards(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions (N, 3) away from the middle, for normals."""
    away = points - points.mean(axis=0)
    return np.asarray(away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9))
