"""Reading a cell file, and naming all in it that does not fit."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mini_diffuser_ros.cell.calibrations import calibration_faults
from mini_diffuser_ros.cell.cell import Cell
from mini_diffuser_ros.cell.fault import CellError, CellFault
from mini_diffuser_ros.cell.fitting import fitting_faults, name_faults, unknown_robot
from mini_diffuser_ros.cell.quantities import unit_faults
from mini_diffuser_ros.cell.rotations import rotation_faults
from mini_diffuser_ros.robots import UnknownRobotError, load_robot
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError, from_mapping, parsed_yaml, read_text, unknown_name


def read_cell(path: str | Path) -> Cell:
    """The cell of a file in which everything fits together; warnings do not count.

    Raises:
        CellError: in one line the first thing that does not fit, its value and the remedy.
    """
    cell, faults = check_cell(path)
    errors = [fault for fault in faults if fault.level == "error"]
    if cell is None or errors:
        more = f" (and {len(errors) - 1} more: mini-diffuser cell check {path})" if len(errors) > 1 else ""
        raise CellError(f"cell {path}: {errors[0]}{more}")
    return cell


def check_cell(path: str | Path, cameras: Sequence[str] = ()) -> tuple[Cell | None, list[CellFault]]:
    """The cell of a file, as far as it can be read, and all that does not fit.

    Args:
        path: of the YAML file.
        cameras: names that somebody will ask for; those that the file does not have are errors.

    Returns:
        the cell, None where the file has a field that is unknown, missing or of another kind, which is then the only
        fault; and the faults, errors first.
    """
    try:
        cell = parse_cell(path)
    except SettingsError as error:
        source = "" if error.source else " "
        return None, [
            CellFault("error", error.name, error.problem, f"docs/cell.md says what belongs there{source}".strip())
        ]
    return cell, faults_of(cell, cameras)


def faults_of(cell: Cell, cameras: Sequence[str] = ()) -> list[CellFault]:
    """All that does not fit in a cell, errors first; ``cameras`` as for :func:`check_cell`."""
    faults, robot = [], None
    try:
        robot = load_robot(cell.robot)
    except UnknownRobotError:
        faults.append(unknown_robot(cell.robot))
    except UserError as error:
        faults.append(CellFault("error", "robot", f"is '{cell.robot}'", str(error)))
    faults += name_faults(cell, robot)
    for name in cameras:
        if name not in cell.cameras:
            problem = f"has no '{name}'"
            faults.append(CellFault("error", "cameras", problem, unknown_name(name, list(cell.cameras), "camera")))
    arm_frames = () if robot is None else [link.name for link in robot.links if link.name != robot.base_frame]
    faults += [*unit_faults(cell, arm_frames), *rotation_faults(cell), *calibration_faults(cell)]
    if robot is not None:
        faults += fitting_faults(cell, {fault.name for fault in faults if fault.level == "error"})
    return sorted(faults, key=lambda fault: fault.level != "error")


def parse_cell(path: str | Path) -> Cell:
    """The record of a cell file, whether or not its parts fit.

    Raises:
        SettingsError: it cannot be read, or a field is unknown, missing, written twice or of another kind.
    """
    return cell_from_text(read_text(path), str(path))


def cell_from_text(text: str, source: str) -> Cell:
    """As :func:`parse_cell`, of the YAML text itself; ``source`` names it in messages."""
    node, values = parsed_yaml(text, source)
    if node is None:
        raise SettingsError(source, "is empty; config/cells/example.yaml is to be copied and filled in")
    return from_mapping(Cell, _dates_as_texts(values), source)


def _dates_as_texts(value: Any) -> Any:
    """YAML reads 2026-11-29 as a date; the record holds texts."""
    if isinstance(value, dict):
        return {key: _dates_as_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_dates_as_texts(inner) for inner in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.datetime)) else value
