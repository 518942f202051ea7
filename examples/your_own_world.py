"""A world of your own, in which policies are evaluated and demonstrations recorded, see docs/worlds.md.

python examples/your_own_world.py [SEED]
mini-diffuser eval models/tabletop --world examples/your_own_world.py:Blocks --episodes 5
mini-diffuser record --world examples/your_own_world.py:Blocks --episodes 5 --out recordings/blocks
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mini_diffuser_ros.geometry import pose_from_matrix, top_down_quaternion
from mini_diffuser_ros.motion import AllRefused, MotionPlanner
from mini_diffuser_ros.records import CameraView, KeyframeMode
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running import KeyframeAction, LaidTask, MotionReport, SeenWorld, run_instruction
from mini_diffuser_ros.simulation.cameras import look_at

COLORS = {"red": (220, 15, 15), "green": (20, 160, 30)}
BLOCK, FINGER, TABLE = (np.array(half) for half in ((0.02, 0.02, 0.02), (0.01, 0.005, 0.01), (0.6, 0.8, 0.5)))
CAMERAS = {"front": ((1.35, 0, 1), (0.6, 0, 0.05)), "left_shoulder": ((0.05, 0.8, 0.95), (0.59, 0, 0.05))}


@dataclass(frozen=True)
class BlocksSettings:
    """What --world-options can change.

    Attributes:
        image_size: width and height of the images, pixels.
    """

    image_size: int = 192


class Blocks:
    """A gripper that closes at a block takes it along, and one that opens leaves it there, on the table or not."""

    Settings = BlocksSettings
    name, robot, tasks = "blocks", "panda", ("red_on_green", "green_on_red")

    def __init__(self, settings: BlocksSettings) -> None:
        self.size, self.arm = settings.image_size, load_robot(self.robot)
        self.planner = MotionPlanner(self.arm)

    def lay_out(self, task: str, seed: int) -> LaidTask:
        places = np.random.default_rng(seed).uniform((0.4, 0.05), (0.6, 0.25), (2, 2)) * [[1, 1], [1, -1]]
        self.blocks = {name: np.array([*place, 0.02]) for name, place in zip(COLORS, places, strict=True)}
        self.top, self.bottom = task.split("_on_")
        self.joints, self.open, self.held = self.arm.home, True, ""
        return LaidTask((f"stack the {self.top} block on the {self.bottom} block",))

    def settle(self, seconds: float) -> None:
        """Nothing moves by itself here."""

    def views(self) -> Sequence[CameraView]:
        sides = np.outer([1, -1], [0, 0.045 if self.open else 0.025, 0])
        boxes = [(center, BLOCK, COLORS[name]) for name, center in self.blocks.items()]
        boxes += [(self.tcp_pose()[:3] + side, FINGER, (40, 40, 44)) for side in sides]
        return [self._view(name, boxes, look_at(*places)) for name, places in CAMERAS.items()]

    def joint_positions(self) -> Mapping[str, float]:
        names, finger = (*self.arm.arm_joint_names, *self.arm.finger_joint_names), 0.04 if self.open else 0.02
        return dict(zip(names, (*self.joints, finger, finger), strict=True))

    def tcp_pose(self) -> np.ndarray:
        return pose_from_matrix(self.arm.tcp_pose(self.joints))

    def gripper_is_open(self) -> bool:
        return self.open

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        try:  # an arm would follow the planned trajectory then
            planned = self.planner.plan_first(self.joints, candidates)
        except AllRefused as error:
            return MotionReport(None, str(error), tuple(map(str, error.refusals)))
        self.joints, self.open = planned.trajectory.positions[-1], candidates[planned.index].gripper_open
        tool = self.tcp_pose()[:3]
        self.blocks |= {self.held: tool} if self.held else {}
        at_hand = [name for name, center in self.blocks.items() if np.linalg.norm(tool - center) < 0.02]
        self.held = "" if self.open else "".join(at_hand[:1])
        return MotionReport(planned.index, f"holding {self.held or 'nothing'}", reached=self.tcp_pose())

    def success(self) -> bool:
        apart = self.blocks[self.top] - self.blocks[self.bottom]
        return bool(np.abs(apart - [0, 0, 0.04]).max() < 0.015) and not self.held

    def close(self) -> None:
        """There is nothing to give back."""

    def expert(self) -> Iterator[KeyframeAction]:
        top, bottom = self.blocks[self.top], self.blocks[self.bottom] + [0, 0, 0.04]
        grasp = ((top, 0.1, True), (top, 0, False), (top, 0.15, False))
        for (x, y, z), lift, is_open in (*grasp, (bottom, 0.1, False), (bottom, 0, True), (bottom, 0.1, True)):
            yield KeyframeAction(np.array([x, y, z + lift, *top_down_quaternion(0)]), is_open)

    def _view(self, name: str, boxes: list, base_from_camera: np.ndarray) -> CameraView:
        """Rays that end at the nearest box, or at the table."""
        middle, focal = (self.size - 1) / 2, 1.2 * self.size
        across, down = np.meshgrid(*[(np.arange(self.size) - middle) / focal] * 2)
        rays = np.stack([across, down, np.ones_like(down)], -1) @ base_from_camera[:3, :3].T
        depth, color = np.zeros(rays.shape[:2]), np.zeros(rays.shape, np.uint8)
        for center, half, paint in (*boxes, (np.array([0.5, 0, -0.5]), TABLE, (170, 160, 150))):
            ends = (np.stack([center - half, center + half])[:, None, None] - base_from_camera[:3, 3]) / rays
            enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
            seen = (enter < leave) & ((enter < depth) | (depth == 0))
            depth[seen], color[seen] = enter[seen], paint
        intrinsics = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
        return CameraView(name, color, depth.astype(np.float32), intrinsics, base_from_camera)


if __name__ == "__main__":
    from mini_diffuser_ros.policy import load_policy

    # Without what it knows of itself: it would find this world too unlike the scenes that it was taught in.
    policy = load_policy(Path(__file__).parents[1] / "models" / "tabletop", with_knowledge=False)
    world = Blocks(BlocksSettings())
    laid = world.lay_out("red_on_green", seed=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    result = run_instruction(SeenWorld(world, policy.fusion), policy, laid.sentences[0])
    print(f"{result.ending.value} after {result.keyframes} keyframes: {result.message}")
    print(f"the task is {'done' if world.success() else 'not done'}")
