"""Boxes on a table: what cameras would see of them, and contacts of an arm with them, itself and the table.

Nothing of it is shared with the planner: boxes and shapes of the arm are MuJoCo's, with fingers wide open.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import StaticBox
from mini_diffuser_ros.robots import RobotDescription, robot_mjcf

Array = NDArray[np.float64]

LOWER, UPPER = (0.2, -0.5), (0.8, 0.5)  # metres, of the boxes' middles
SMALLEST, LARGEST = (0.015, 0.015, 0.015), (0.05, 0.05, 0.1)  # half extents
TRIES = 10  # places for each box
SPACING = 0.006  # metres between points on a surface, about
NOISE = 0.001  # metres
TABLE_POINTS = 2000
AWAY = (0.0, 0.0, -10.0)  # where boxes are that are not there


class ClutteredTable:
    """An arm at a table on which boxes can be put.

    Args:
        robot: the arm.
        boxes: most boxes at a time.
    """

    def __init__(self, robot: RobotDescription, boxes: int) -> None:
        spec = mujoco.MjSpec.from_string(robot_mjcf(robot))
        table = spec.worldbody.add_body(name="table")
        table.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(1.0, 1.0, 0.1))
        first_link = next(joint.child for joint in robot.joints if joint.kind == "revolute")
        spec.add_exclude(bodyname1="table", bodyname2=first_link)  # it turns inside the base, on the table
        for number in range(boxes):
            body = spec.worldbody.add_body(name=f"box {number}", mocap=True)
            body.add_geom(name=f"box {number}", type=mujoco.mjtGeom.mjGEOM_BOX, size=LARGEST)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._robot = robot
        self._names = [self._model.body(body).name for body in self._model.geom_bodyid]
        links = {link.name for link in robot.links}
        self._of_arm = np.array([name in links for name in self._names])
        self._box_geoms = [self._model.geom(f"box {number}").id for number in range(boxes)]
        self._joints = [self._model.joint(name).qposadr[0] for name in robot.arm_joint_names]
        for name in robot.finger_joint_names:
            self._data.qpos[self._model.joint(name).qposadr[0]] = robot.finger_position_limits[1]
        self.boxes: list[StaticBox] = []
        self._put(())

    def clutter(
        self, generator: np.random.Generator, free: Sequence[Array], tools: Sequence[Array], gap: float, reach: float
    ) -> None:
        """Put boxes at random places.

        Args:
            generator: of places and sizes.
            free: joint positions (J,) of the arm from which every box is at least ``gap`` metres away.
            tools: places (3,) from which they are at least ``reach`` metres away.
        """
        self.boxes = []
        for _ in self._box_geoms:
            for _ in range(TRIES):
                box = _drawn_box(generator, len(self.boxes))
                if all(_distance(box, tool) >= reach for tool in tools):
                    self._put([*self.boxes, box])
                    if all(self._gap(positions) >= gap for positions in free):
                        self.boxes.append(box)
                        break
        self._put(self.boxes)

    def cloud(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """(N, 3) metres, noisy points on the boxes, but not beneath them, and on the table."""
        plane = np.append(generator.uniform((0.1, -0.6), (0.9, 0.6), (TABLE_POINTS, 2)), np.zeros((TABLE_POINTS, 1)), 1)
        points = np.concatenate([plane, *(_surface(box, generator) for box in self.boxes)])
        return (points + generator.normal(0.0, NOISE, points.shape)).astype(np.float32)

    def touch(self, positions: Array) -> str | None:
        """What the arm touches at joint positions (J,), in words."""
        self._place(positions)
        mujoco.mj_collision(self._model, self._data)
        contact = self._data.contact
        if not len(contact.dist):
            return None
        touching = self._of_arm[contact.geom].any(axis=1) & (contact.dist < 0.0)
        if not touching.any():
            return None
        index = int(np.flatnonzero(touching)[0])
        first, second = (self._names[geom] for geom in contact.geom[index])
        return f"{first} and {second}, {contact.dist[index]:.4f} m"

    def _put(self, boxes: Sequence[StaticBox]) -> None:
        self._data.mocap_pos[:] = AWAY
        for number, box in enumerate(boxes):
            self._data.mocap_pos[number] = box.center
            self._data.mocap_quat[number] = (np.cos(box.yaw / 2.0), 0.0, 0.0, np.sin(box.yaw / 2.0))
            self._model.geom_size[self._box_geoms[number]] = box.half_extents
            self._model.geom_rbound[self._box_geoms[number]] = np.linalg.norm(box.half_extents)
            self._model.geom_aabb[self._box_geoms[number]] = (0.0, 0.0, 0.0, *box.half_extents)

    def _gap(self, positions: Array) -> float:
        """Metres between the arm at (J,) and the box put last."""
        self._place(positions)
        box = self._box_geoms[len(self.boxes)]
        arm = np.flatnonzero(self._of_arm)
        return min(mujoco.mj_geomDistance(self._model, self._data, geom, box, 1.0, None) for geom in arm)

    def _place(self, positions: Array) -> None:
        self._data.qpos[self._joints] = positions
        mujoco.mj_kinematics(self._model, self._data)


def _drawn_box(generator: np.random.Generator, number: int) -> StaticBox:
    length, width, height = map(float, generator.uniform(SMALLEST, LARGEST))
    x, y = map(float, generator.uniform(LOWER, UPPER))
    return StaticBox(f"box {number}", (x, y, height), (length, width, height), generator.uniform(-1.5, 1.5))


def _distance(box: StaticBox, place: Array) -> float:
    """Metres from a box to a place (3,)."""
    offset = np.asarray(place) - box.center
    cosine, sine = np.cos(box.yaw), np.sin(box.yaw)
    local = np.array([cosine * offset[0] + sine * offset[1], cosine * offset[1] - sine * offset[0], offset[2]])
    return float(np.linalg.norm(np.maximum(np.abs(local) - box.half_extents, 0.0)))


def _surface(box: StaticBox, generator: np.random.Generator) -> Array:
    """(N, 3) points on the sides and the top of a box."""
    half = np.array(box.half_extents)
    faces = []
    for axis, side in ((0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0), (2, 1.0)):
        across = np.delete(half, axis)
        count = int(np.ceil(4.0 * across[0] * across[1] / SPACING**2))
        face = generator.uniform(-half, half, (count, 3))
        face[:, axis] = side * half[axis]
        faces.append(face)
    local = np.concatenate(faces)
    cosine, sine = np.cos(box.yaw), np.sin(box.yaw)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(local @ turn.T + box.center)
