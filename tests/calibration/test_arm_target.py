"""The arm as its own target: found from far off, in any camera, and bad sets are refused with their cause."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.calibration.arm_scene import ArmShot
from mini_diffuser_ros.calibration.arm_surface import ArmSurface
from mini_diffuser_ros.calibration.arm_target import align_arm
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Array, Lens
from mini_diffuser_ros.calibration.rigid import matrix_from_vector, shift_between
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.arm_shots import arm_depth, camera_around_table, joints_above_table
from mini_diffuser_ros.simulation.cameras import look_at
from mini_diffuser_ros.simulation.depth_noise import StereoNoise

LENS = Lens(320, 240, np.array([[193.0, 0.0, 159.5], [0.0, 193.0, 119.5], [0.0, 0.0, 1.0]]))
SURFACES = {name: ArmSurface(load_robot(name)) for name in ("fr3", "ur5e")}


def off(pose: Array, random: np.random.Generator, metres: float = 0.10, degrees: float = 15.0) -> Array:
    """A pose so far off, in a direction of chance."""
    turn, move = random.standard_normal((2, 3))
    turn *= np.radians(degrees) / np.linalg.norm(turn)
    return pose @ matrix_from_vector([*turn, *(metres * move / np.linalg.norm(move))])


def shots(robot: str, camera: Array, random: np.random.Generator, count: int = 4, noisy: bool = True) -> list[ArmShot]:
    surface, noise = SURFACES[robot], StereoNoise()
    taken = []
    for index in range(count):
        joints = joints_above_table(surface.robot, random)
        depth = arm_depth(surface, joints, LENS, camera)
        taken.append(ArmShot(f"pose {index}", joints, noise.apply(depth, random) if noisy else depth))
    return taken


def refusal(taken: list[ArmShot], guess: Array, robot: str = "fr3") -> str:
    surface = SURFACES[robot]
    with pytest.raises(CalibrationError) as caught:
        align_arm(surface.robot, taken, LENS, surface.robot.base_frame, guess, surface)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(seed=st.integers(0, 2**31), robot=st.sampled_from(sorted(SURFACES)))
@settings(max_examples=3)
def test_a_camera_on_a_tripod_is_found_from_10_cm_and_15_degrees_off(seed: int, robot: str) -> None:
    random = np.random.default_rng(seed)
    camera = camera_around_table(random)
    surface = SURFACES[robot]
    taken = shots(robot, camera, random, count=5)
    found = align_arm(surface.robot, taken, LENS, surface.robot.base_frame, off(camera, random), surface)
    error = shift_between(found.parent_from_camera, camera)
    # A quarter of the pixels of a D435.
    assert error.metres < 0.01
    assert error.degrees < 0.5
    assert found.share > 0.8
    assert found.correction.degrees == pytest.approx(15.0, abs=1.0)


def test_without_noise_the_pose_is_exact() -> None:
    random = np.random.default_rng(5)
    camera, surface = camera_around_table(random), SURFACES["fr3"]
    taken = shots("fr3", camera, random, count=3, noisy=False)
    found = align_arm(surface.robot, taken, LENS, surface.robot.base_frame, off(camera, random), surface)
    assert shift_between(found.parent_from_camera, camera).metres < 1e-4
    assert found.residual < 1e-4


def test_a_camera_on_the_hand_is_found_by_the_fingers_and_the_arm() -> None:
    random = np.random.default_rng(6)
    surface = SURFACES["fr3"]
    robot = surface.robot
    hand_from_camera = look_at((0.12, 0.0, -0.05), (0.0, 0.0, 0.11), up=(1, 0, 0))
    taken = []
    for index in range(4):
        joints = joints_above_table(robot, random) | dict.fromkeys(robot.finger_joint_names, 0.03)
        camera = robot.forward_kinematics(joints)[robot.hand_frame] @ hand_from_camera
        taken.append(ArmShot(f"pose {index}", joints, arm_depth(surface, joints, LENS, camera)))
    guess = off(hand_from_camera, random, 0.03, 6.0)
    found = align_arm(robot, taken, LENS, robot.hand_frame, guess, surface)
    assert shift_between(found.parent_from_camera, hand_from_camera).metres < 2e-3


@pytest.fixture(scope="module")
def good() -> tuple[Array, list[ArmShot]]:
    random = np.random.default_rng(7)
    camera = camera_around_table(random)
    return camera, shots("fr3", camera, random)


def test_two_poses_are_too_few(good: tuple[Array, list[ArmShot]]) -> None:
    assert refusal(good[1][:2], good[0]).startswith("2 poses of the arm, needed are 3")


def test_frozen_joints_are_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    frozen = [replace(shot, joints=taken[0].joints) for shot in taken]
    assert "travels 0.0 cm" in refusal(frozen, camera)
    half = [*taken[:3], replace(taken[3], joints=taken[0].joints)]
    assert "have the same joints" in refusal(half, camera)


def test_depth_in_millimetres_is_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    assert "millimetres?" in refusal([replace(shot, depth=1000.0 * shot.depth) for shot in taken], camera)


def test_depth_without_values_is_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    taken = [*taken[:3], replace(taken[3], depth=np.zeros_like(taken[3].depth))]
    assert "pose 3 has values in 0%" in refusal(taken, camera)


def test_depth_of_another_resolution_is_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    taken = [replace(shot, depth=shot.depth[:, :300]) for shot in taken]
    assert "300x240 pixels" in refusal(taken, camera)


def test_joints_of_another_robot_are_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    assert "is it the robot ur5e?" in refusal(taken, camera, "ur5e")


def test_a_mirrored_picture_is_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    mirrored = [replace(shot, depth=np.ascontiguousarray(shot.depth[:, ::-1])) for shot in taken]
    message = refusal(mirrored, camera)
    assert "of the visible arm is measured where it has to be" in message or "leaving out one pose" in message


def test_a_guess_that_looks_away_is_refused(good: tuple[Array, list[ArmShot]]) -> None:
    camera, taken = good
    away = camera @ matrix_from_vector([0.0, np.pi, 0.0, 0.0, 0.0, 0.0])
    assert "sees nothing of the arm" in refusal(taken, away)


def test_a_camera_that_was_moved_in_between_is_refused() -> None:
    random = np.random.default_rng(8)
    camera = camera_around_table(random)
    taken = [*shots("fr3", camera, random, 2), *shots("fr3", off(camera, random, 0.03, 2.0), random, 2)]
    assert "was the camera moved" in refusal(taken, camera)


def test_a_parent_that_is_no_link_is_refused(good: tuple[Array, list[ArmShot]]) -> None:
    surface = SURFACES["fr3"]
    with pytest.raises(CalibrationError, match="'tripod' is no frame of fr3; known are fr3_link0"):
        align_arm(surface.robot, good[1], LENS, "tripod", good[0], surface)
