"""By how much the arm is off from where a calibration puts it."""

import numpy as np
import pytest

from mini_diffuser_ros.calibration.arm_check import arm_offset, draw_offset
from mini_diffuser_ros.calibration.arm_scene import ArmShot
from mini_diffuser_ros.calibration.arm_surface import ArmSurface
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Array, Lens
from mini_diffuser_ros.calibration.rigid import matrix_from_vector
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.arm_shots import arm_depth, camera_around_table, joints_above_table
from mini_diffuser_ros.simulation.depth_noise import StereoNoise

LENS = Lens(320, 240, np.array([[193.0, 0.0, 159.5], [0.0, 193.0, 119.5], [0.0, 0.0, 1.0]]))
SURFACE = ArmSurface(load_robot("fr3"))
BASE = SURFACE.robot.base_frame


def scene(seed: int) -> tuple[Array, ArmShot]:
    random = np.random.default_rng(seed)
    camera = camera_around_table(random)
    joints = joints_above_table(SURFACE.robot, random)
    return camera, ArmShot("now", joints, StereoNoise().apply(arm_depth(SURFACE, joints, LENS, camera), random))


@pytest.mark.parametrize("seed", range(3))
def test_a_calibration_that_holds_is_off_by_little(seed: int) -> None:
    camera, shot = scene(seed)
    offset = arm_offset(SURFACE, [shot], LENS, BASE, camera)
    assert offset.metres < 0.005
    assert offset.pixels < 1.5
    assert offset.share > 0.8


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("turn", [2.0, -4.0])
def test_a_camera_that_was_bumped_is_off_by_as_much_as_the_arm_moved(seed: int, turn: float) -> None:
    camera, shot = scene(seed)
    bumped = camera @ matrix_from_vector([0.0, np.radians(turn), 0.0, 0.01, 0.0, 0.0])
    offset = arm_offset(SURFACE, [shot], LENS, BASE, bumped)
    # A turn moves what is 1.0 to 1.5 m away, in pixels the same wherever it is.
    assert offset.correction.degrees == pytest.approx(abs(turn), abs=1.0)
    assert 0.6 < offset.metres / abs(np.radians(turn)) < 2.0
    assert offset.pixels == pytest.approx(abs(np.radians(turn)) * 193.0, rel=0.5)


def test_an_arm_that_is_not_there_is_refused() -> None:
    camera, shot = scene(0)
    wall = ArmShot("now", shot.joints, np.full_like(shot.depth, 2.0))
    with pytest.raises(CalibrationError, match="the arm is not where the calibration puts it"):
        arm_offset(SURFACE, [wall], LENS, BASE, camera)


def test_both_outlines_are_drawn() -> None:
    camera, shot = scene(1)
    bumped = camera @ matrix_from_vector([0.0, np.radians(3.0), 0.0, 0.0, 0.0, 0.0])
    image = np.asarray(draw_offset(np.zeros((240, 320, 3), np.uint8), SURFACE, shot, LENS, BASE, bumped, camera))
    red = (image == (220, 30, 60)).all(axis=-1)
    green = (image == (30, 170, 80)).all(axis=-1)
    assert red.sum() > 100
    assert green.sum() > 100
    shift = np.abs(np.argwhere(red)[:, 1].mean() - np.argwhere(green)[:, 1].mean())
    assert shift == pytest.approx(np.radians(3.0) * 193.0, rel=0.4)
