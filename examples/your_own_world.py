"""A world of your own in the loop that the nodes and every evaluation run: a class that can look and move.

python examples/your_own_world.py [SENTENCE]
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.motion import AllRefused, MotionPlanner
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running import MotionReport, run_instruction

COLORS = {"red": (220, 15, 15), "green": (20, 160, 30), "finger": (40, 40, 44)}
GRID = np.stack(np.meshgrid(*[np.linspace(-0.02, 0.02, 9)] * 3), -1).reshape(-1, 3)
CUBE = GRID[np.isclose(np.abs(GRID).max(axis=1), 0.02)]  # the surface of a block, 4 cm wide


class BlocksWithoutPhysics:
    """A gripper that closes at a block takes it along, and one that opens leaves it there, on the table or not."""

    def __init__(self) -> None:
        self.planner = MotionPlanner(load_robot("panda"))
        self.joints, self.held = self.planner.robot.home, ""
        self.blocks = {"red": np.array([0.45, -0.15, 0.02]), "green": np.array([0.55, 0.1, 0.02])}
        self.mode = KeyframeMode(np.array([0.45, 0.0, 0.3, *top_down_quaternion(0.0)]), True, False, 1.0, 0.0)

    def look(self, settle_time: float) -> Cloud:
        """Points of blocks and fingers; a world of cameras would wait, take images and fuse them."""
        sides = np.outer([1, -1], [0.0, 0.045 if self.mode.gripper_open else 0.025, 0.0])
        fingers = [CUBE * [0.5, 0.25, 0.5] + self.mode.pose[:3] + side for side in sides]
        points = np.concatenate([*(CUBE + center for center in self.blocks.values()), *fingers])
        colors = np.repeat([COLORS[name] for name in (*self.blocks, "finger", "finger")], len(CUBE), axis=0)
        return Cloud(points.astype(np.float32), colors.astype(np.uint8), "panda_link0")

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        """To the first candidate that is safe; an arm would follow the planned trajectory here."""
        try:
            planned = self.planner.plan_first(self.joints, candidates)
        except AllRefused as error:
            return MotionReport(None, str(error), tuple(map(str, error.refusals)))
        self.joints, self.mode = planned.trajectory.positions[-1], candidates[planned.index]
        tool = self.mode.pose[:3]
        self.blocks |= {self.held: tool} if self.held else {}
        at_hand = [name for name, center in self.blocks.items() if np.linalg.norm(tool - center) < 0.02]
        self.held = "" if self.mode.gripper_open else "".join(at_hand[:1])
        print(f"tool at {tool.round(3)} m, holding {self.held or 'nothing'}")
        return MotionReport(planned.index, "reached")


# Without what it knows of itself: it would find this world too unlike the scenes that it was taught in.
world, policy = BlocksWithoutPhysics(), load_policy(Path(__file__).parents[1] / "models/tabletop", with_knowledge=False)
result = run_instruction(world, policy, " ".join(sys.argv[1:]) or "stack the red block on the green block")
print(f"{result.ending.value} after {result.keyframes} keyframes: {result.message}")
print({name: center.round(3).tolist() for name, center in world.blocks.items()})
