"""``mini-diffuser report``: runs, evaluations and trainings on one page to look at, alone or side by side."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.support.files import output_file
from mini_diffuser_ros.support.printable import printable
from mini_diffuser_ros.viewing.measured_page import write_measured_page
from mini_diffuser_ros.viewing.report_page import Unrecorded, read_side_by_side


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    values = _parser().parse_args(arguments)
    once: dict[str, Path] = {}
    for path in values.paths:
        once.setdefault(os.path.realpath(path), path)
    measured = read_side_by_side([*once.values()])
    page: Path = values.out
    with output_file(str(page), "--out") as partial:
        write_measured_page(partial or page, measured)
    notes = [f"no record in {each.folder}" for each in measured if isinstance(each, Unrecorded)]
    shown = len(measured) - len(notes)
    what = f"{shown} " + ("report" if shown == 1 else "reports")
    if more := len(values.paths) - len(once):
        notes.append(f"{more} named again are shown once")
    said = "".join(f"; {note}" for note in notes)
    line = f"wrote {page}, of {what}{said}, {page.stat().st_size / 1e6:.1f} MB; open it in a browser"
    sys.stdout.write(f"{printable(line)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "report",
        description="Write what was measured to one HTML file that opens in any browser, without a network. Several of "
        "a kind are compared: runs of the nodes, evaluations with the first of them, trainings by their curves.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="folder of a run, file of eval --json, or output directory of a training",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE", help="the page, in a folder that is there"
    )
    return parser
