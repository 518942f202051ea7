"""The tool's motion is that of its place and rotation, and no larger between instants than its bounds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion.chain import ArmChain
from mini_diffuser_ros.motion.tool_motion import tool_bounds, tool_motion
from mini_diffuser_ros.robots import RobotDescription

SEEDS = st.integers(0, 2**32 - 1)
STEP = 1e-5  # seconds


def moving(robot: RobotDescription, seed: int) -> np.ndarray:
    """(5, J) position and four derivatives of joints that move along polynomials."""
    generator = np.random.default_rng(seed)
    state = generator.normal(size=(5, len(robot.home))) * generator.uniform(0.1, 3.0, (5, 1))
    return np.concatenate([generator.uniform(*robot.position_limits.T)[None], state[1:]])


def states(polynomial: np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """Positions and their first four derivatives (N, J) at times (N,)."""
    powers = polynomial / np.array([1.0, 1.0, 2.0, 6.0, 24.0])[:, None]
    found = []
    for _ in range(5):
        found.append(sum(times[:, None] ** k * power for k, power in enumerate(powers)))
        powers = powers[1:] * np.arange(1.0, len(powers))[:, None]
    return found


def turning_velocities(rotations: np.ndarray, step: float) -> np.ndarray:
    """(N - 1, 3) rad/s between rotations (N, 3, 3)."""
    change = rotations[1:] @ rotations[:-1].transpose(0, 2, 1)
    return 0.5 * (change[:, (2, 0, 1), (1, 2, 0)] - change[:, (1, 2, 0), (2, 0, 1)]) / step


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_tool_motion_is_how_place_and_rotation_change(robot: RobotDescription, seed: int) -> None:
    joints = states(moving(robot, seed), STEP * np.arange(-2.0, 3.0))

    motion = tool_motion(ArmChain(robot), *joints[:3])

    places, rotations = robot.tcp_motion(joints[0])
    turning = turning_velocities(rotations, STEP)
    np.testing.assert_allclose(motion.velocity[:, 2], (places[3] - places[1]) / (2.0 * STEP), atol=1e-6)
    np.testing.assert_allclose(motion.turning_velocity[:, 2], (turning[1] + turning[2]) / 2.0, atol=1e-6)
    for rate, change in (
        (motion.velocity, motion.acceleration),
        (motion.turning_velocity, motion.turning_acceleration),
    ):
        np.testing.assert_allclose(change[:, 2], (rate[:, 3] - rate[:, 1]) / (2.0 * STEP), atol=1e-5)


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_higher_derivatives_of_the_tool_are_within_their_bounds(robot: RobotDescription, seed: int) -> None:
    step, chain = 1e-3, ArmChain(robot)
    joints = states(moving(robot, seed), step * np.arange(200.0))

    most = [np.abs(values).max(axis=0)[:, None] for values in joints[1:]]
    bounds = tool_bounds(chain, *most)

    motion = tool_motion(chain, *joints[:3])
    for acceleration, third, fourth in (
        (motion.acceleration, bounds.third, bounds.fourth),
        (motion.turning_acceleration, bounds.turning_third, bounds.turning_fourth),
    ):
        jerk = np.diff(acceleration) / step
        assert np.linalg.norm(jerk, axis=0).max() <= third[0] + 1e-6
        assert np.linalg.norm(np.diff(jerk) / step, axis=0).max() <= fourth[0] + 1e-3


def test_bounds_are_reached_where_one_joint_turns_a_stretched_arm(robot: RobotDescription) -> None:
    chain = ArmChain(robot)
    still = np.zeros((len(robot.home), 1))
    turning = still.copy()
    turning[-1] = 2.0

    bounds = tool_bounds(chain, turning, still, still, still)

    # About a circle of radius r the third derivative is r w^3, the fourth r w^4.
    np.testing.assert_allclose(bounds.third, chain.link_lengths[-1] * 8.0)
    np.testing.assert_allclose(bounds.fourth, chain.link_lengths[-1] * 16.0)
    np.testing.assert_allclose(bounds.turning_third, 0.0)
