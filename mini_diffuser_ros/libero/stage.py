"""What a scripted expert knows of a LIBERO environment: everything that there is to know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.libero.arm import LiberoArm
from mini_diffuser_ros.libero.environment import LiberoEnvironment
from mini_diffuser_ros.libero.goals import Fact, read_bddl
from mini_diffuser_ros.libero.measured_scene import MeasuredScene
from mini_diffuser_ros.motion import MotionPlanner, MotionRefused

Array = NDArray[np.float64]


class LiberoStage:
    """The state of an environment as it is whenever it is asked.

    Args:
        environment: that is laid out.
        arm: in it.
        planner: with which the arm is moved.

    Attributes:
        scene: where things are.
        bddl: what is asked for.
    """

    def __init__(self, environment: LiberoEnvironment, arm: LiberoArm, planner: MotionPlanner) -> None:
        self.scene = MeasuredScene(environment.model, environment.data)
        self.bddl = read_bddl(environment.task.bddl_file.read_text(encoding="utf-8"))
        self._environment, self._arm, self._planner = environment, arm, planner

    def holds(self, fact: Fact) -> bool:
        """By LIBERO's own predicates."""
        return self._environment.holds((fact.predicate, *fact.arguments))

    def base_from_tool(self) -> Array:
        """(4, 4), measured."""
        return self._arm.tcp_pose()

    def reaches(self, base_from_tool: Array) -> bool:
        """Whether there is a way of the arm to it from where it is."""
        try:
            self._planner.plan(self._arm.positions(), pose_from_matrix(base_from_tool))
        except MotionRefused:
            return False
        return True
