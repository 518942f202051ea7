"""What validation measures: errors of single decisions, and their summary per task and kind of frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from mini_diffuser_ros.geometry import gripper_symmetric_pose, quaternion_angle
from mini_diffuser_ros.training.frames import FrameKind


@dataclass(frozen=True)
class FrameError:
    """How far one decision is from the demonstration.

    Attributes:
        task: task name.
        kind: what the frame decides.
        position: metres.
        rotation: radians, up to the gripper's half-turn symmetry.
        gripper: True if the gripper command is right.
        terminate: True if the termination signal is right.
    """

    task: str
    kind: FrameKind
    position: float
    rotation: float
    gripper: bool
    terminate: bool


@dataclass(frozen=True)
class GroupReport:
    """Summary over the frames of one group.

    Attributes:
        frames: their number.
        median_mm: median position error, millimetres.
        within_1cm: share with a position error below 1 cm.
        within_3cm: share with a position error below 3 cm, i.e. at the right object.
        median_degrees: median rotation error, degrees.
        within_15_degrees: share with a rotation error below 15 degrees.
        gripper: share with the right gripper command.
        terminate: share with the right termination signal.
    """

    frames: int
    median_mm: float
    within_1cm: float
    within_3cm: float
    median_degrees: float
    within_15_degrees: float
    gripper: float
    terminate: float


GROUPS: dict[str, Callable[[FrameKind], bool]] = {
    "first": lambda kind: kind is FrameKind.FIRST,
    "later": lambda kind: kind is FrameKind.LATER,
    "rest": lambda kind: not kind.decides_object,
}
"""Decision frames (first, later) apart from the rest; the order of report tables."""

Report = dict[str, dict[str, GroupReport]]
"""Task to group to summary; groups without frames are left out."""


def rotation_error(first: ArrayLike, second: ArrayLike) -> float:
    """Radians between two quaternions xyzw (4,), the fingers of the gripper being exchangeable."""
    pose = np.concatenate([np.zeros(3), np.asarray(second, dtype=np.float64)])
    return min(quaternion_angle(first, second), quaternion_angle(first, gripper_symmetric_pose(pose)[3:]))


def summarise(errors: Sequence[FrameError]) -> Report:
    """Errors by task and group, tasks in alphabetical order."""
    report: Report = {}
    for task in sorted({error.task for error in errors}):
        mine = [error for error in errors if error.task == task]
        groups = {name: [e for e in mine if belongs(e.kind)] for name, belongs in GROUPS.items()}
        report[task] = {name: _group(members) for name, members in groups.items() if members}
    return report


def score(report: Report) -> float:
    """One number in [0, 1] to choose checkpoints by: share within 1 cm, tasks and groups weighted alike."""
    return float(np.mean([group.within_1cm for groups in report.values() for group in groups.values()]))


def as_record(report: Report) -> dict[str, dict[str, dict[str, float]]]:
    """The report as plain mappings, for JSON."""
    return {
        task: {name: {k: round(v, 4) for k, v in asdict(group).items()} for name, group in groups.items()}
        for task, groups in report.items()
    }


def as_table(report: Report) -> str:
    """The report as a Markdown table."""
    rows = [
        "| task | frames | n | median | < 1 cm | < 3 cm | rotation | gripper | end |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for task, groups in report.items():
        rows.extend(_row(task, name, group) for name, group in groups.items())
    return "\n".join(rows)


def as_lines(report: Report) -> Iterable[str]:
    """One short line a task, for the terminal: decision frames first."""
    for task, groups in report.items():
        parts = [
            f"{name} {group.within_3cm:.0%} at the object, {group.median_mm:.1f} mm" for name, group in groups.items()
        ]
        yield f"{task}: " + "; ".join(parts)


def _row(task: str, name: str, group: GroupReport) -> str:
    return (
        f"| {task} | {name} | {group.frames} | {group.median_mm:.1f} mm | {group.within_1cm:.0%} "
        f"| {group.within_3cm:.0%} | {group.median_degrees:.1f}° | {group.gripper:.1%} | {group.terminate:.1%} |"
    )


def _group(errors: Sequence[FrameError]) -> GroupReport:
    position = np.array([error.position for error in errors])
    rotation = np.degrees([error.rotation for error in errors])
    return GroupReport(
        frames=len(errors),
        median_mm=float(np.median(position) * 1000.0),
        within_1cm=float(np.mean(position < 0.01)),
        within_3cm=float(np.mean(position < 0.03)),
        median_degrees=float(np.median(rotation)),
        within_15_degrees=float(np.mean(rotation < 15.0)),
        gripper=float(np.mean([error.gripper for error in errors])),
        terminate=float(np.mean([error.terminate for error in errors])),
    )
