"""What a cell file says, for the checks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from mini_diffuser_ros.cell import Cell, CellCalibration, check_cell
from mini_diffuser_ros.cell.calibrations import time_of
from mini_diffuser_ros.doctor.snapshot import CellFacts

DAY = 86400.0  # seconds


def cell_facts(path: Path, now: datetime) -> CellFacts:
    """The problems of a cell file, and how many days ago each calibration in it was made.

    Args:
        path: of the file; one that cannot be read is a problem, too.
        now: with its zone.
    """
    cell, faults = check_cell(path)
    problems = tuple((fault.level == "error", f"{fault.name} {fault.problem}", fault.remedy) for fault in faults)
    found = {} if cell is None else {name: _days(made, now) for name, made in _calibrations(cell)}
    if cell is None:
        return CellFacts(str(path), problems, found)
    serials = {name: camera.serial for name, camera in cell.cameras.items() if camera.serial}
    return CellFacts(str(path), problems, found, cell.robot, serials)


def _calibrations(cell: Cell) -> Iterator[tuple[str, CellCalibration | None]]:
    for name, camera in cell.cameras.items():
        if camera.parent:  # where others publish the TF of a camera, they know how old it is
            yield f"where {name} is", camera.calibrated
        if camera.intrinsics is not None:
            yield f"the lens of {name}", camera.intrinsics.calibrated
    yield "the table", cell.table.calibrated


def _days(made: CellCalibration | None, now: datetime) -> float | None:
    when = None if made is None else time_of(made)
    return None if when is None else (now - when.astimezone(timezone.utc)).total_seconds() / DAY
