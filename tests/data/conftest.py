"""Episodes of random images, small enough to be written by the hundred."""

from collections.abc import Callable

import numpy as np
import pytest

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.records import CameraView, Cloud, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot

EpisodeMaker = Callable[..., Episode]

PANDA = load_robot("panda")


def _random_joints(rng: np.random.Generator) -> dict[str, float]:
    low, high = PANDA.position_limits.T
    arm = rng.uniform(low, high)
    return dict(zip(PANDA.arm_joint_names, arm.tolist(), strict=True)) | {"panda_finger_joint1": 0.04}


def _random_view(name: str, stamp: float, rng: np.random.Generator) -> CameraView:
    base_from_camera = np.diag([1.0, -1.0, -1.0, 1.0])  # looks straight down
    base_from_camera[:3, 3] = (0.5, 0.0, 1.0)
    return CameraView(
        name=name,
        color=rng.integers(0, 256, (24, 32, 3), dtype=np.uint8),
        depth=rng.uniform(0.5, 1.1, (24, 32)).astype(np.float32),
        intrinsics=np.array([[40.0, 0.0, 15.5], [0.0, 40.0, 11.5], [0.0, 0.0, 1.0]]),
        base_from_camera=base_from_camera,
        stamp=stamp,
    )


def random_episode(
    seed: int = 0, task: str = "stack_blocks", keyframes: int = 3, cameras: tuple[str, ...] = ("front", "wrist")
) -> Episode:
    """An episode with its images in memory."""
    rng = np.random.default_rng(seed)

    def keyframe(stamp: float) -> Keyframe:
        views = tuple(_random_view(name, stamp + 0.01, rng) for name in cameras)
        joints = _random_joints(rng)
        return Keyframe(
            pose=pose_from_matrix(PANDA.forward_kinematics(joints)[PANDA.tcp_frame]),
            gripper_open=bool(rng.integers(2)),
            stamp=stamp,
            load_cloud=lambda: Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "panda_link0"),
            load_views=lambda: views,
            joint_positions=joints,
        )

    frames = tuple(keyframe(1.5 * t) for t in range(keyframes))
    return Episode(task, 7, ("put a on b", "stelle ä auf ß"), frames, f"random seed {seed}")


@pytest.fixture
def make_episode() -> EpisodeMaker:
    """Makes episodes; see :func:`random_episode`."""
    return random_episode
