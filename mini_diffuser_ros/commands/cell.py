"""``mini-diffuser cell check``: draw a cell file, and name what in it does not fit together."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mini_diffuser_ros.cell import CellFault, check_cell
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import expect_output


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if the cell has errors."""
    parser = CommandParser("cell", description="Draw a cell file, and name what in it does not fit together.")
    parser.add_argument("action", choices=("check",), help="what to do")
    parser.add_argument("file", type=Path, help="a cell file such as config/cells/example.yaml")
    parser.add_argument("--cameras", default="", metavar="A,B", help="cameras that the launch will be asked for")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="where to draw it; by default beside the file")
    parser.add_argument("--no-picture", action="store_true", help="draw nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    values = parser.parse_args(arguments)
    if values.picture and not values.no_picture:
        expect_output(values.picture, "--picture")
    cell, faults = check_cell(values.file, [name.strip() for name in values.cameras.split(",") if name.strip()])
    drawn = None
    if cell is not None and not values.no_picture:
        from mini_diffuser_ros.viewing.cell_picture import draw_cell

        picture = draw_cell(cell)
        if picture is not None:
            drawn = values.picture or values.file.with_suffix(".png")
            try:
                picture.save(drawn, format="PNG")
            except OSError as error:
                remedy = "choose another with --picture"
                raise UserError(f"cannot draw into {drawn} ({error.strerror or error}); {remedy}") from error
    sys.stdout.write(_as_json(values.file, faults, drawn) if values.json else _as_lines(values.file, faults, drawn))
    return 1 if any(fault.level == "error" for fault in faults) else 0


def _as_lines(file: Path, faults: list[CellFault], drawn: Path | None) -> str:
    lines = [f"{fault.level}: {fault}" for fault in faults]
    errors = sum(fault.level == "error" for fault in faults)
    lines.append(f"{file}: {errors} errors, {len(faults) - errors} warnings" + (f", drawn in {drawn}" if drawn else ""))
    return "\n".join(lines) + "\n"


def _as_json(file: Path, faults: list[CellFault], drawn: Path | None) -> str:
    entries = {
        level: [
            {"name": one.name, "problem": one.problem, "remedy": one.remedy} for one in faults if one.level == level
        ]
        for level in ("error", "warning")
    }
    content = {"file": str(file), "errors": entries["error"], "warnings": entries["warning"]}
    return json.dumps({**content, "picture": str(drawn) if drawn else None}, indent=2) + "\n"
