"""A picture of a cell: cameras with what they see, table, workspace, boxes, the arm at home and how far it reaches."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mini_diffuser_ros.cell import Cell, CellCamera
from mini_diffuser_ros.cell.cell import frame_from_optical
from mini_diffuser_ros.cell.fitting import USUAL_VIEW
from mini_diffuser_ros.cell.robot_shape import RobotShape, shape_of
from mini_diffuser_ros.cell.rotations import has_pose
from mini_diffuser_ros.geometry import axis_angle_matrix, transform_points
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.support.drawing import Color, Wireframe, draw_cloud
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

_TABLE: Color = (150, 120, 80)
_WORKSPACE: Color = (40, 140, 60)
_BOX: Color = (120, 120, 120)
_ARM: Color = (60, 60, 60)
_REACH: Color = (150, 170, 210)
_CAMERAS: tuple[Color, ...] = ((220, 30, 60), (40, 90, 200), (245, 140, 20), (120, 80, 200), (20, 140, 140))
_VIEW_DEPTH = 0.25  # metres that the cone of a camera's view is drawn
_FARTHEST = 5.0  # metres from the base; what stands farther away is a mistake, and would shrink the rest to a dot
_CIRCLE = np.linspace(0.0, 2.0 * np.pi, 49)


def draw_cell(cell: Cell) -> Image.Image | None:
    """A picture of a cell as far as its parts can be placed; None if its robot is not known."""
    try:
        shape = shape_of(cell.robot)
    except UserError:
        return None
    lines = [
        *_table(cell, shape),
        Wireframe(_box_edges(np.eye(4), np.array(cell.workspace.lower), np.array(cell.workspace.upper)), _WORKSPACE),
        *(_static_boxes(cell)),
        *_arm(shape),
        *_cameras(cell, shape),
    ]
    shown = [wire for wire in lines if np.isfinite(wire.edges).all() and np.abs(wire.edges).max() < _FARTHEST]
    nothing = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), shape.robot.base_frame)
    title = f"{cell.robot}: {', '.join(cell.cameras)}; green: workspace, brown: table, blue circle: reach"
    return draw_cloud(nothing, title=title, wireframes=shown)


def _table(cell: Cell, shape: RobotShape) -> list[Wireframe]:
    """The table top as a square about the base, and on it the circle that the arm reaches."""
    height = cell.table.height
    half = shape.reach
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    square = np.column_stack([corners, np.full(4, height)])
    wires = [Wireframe(np.stack([square, np.roll(square, -1, axis=0)], axis=1), _TABLE, "table")]
    above = height - shape.shoulder[2]
    if abs(above) < shape.reach:
        radius = np.sqrt(shape.reach**2 - above**2)
        ring = np.stack([radius * np.cos(_CIRCLE), radius * np.sin(_CIRCLE), np.full(len(_CIRCLE), height)], axis=1)
        wires.append(Wireframe(np.stack([ring[:-1], ring[1:]], axis=1), _REACH, "reach"))
    return wires


def _static_boxes(cell: Cell) -> list[Wireframe]:
    wires = []
    for box in cell.boxes:
        pose = axis_angle_matrix((0.0, 0.0, 1.0), box.yaw)
        pose[:3, 3] = box.center
        half = np.array(box.half_extents)
        wires.append(Wireframe(_box_edges(pose, -half, half), _BOX, box.name))
    return wires


def _arm(shape: RobotShape) -> list[Wireframe]:
    """The arm at home: a line from joint to joint."""
    places = shape.links_at_home
    edges = [(places[joint.parent][:3, 3], places[joint.child][:3, 3]) for joint in shape.robot.joints]
    return [Wireframe(np.array(edges), _ARM, shape.robot.name, width=3)]


def _cameras(cell: Cell, shape: RobotShape) -> list[Wireframe]:
    wires = []
    for index, (name, camera) in enumerate(cell.cameras.items()):
        if camera.parent in shape.links_at_home and has_pose(camera):
            frame = shape.links_at_home[camera.parent] @ camera.parent_from_camera
            pose = frame @ frame_from_optical(cell.frame_of(name))
            wires.append(Wireframe(_frustum(pose, camera), _CAMERAS[index % len(_CAMERAS)], name, width=2))
    return wires


def _frustum(base_from_optical: Array, camera: CellCamera) -> Array:
    """Edges (8, 2, 3) of the pyramid that a camera sees, in the base frame."""
    lens = camera.intrinsics
    if lens is None:
        left, top = -USUAL_VIEW[0], -USUAL_VIEW[1]
        right, bottom = USUAL_VIEW
    else:
        left, right = -lens.cx / lens.fx, (lens.width - lens.cx) / lens.fx
        top, bottom = -lens.cy / lens.fy, (lens.height - lens.cy) / lens.fy
    slopes = np.array([(left, top, 1.0), (right, top, 1.0), (right, bottom, 1.0), (left, bottom, 1.0)])
    far = transform_points(base_from_optical, _VIEW_DEPTH * slopes)
    near = np.broadcast_to(base_from_optical[:3, 3], far.shape)
    return np.concatenate([np.stack([near, far], axis=1), np.stack([far, np.roll(far, -1, axis=0)], axis=1)])


def _box_edges(base_from_box: Array, low: Array, high: Array) -> Array:
    """Edges (12, 2, 3) of a box with corners ``low`` and ``high`` in its own frame."""
    corners = np.array(list(product((0, 1), repeat=3)))
    pairs = [(a, b) for a in range(8) for b in range(a) if np.abs(corners[a] - corners[b]).sum() == 1]
    placed = transform_points(base_from_box, low + corners * (high - low))
    return np.asarray(placed[np.array(pairs)])
