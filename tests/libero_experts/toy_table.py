"""A table of toys under LIBERO's names, and a stage on which a hand without an arm does at once what it is told."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.libero.goals import BddlTask, Fact, read_bddl
from mini_diffuser_ros.libero.measured_scene import MeasuredScene
from mini_diffuser_ros.running.task_world import KeyframeAction

Array = NDArray[np.float64]

BASE_HEIGHT = 0.9
BOWL_RADIUS = 0.055
BAR = (0.6, -0.13, 0.15)
"""Middle of the drawer's bar, metres in the base frame, while it is closed; it is pulled along +y."""


def _ring(radius: float, height: float, count: int = 24) -> str:
    walls = []
    for number in range(count):
        angle = 2.0 * np.pi * number / count
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        half = np.pi * radius / count
        for group in (0, 1):
            walls.append(
                f'<geom type="box" group="{group}" size="0.003 {half} {height / 2}" pos="{x} {y} {height / 2}" '
                f'euler="0 0 {angle}"/>'
            )
    return "".join(walls)


def _box(x: float, y: float, z: float, at: str = "0 0 0") -> str:
    return "".join(f'<geom type="box" group="{group}" size="{x} {y} {z}" pos="{at}"/>' for group in (0, 1))


def toy_model(extra: str = "") -> tuple[mujoco.MjModel, mujoco.MjData]:
    """A flat box, a bowl, a plate and a cabinet with one drawer on a table; ``extra`` bodies in the world's frame."""
    bar = " ".join(str(value) for value in (BAR[0], BAR[1], BAR[2] + BASE_HEIGHT))
    plate = _box(0.06, 0.06, 0.004, "0 0 0.004")
    model = mujoco.MjModel.from_xml_string(
        f"""
        <mujoco>
          <compiler angle="radian"/>
          <worldbody>
            <body name="robot0_base" pos="0 0 {BASE_HEIGHT}"><geom size="0.05"/></body>
            <body name="table" pos="0.6 0 {BASE_HEIGHT - 0.02}">{_box(0.5, 0.6, 0.02)}
              <site name="table_corner_region" type="box" size="0.05 0.05 0.01" pos="0.1 0.3 0.02"/>
            </body>
            <body name="cheese_1_main" pos="0.5 -0.03 {BASE_HEIGHT + 0.01}"><freejoint/>{_box(0.04, 0.02, 0.01)}</body>
            <body name="bowl_1_main" pos="0.5 0.15 {BASE_HEIGHT}"><freejoint/>{_ring(BOWL_RADIUS, 0.05)}</body>
            <body name="plate_1_main" pos="0.7 0.1 {BASE_HEIGHT}"><freejoint/>{plate}</body>
            <body name="cabinet_1_main" pos="0 0 0">
              <body name="cabinet_1_top">
                <joint name="cabinet_1_top_level" type="slide" axis="0 -1 0" range="-0.16 0.01"/>
                {_box(0.1, 0.09, 0.03, f"{BAR[0]} {BAR[1] - 0.13} {BAR[2] + BASE_HEIGHT}")}
                {_box(0.04, 0.006, 0.006, bar)}
                <site name="cabinet_1_top_region" type="box" size="0.1 0.09 0.03" pos="0.6 -0.26 {BASE_HEIGHT + 0.15}"/>
              </body>
            </body>
            {extra}
          </worldbody>
        </mujoco>
        """
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def toy_task(goal: str) -> BddlTask:
    """A task on the toy table."""
    return read_bddl(
        f"""(define (problem toys) (:language tidy up)
        (:regions (corner_region (:target table)) (top_region (:target cabinet_1)))
        (:fixtures table - table cabinet_1 - cabinet)
        (:objects cheese_1 - cheese bowl_1 - bowl plate_1 - plate)
        (:init) (:goal (And {goal})))"""
    )


class ToyStage:
    """Carries out what an expert wants: what the hand closes around moves with it from then on.

    Args:
        goal: of the task, in BDDL.
        slips: grasps that hold nothing.
        out_of_reach: places, (3,) metres, with this distance of which the arm does not come.
    """

    def __init__(
        self, goal: str, slips: int = 0, extra: str = "", out_of_reach: tuple[Array, float] | None = None
    ) -> None:
        self.model, self.data = toy_model(extra)
        self.scene = MeasuredScene(self.model, self.data)
        self.bddl = toy_task(goal)
        self.slips = slips
        self._out_of_reach = out_of_reach
        self._tool = matrix_from_pose((0.45, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0))
        self._open = True
        self._held: str | None = None

    def holds(self, fact: Fact) -> bool:
        """On and in: the origin is within 3 cm; open: half of its way."""
        if fact.predicate == "open":
            return bool(self.data.joint("cabinet_1_top_level").qpos[0] < -0.14)
        if fact.predicate == "close":
            return bool(self.data.joint("cabinet_1_top_level").qpos[0] >= 0.0)
        thing, place = fact.arguments
        there = self.scene.region(place)[0] if self.scene.has_region(place) else self.scene.pose(place)
        return self._held is None and bool(np.linalg.norm((self.scene.pose(thing) - there)[:2, 3]) < 0.03)

    def base_from_tool(self) -> Array:
        """Where the hand is."""
        return self._tool.copy()

    def reaches(self, base_from_tool: Array) -> bool:
        """Everywhere but out of reach."""
        if self._out_of_reach is None:
            return True
        place, radius = self._out_of_reach
        return bool(np.linalg.norm(base_from_tool[:3, 3] - place) > radius)

    def carry_out(self, action: KeyframeAction) -> None:
        """Move, then grip."""
        before, self._tool = self._tool, matrix_from_pose(action.pose)
        if self._held == "cabinet_1_top":
            joint = self.data.joint("cabinet_1_top_level")
            joint.qpos[0] = np.clip(joint.qpos[0] - (self._tool - before)[1, 3], -0.16, 0.01)
        elif self._held is not None:
            joint = int(self.model.body(self._held).jntadr[0])
            address = self.model.jnt_qposadr[joint]
            self.data.qpos[address : address + 3] += (self._tool - before)[:3, 3]
        if action.gripper_open != self._open:
            self._open = action.gripper_open
            self._held = None if self._open else self._around()
        mujoco.mj_forward(self.model, self.data)

    def _around(self) -> str | None:
        """What is between the fingers, that nearest to the tool."""
        if self.slips:
            self.slips -= 1
            return None
        near = {}
        for name in ("cheese_1_main", "bowl_1_main", "cabinet_1_top"):
            points = self.scene.points(name) - self._tool[:3, 3]
            near[name] = float(np.linalg.norm(points, axis=1).min())
        name = min(near, key=near.__getitem__)
        return name if near[name] < 0.012 else None
