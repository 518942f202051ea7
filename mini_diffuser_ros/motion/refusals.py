"""Why a motion is refused. Each refusal builds its own one-line message, which names the keyframe and the limit."""

from __future__ import annotations

from collections.abc import Sequence


class MotionRefused(RuntimeError):  # noqa: N818 - a refusal is an answer, not a fault
    """The planner will not command this motion.

    Attributes:
        target: name of the keyframe or joint goal that was asked for.
        limit: name of the limit that refused it, e.g. ``workspace`` or ``joint_limit``.
    """

    limit = "motion"

    def __init__(self, target: str, reason: str) -> None:
        self.target = target
        super().__init__(f"{target} refused: {reason}")


class NotFinite(MotionRefused):
    """A number is NaN or infinite, or an array has the wrong shape."""

    limit = "finite"

    def __init__(self, target: str, quantity: str, values: object, expected: str = "finite numbers") -> None:
        super().__init__(target, f"{quantity} is {values}, expected {expected}")


class OutsideWorkspace(MotionRefused):
    """The tool centre point would leave the workspace box."""

    limit = "workspace"

    def __init__(self, target: str, axis: str, value: float, lower: float, upper: float) -> None:
        super().__init__(
            target,
            f"{axis} = {_metres(value)} m is outside the workspace [{lower:.4f}, {upper:.4f}] m of the base frame",
        )


class TooTilted(MotionRefused):
    """The approach axis deviates too far from straight down."""

    limit = "tilt"

    def __init__(self, target: str, tilt: float, max_tilt: float) -> None:
        super().__init__(
            target, f"the approach axis is tilted by {tilt:.3f} rad from straight down, max_tilt is {max_tilt:.3f} rad"
        )


class Unreachable(MotionRefused):
    """Inverse kinematics comes no closer than this."""

    limit = "reach"

    def __init__(self, target: str, position_error: float, rotation_error: float, attempts: int) -> None:
        super().__init__(
            target,
            f"unreachable: the nearest of {attempts} attempts misses by {position_error * 1e3:.1f} mm and "
            f"{rotation_error:.3f} rad",
        )


class JointLimit(MotionRefused):
    """A joint would have to leave its range."""

    limit = "joint_limit"

    def __init__(self, target: str, joint: str, value: float, lower: float, upper: float) -> None:
        excess = max(lower - value, value - upper)
        super().__init__(
            target,
            f"joint limit: {joint} at {value:.4f} rad is {excess:.4f} rad outside [{lower:.4f}, {upper:.4f}] rad",
        )


class InCollision(MotionRefused):
    """Two bodies would come too close or overlap."""

    limit = "collision"

    def __init__(self, target: str, where: str, first: str, second: str, distance: float, clearance: float) -> None:
        relation = (
            f"overlaps {second} by {-distance * 1e3:.1f} mm"
            if distance < 0.0
            else f"is {distance * 1e3:.1f} mm from {second}"
        )
        super().__init__(
            target, f"collision {where}: {first} {relation}, the required clearance is {clearance * 1e3:.1f} mm"
        )


class NoPath(MotionRefused):
    """Start and goal are free, but no collision-free way between them was found."""

    limit = "path"

    def __init__(self, target: str, seconds: float, obstacle: str) -> None:
        super().__init__(target, f"no collision-free path within planning_time {seconds:.2f} s; {obstacle}")


class Impassable(MotionRefused):
    """A joint would have to move farther out where it may only move inwards."""

    limit = "joint_limit"

    def __init__(self, target: str, joint: str, position: float) -> None:
        super().__init__(target, f"joint limit: {joint} may move no farther out at {position:.4f} rad")


class LimitExceeded(MotionRefused):
    """A finished trajectory breaks a limit of a joint or of the tool."""

    limit = "dynamics"

    def __init__(self, target: str, quantity: str, owner: str, value: float, maximum: float, seconds: float) -> None:
        super().__init__(
            target, f"{quantity} of {owner} is {value:.4g} after {seconds:.3f} s, the limit there is {maximum:.4g}"
        )


class AllRefused(MotionRefused):
    """Every candidate was refused.

    Attributes:
        refusals: one per candidate, in order.
    """

    limit = "candidates"

    def __init__(self, refusals: Sequence[MotionRefused]) -> None:
        self.refusals = tuple(refusals)
        reasons = "; ".join(map(str, refusals)) if refusals else "there is none"
        super().__init__(f"all {len(self.refusals)} candidates", reasons)


def _metres(value: float) -> str:
    """Tenths of millimetres, but no hundreds of digits for what is no length."""
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.3g}"
