"""What a gripper has done, told from its measured fingers: it opened, holds something, closed on nothing, lost it.

Drivers are no help here. That of Franka's hand aborts a grasp that holds, as it takes every object for a miss that is
wider than a few millimetres; others report success when nothing has moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import bounded, check_fields

HOMING = "has its homing run since it was switched on? mini-diffuser recover --home-gripper"
"""What to ask of a gripper that does not do as it is told: without homing a Franka hand refuses, or knows no widths."""


class GripperFault(Enum):
    """What went wrong with a gripper."""

    UNMOVED = "the fingers did not move"
    MISSED = "the fingers ended elsewhere"
    SLIPPED = "what is held has slipped between the fingers"
    LOST = "what was held is gone"


class GripperError(UserError, RuntimeError):
    """A gripper did not do as it was told, or lost what it held.

    Args:
        fault: the kind.
        message: one line with the measured widths.
    """

    def __init__(self, fault: GripperFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class GripConfig:
    """How the distance of the fingers is judged.

    Attributes:
        empty_width: metres; fingers that close to less hold nothing. More where the pads meet earlier.
        least_travel: metres; fingers that are told to open or close and move less have not moved.
        slip: metres that the distance may change by while something is held.
        settle_time: seconds that the fingers are watched after the gripper says that it is done.
    """

    empty_width: float = bounded(0.003, 0.0, 0.2)
    least_travel: float = bounded(0.002, 0.0, 0.1)
    slip: float = bounded(0.005, 0.0005, 0.1)
    settle_time: float = bounded(0.25, 0.05, 5.0)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class FingerTravel:
    """Distances of the fingers around one command, metres.

    Attributes:
        before: when it was sent.
        first_rest: where they rested first after they had moved, None if they did not rest in between.
        after: where they rest in the end.
    """

    before: float
    first_rest: float | None
    after: float


def check_opened(travel: FingerTravel, open_width: float, config: GripConfig) -> None:
    """Whether the fingers did as they were told.

    Args:
        travel: of the fingers.
        open_width: metres from which the gripper counts as open.
        config: how distances are judged.

    Raises:
        GripperError: if the gripper is not open.
    """
    moved = travel.after - travel.before > config.least_travel
    if travel.after >= open_width and (moved or travel.before >= open_width):
        return
    if not moved:
        raise GripperError(
            GripperFault.UNMOVED,
            f"the gripper did not open: its fingers are measured {millimetres(travel.after)} apart, as before, open "
            f"are {millimetres(open_width)}; {HOMING}",
        )
    raise GripperError(
        GripperFault.MISSED,
        f"the gripper did not open: its fingers moved from {millimetres(travel.before)} to "
        f"{millimetres(travel.after)} apart, open are {millimetres(open_width)}; is something in their way? If not, "
        f"{HOMING}",
    )


def held_width(travel: FingerTravel, says_held: bool, open_width: float, config: GripConfig) -> float:
    """Metres of what the fingers hold now that they were told to close, 0.0 if that is nothing.

    Args:
        travel: of the fingers.
        says_held: whether the driver reports that the fingers press on something. It counts only where fingers that
            stood between open and closed have not moved, which a grip from before looks like, and a dead gripper.
        open_width: metres from which the gripper counts as open.
        config: how distances are judged.

    Raises:
        GripperError: if the fingers did not close, or what they held slipped out at once.
    """
    if travel.first_rest is not None and travel.first_rest - travel.after > config.slip:
        raise GripperError(
            GripperFault.SLIPPED,
            f"the gripper closed to {millimetres(travel.first_rest)} and then to {millimetres(travel.after)}: what it "
            "held slips; more gripper.force, or a grasp further in",
        )
    if travel.after <= config.empty_width:
        return 0.0
    closed_by = travel.before - travel.after
    if closed_by < -config.least_travel:
        raise GripperError(
            GripperFault.MISSED,
            f"the gripper did not close: its fingers moved apart, from {millimetres(travel.before)} to "
            f"{millimetres(travel.after)}",
        )
    if closed_by <= config.least_travel and not (says_held and travel.before < open_width):
        raise GripperError(
            GripperFault.UNMOVED,
            f"the gripper did not close: its fingers are measured {millimetres(travel.after)} apart, as before; "
            f"{HOMING}",
        )
    return travel.after


def grip_fault(held: float, width: float, config: GripConfig) -> GripperError | None:
    """What has become of something that is held, None if it is still held as it was.

    Args:
        held: metres between the fingers when they had closed on it.
        width: metres between them now.
        config: how distances are judged.
    """
    if abs(width - held) <= config.slip and width > min(config.empty_width, 0.5 * held):
        return None
    if config.empty_width < width < held:
        return GripperError(
            GripperFault.SLIPPED,
            f"what the gripper held {millimetres(held)} wide has slipped: its fingers are {millimetres(width)} apart",
        )
    return GripperError(
        GripperFault.LOST,
        f"what the gripper held {millimetres(held)} wide is lost: its fingers are {millimetres(width)} apart",
    )


def millimetres(metres: float) -> str:
    """A length, as people read it off."""
    return f"{1e3 * metres:.1f} mm"
