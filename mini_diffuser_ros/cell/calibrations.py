"""Whether what was calibrated is still what stands in the file: known by digests, and by dates where there is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mini_diffuser_ros.cell.cell import CameraIntrinsics, Cell, CellCalibration
from mini_diffuser_ros.cell.fault import CellFault
from mini_diffuser_ros.support.settings import to_mapping

_LENGTH = 16  # hexadecimal digits
_CLOCKS = timedelta(days=1)  # that a date may lie in the future: clocks and time zones differ


def camera_digest(cell: Cell, name: str) -> str:
    """Of what the pose of a camera belongs to, and of the pose: robot, device, frames, lens."""
    camera = replace(cell.cameras[name], calibrated=None)
    lens = camera.intrinsics and replace(camera.intrinsics, calibrated=None)
    return _digest([cell.robot, cell.frame_of(name), to_mapping(replace(camera, intrinsics=lens))])


def intrinsics_digest(serial: str, intrinsics: CameraIntrinsics) -> str:
    """Of a lens and the device that it is of."""
    return _digest([serial, to_mapping(replace(intrinsics, calibrated=None))])


def table_digest(cell: Cell) -> str:
    """Of the table's height and of the poses of the cameras that it was measured with."""
    poses = {name: camera_digest(cell, name) for name in sorted(cell.cameras)}
    return _digest([cell.robot, cell.table.height, poses])


def calibration_faults(cell: Cell, now: datetime | None = None) -> Iterator[CellFault]:
    """Calibrations that are older than what they belong to.

    Args:
        cell: as it was read.
        now: the present time with its zone; by default the clock's.
    """
    present = now or datetime.now(timezone.utc)
    newest: CellCalibration | None = None
    for name, camera in cell.cameras.items():
        place, verb, lens = f"cameras.{name}", f"calibrate hand-eye --camera {name}", camera.intrinsics
        if lens is not None and lens.calibrated is not None:
            digest = intrinsics_digest(camera.serial, lens)
            yield from _own(
                f"{place}.intrinsics", lens.calibrated, digest, present, f"calibrate intrinsics --camera {name}"
            )
        if camera.calibrated is None:
            continue
        yield from _own(place, camera.calibrated, camera_digest(cell, name), present, verb)
        if lens is not None and lens.calibrated is not None and _precedes(camera.calibrated, lens.calibrated):
            yield _older(place, camera.calibrated, f"the intrinsics of {name}", lens.calibrated, verb)
        if newest is None or _precedes(newest, camera.calibrated):
            newest = camera.calibrated
    table = cell.table.calibrated
    if table is not None:
        yield from _own("table", table, table_digest(cell), present, "calibrate table")
        if newest is not None and not table.digest and _precedes(table, newest):
            yield _older("table", table, "the pose of a camera", newest, "calibrate table")


def time_of(calibration: CellCalibration) -> datetime | None:
    """When it was; None if the date is none."""
    try:
        when = datetime.fromisoformat(calibration.date.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def _own(place: str, calibration: CellCalibration, digest: str, now: datetime, verb: str) -> Iterator[CellFault]:
    """What a calibration says of itself that cannot be."""
    name, when = f"{place}.calibrated", time_of(calibration)
    if when is None:
        yield CellFault("error", f"{name}.date", f"is '{calibration.date}'", "expected a date such as 2026-11-29")
    elif when > now + _CLOCKS:
        yield CellFault(
            "error", f"{name}.date", f"is {calibration.date}, still to come", "set the clock or the date right"
        )
    if calibration.digest and calibration.digest != digest:
        yield CellFault(
            "error",
            name,
            f"of {calibration.date} is older than what stands in {place}: digest {calibration.digest}, now {digest}",
            f"mini-diffuser {verb}, or take `calibrated` out",
        )


def _precedes(one: CellCalibration, other: CellCalibration) -> bool:
    first, second = time_of(one), time_of(other)
    if first is None or second is None:
        return False
    if min(len(one.date.strip()), len(other.date.strip())) <= len("2026-11-29"):
        return first.date() < second.date()  # a day alone is its whole day
    return first < second


def _older(place: str, one: CellCalibration, what: str, other: CellCalibration, verb: str) -> CellFault:
    problem = f"is of {one.date}, older than {what} of {other.date}"
    return CellFault("error", f"{place}.calibrated", problem, f"mini-diffuser {verb}")


def cell_digest(cell: Cell) -> str:
    """Of what demonstrations of a cell have in common: robot, workspace, and which device is which camera on what.

    Not of what is measured anew now and then: poses, lenses, the height of the table.
    """
    cameras = {name: [camera.serial, camera.parent] for name, camera in sorted(cell.cameras.items())}
    return _digest([Path(cell.robot).name, to_mapping(cell.workspace), cameras])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_LENGTH]
