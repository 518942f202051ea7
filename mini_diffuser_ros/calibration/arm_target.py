"""Where a camera is, without a board: the arm, whose surface and joints are known, seen in its own depth images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.arm_registration import REACH, aligned, refined
from mini_diffuser_ros.calibration.arm_scene import ArmScene, ArmShot
from mini_diffuser_ros.calibration.arm_surface import ArmSurface
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.rigid import Shift, shift_between
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

MIN_POSES: Final = 3
MIN_TRAVEL: Final = 0.10
"""Metres that the hand has to travel between two of the poses."""
MIN_SHARE: Final = 0.6
"""Of the arm's visible surface that has to be measured where the result puts it."""
MAX_CHANGE: Final = Shift(0.010, 1.0)
"""How far the camera may move when one pose of the arm is left out."""


@dataclass(frozen=True, eq=False)
class ArmAlignment:
    """Where a camera is by the arm, and how well that is known.

    Attributes:
        parent_from_camera: (4, 4) of the optical frame.
        correction: how far that is from the guess.
        residual: metres between surface and measurements, robust standard deviation.
        share: of the arm's visible surface that was measured where it has to be.
        leave_one_out: how far the camera moves at most when a pose of the arm is left out.
        held_out: metres, as ``residual``, in the worst pose that was left out.
    """

    parent_from_camera: Array
    correction: Shift
    residual: float
    share: float
    leave_one_out: Shift
    held_out: float

    def __str__(self) -> str:
        return (
            f"moved by {self.correction} from the guess; residual {1e3 * self.residual:.1f} mm, {self.share:.0%} of "
            f"the visible arm measured where it has to be; leaving one pose out moves the camera by up to "
            f"{self.leave_one_out}; the pose held out is missed by {1e3 * self.held_out:.1f} mm"
        )


def align_arm(
    robot: RobotDescription, shots: Sequence[ArmShot], lens: Lens, parent: str, guess: Array, surface: ArmSurface
) -> ArmAlignment:
    """The pose of a camera from depth images of the arm in at least three poses.

    Args:
        robot: the arm.
        shots: the arm in poses that differ.
        lens: of the camera, depth aligned to it.
        parent: frame that carries the camera: the robot's base or one of its links.
        guess: (4, 4) ``parent_from_camera``, within :data:`REACH` of the truth.
        surface: of the robot.

    Raises:
        CalibrationError: if the set cannot give a pose that can be relied on: too few poses or too much alike, joints
            that do not move with the arm, depth that is none, an arm that is not found.
    """
    refuse_strange(robot, shots, parent)
    _refuse_too_alike(robot, shots)
    scenes = [ArmScene(robot, surface, shot, lens, parent) for shot in shots]
    for scene in scenes:
        scene.check()
    _refuse_frozen(shots)
    best = aligned(scenes, guess)
    fits = [scene.fit(best) for scene in scenes]
    share = float(np.average([fit.share for fit in fits], weights=[fit.points for fit in fits]))
    if share < MIN_SHARE:
        worst = min(zip(fits, shots, strict=True), key=lambda entry: entry[0].share)
        raise CalibrationError(
            f"only {share:.0%} of the visible arm is measured where it has to be (worst in {worst[1].name}: "
            f"{worst[0].share:.0%}), needed are {MIN_SHARE:.0%}: is the arm in view, is the guess within "
            f"{100 * REACH.metres:.0f} cm and {REACH.degrees:.0f} degrees, are joints and pictures of one time?"
        )
    return _judged(scenes, best, guess, share)


def refuse_strange(robot: RobotDescription, shots: Sequence[ArmShot], parent: str) -> None:
    """Refuse joints of another robot and a parent that it does not have.

    Raises:
        CalibrationError: naming it.
    """
    known = [robot.base_frame, *(joint.child for joint in robot.joints)]
    if parent not in known:
        raise CalibrationError(
            f"the camera's parent '{parent}' is no frame of {robot.name}; known are {', '.join(known)}"
        )
    for shot in shots:
        missing = [name for name in robot.arm_joint_names if not np.isfinite(shot.joints.get(name, np.nan))]
        if missing:
            raise CalibrationError(
                f"{shot.name} lacks a finite position of {missing[0]}: is it the robot {robot.name}?"
            )


def _refuse_too_alike(robot: RobotDescription, shots: Sequence[ArmShot]) -> None:
    if len(shots) < MIN_POSES:
        raise CalibrationError(
            f"{len(shots)} poses of the arm, needed are {MIN_POSES} or better 5: add poses, the arm stretched out "
            "another way in each"
        )
    hands = np.stack([robot.forward_kinematics(shot.joints)[robot.hand_frame][:3, 3] for shot in shots])
    travel = float(np.linalg.norm(hands[:, None] - hands, axis=-1).max())
    if travel < MIN_TRAVEL:
        raise CalibrationError(
            f"by its joints the hand travels {100 * travel:.1f} cm between the poses, needed are "
            f"{100 * MIN_TRAVEL:.0f} cm: move the arm farther, or joint_states are frozen"
        )


def _refuse_frozen(shots: Sequence[ArmShot]) -> None:
    """Equal joints of two shots of which one shows the arm elsewhere."""
    for index, one in enumerate(shots):
        for other in shots[:index]:
            turned = max(abs(one.joints[name] - other.joints[name]) for name in one.joints if name in other.joints)
            both = (one.depth > 0.0) & (other.depth > 0.0)
            if turned < 1e-3 and both.any():
                changed = float(np.mean(np.abs(one.depth[both] - other.depth[both]) > 0.08))
                if changed > 0.02:
                    raise CalibrationError(
                        f"{other.name} and {one.name} have the same joints, but {changed:.0%} of the depth image "
                        "changed: joint_states are frozen or of another time"
                    )


def _judged(scenes: Sequence[ArmScene], best: Array, guess: Array, share: float) -> ArmAlignment:
    """The result with what leaving out each pose tells."""
    moves, misses = [], []
    for left_out in scenes:
        without = refined([scene for scene in scenes if scene is not left_out], best, steps=2)
        moves.append(shift_between(best, without))
        misses.append(left_out.fit(without))
    worst = Shift(max(move.metres for move in moves), max(move.degrees for move in moves))
    odd = scenes[int(np.argmin([miss.share for miss in misses]))].shot.name
    if (
        worst.metres > MAX_CHANGE.metres
        or worst.degrees > MAX_CHANGE.degrees
        or min(miss.share for miss in misses) < 0.5 * MIN_SHARE
    ):
        raise CalibrationError(
            f"leaving out one pose moves the camera by {worst}, allowed are {MAX_CHANGE}; {odd} fits the others least: "
            "was the camera moved, did the arm rest, is more of the arm to be seen from elsewhere?"
        )
    return ArmAlignment(
        best,
        shift_between(guess, best),
        float(np.median([scene.fit(best).residual for scene in scenes])),
        share,
        worst,
        max(miss.residual for miss in misses),
    )
