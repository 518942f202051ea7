"""How near calibrations come to the truth on rendered pictures.

``hand-eye`` finds a camera by pictures of a ChArUco board, drawn, detected and blurred by noise of its corners; ``arm``
by depth images of the arm from a guess that is 10 cm and 15 degrees off, with the depth noise of a D435; ``check`` says
how far the arm is from a calibration that is right. Errors are medians of ``trials``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.resources import Reading, peak_resident_mb
from mini_diffuser_ros.calibration.arm_check import arm_offset
from mini_diffuser_ros.calibration.arm_scene import ArmShot
from mini_diffuser_ros.calibration.arm_surface import ArmSurface
from mini_diffuser_ros.calibration.arm_target import ArmAlignment, align_arm
from mini_diffuser_ros.calibration.board import BoardConfig, find_board
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.hand_eye import BoardView, HandEye, solve_hand_eye
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.rigid import Shift, matrix_from_vector, shift_between
from mini_diffuser_ros.geometry import inverse_transform
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.arm_shots import arm_depth, camera_around_table, joints_above_table
from mini_diffuser_ros.simulation.boards import board_before_camera, render_board
from mini_diffuser_ros.simulation.depth_noise import StereoNoise

Array = NDArray[np.float64]

_BOARD: Final = BoardConfig()
_BOARD_LENS: Final = Lens(640, 480, np.array([[610.0, 0.0, 319.5], [0.0, 610.0, 239.5], [0.0, 0.0, 1.0]]))
_DEPTH_LENS: Final = Lens(640, 480, np.array([[385.0, 0.0, 319.5], [0.0, 385.0, 239.5], [0.0, 0.0, 1.0]]))
_ARM_CONVERGED: Final = Shift(0.01, 1.0)  # a camera that is nearer than that was found


@dataclass(frozen=True, kw_only=True)
class CalibrationSetting:
    """How much to calibrate.

    Attributes:
        robot: whose arm it is.
        hand_eye: sets of board pictures.
        pictures: in each of them.
        pixels: standard deviation that is added to each corner, once it is found.
        arm: sets of depth images of the arm.
        poses: of the arm in each of them.
        seed: of all sets.
    """

    robot: str = "fr3"
    hand_eye: int = at_least(0, 50)
    pictures: int = at_least(1, 15)
    pixels: float = 0.3
    arm: int = at_least(0, 100)
    poses: int = at_least(1, 5)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class CalibrationRow:
    """One line of output: errors in millimetres and degrees, the shares that were found and refused."""

    config: str
    sets: int
    found: float
    refused: float
    median_mm: float
    p95_mm: float
    median_degrees: float
    p95_degrees: float
    cpu_s: float
    cpu_p95_s: float
    peak_mb: float
    device: str = "cpu"
    threads: int = 1


class Tally:
    """Collects errors and times of calibrations.

    Args:
        converged: below which the camera counts as found.
    """

    def __init__(self, converged: Shift) -> None:
        self._converged, self._errors, self._times = converged, list[Shift](), list[float]()

    def measure(self, truth: Array, calibrate: Callable[[], HandEye | ArmAlignment]) -> None:
        """Run a calibration; one that is refused has no error."""
        start = Reading.now()
        try:
            found: Array | None = calibrate().parent_from_camera
        except CalibrationError:
            found = None
        self._times.append((Reading.now() - start).cpu_s)
        if found is not None:
            self._errors.append(shift_between(found, truth))

    def row(self, config: str) -> CalibrationRow:
        """The summary."""
        metres, degrees = np.array(self._errors).reshape(-1, 2).T
        good = np.count_nonzero((metres < self._converged.metres) & (degrees < self._converged.degrees))
        sets = len(self._times)
        return CalibrationRow(
            config,
            sets,
            found=good / sets,
            refused=1.0 - len(self._errors) / sets,
            median_mm=1e3 * float(np.median(metres)),
            p95_mm=1e3 * float(np.percentile(metres, 95)),
            median_degrees=float(np.median(degrees)),
            p95_degrees=float(np.percentile(degrees, 95)),
            cpu_s=float(np.median(self._times)),
            cpu_p95_s=float(np.percentile(self._times, 95)),
            peak_mb=peak_resident_mb(),
        )


def hand_eye_row(setting: CalibrationSetting) -> CalibrationRow:
    """Cameras by rendered boards, whatever carries them."""
    random = np.random.default_rng(setting.seed)
    tally = Tally(Shift(0.005, 0.5))
    for _ in range(setting.hand_eye):
        parent_from_camera, anchor_from_board = (_any_pose(random, reach) for reach in (0.2, 0.8))
        views: list[BoardView] = []
        while len(views) < setting.pictures:
            seen = board_before_camera(_BOARD, random)
            sighting = find_board(str(len(views)), render_board(_BOARD, _BOARD_LENS, seen), _BOARD)
            if sighting is not None:
                noise = setting.pixels * random.standard_normal(sighting.pixels.shape)
                anchor_from_parent = anchor_from_board @ inverse_transform(parent_from_camera @ seen)
                views.append(BoardView(replace(sighting, pixels=sighting.pixels + noise), anchor_from_parent))
        tally.measure(parent_from_camera, partial(solve_hand_eye, views, _BOARD, _BOARD_LENS))
    return tally.row(f"hand-eye, {setting.pictures} pictures, {setting.pixels:g} pixels")


def arm_rows(setting: CalibrationSetting) -> Iterator[CalibrationRow]:
    """Cameras on tripods by the arm, from 10 cm and 15 degrees off; then how far off the arm is, by one picture."""
    random = np.random.default_rng(setting.seed)
    surface = ArmSurface(load_robot(setting.robot))
    base, tally, checks = surface.robot.base_frame, Tally(_ARM_CONVERGED), list[float]()
    for _ in range(setting.arm):
        camera = camera_around_table(random)
        shots = []
        for number in range(setting.poses):
            joints = joints_above_table(surface.robot, random)
            depth = StereoNoise().apply(arm_depth(surface, joints, _DEPTH_LENS, camera), random)
            shots.append(ArmShot(f"pose {number}", joints, depth))
        guess = camera @ _off(random, 0.10, 15.0)
        calibrate = partial(align_arm, surface.robot, shots, _DEPTH_LENS, base, guess, surface)
        tally.measure(camera, calibrate)
        checks.append(1e3 * arm_offset(surface, shots[:1], _DEPTH_LENS, base, camera).metres)
    yield tally.row(f"arm, {setting.poses} poses, 10 cm and 15 degrees off")
    middle, high = np.percentile(checks, [50, 95])
    yield replace(
        tally.row("check of a right calibration, one pose: mm at the arm"),
        median_mm=float(middle),
        p95_mm=float(high),
        median_degrees=float("nan"),
        p95_degrees=float("nan"),
        cpu_s=float("nan"),
        cpu_p95_s=float("nan"),
    )


def _any_pose(random: np.random.Generator, reach: float) -> Array:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=random).as_matrix()
    pose[:3, 3] = random.uniform(-reach, reach, 3)
    return pose


def _off(random: np.random.Generator, metres: float, degrees: float) -> Array:
    """A motion of that size in a direction of chance."""
    turn, move = random.standard_normal((2, 3))
    turn *= np.radians(degrees) / np.linalg.norm(turn)
    return matrix_from_vector([*turn, *(metres * move / np.linalg.norm(move))])


def measure_calibration(settings: Sequence[CalibrationSetting]) -> Iterator[CalibrationRow]:
    """Hand-eye by boards, then the arm as target."""
    for setting in settings:
        if setting.hand_eye:
            yield hand_eye_row(setting)
        if setting.arm:
            yield from arm_rows(setting)


BENCHMARK = Benchmark(CalibrationSetting, measure_calibration, __doc__)
