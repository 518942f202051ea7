"""Runs side by side: how they went, what their time went into, what motion refused, and in what they differ."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from mini_diffuser_ros.viewing.joint_speeds import limit_reached
from mini_diffuser_ros.viewing.report_page import Block, MeasuredRun, differences, table, text
from mini_diffuser_ros.viewing.run_page import RUN_PAGE, timeline_values
from mini_diffuser_ros.viewing.run_report import PICTURE, UNFINISHED, RunReport
from mini_diffuser_ros.viewing.run_timeline import KINDS, seconds_by_kind, spans_of

_HEAD = ("run", "sentence", "how it ended", "keyframes", "took", "first motion", "refused", "fastest joint")
_MOST_PICTURES = 40
_WIDTH = 640  # pixels of a picture


def run_blocks(runs: Sequence[MeasuredRun], beside: Path) -> list[Block]:
    """What is to be seen of some runs.

    Args:
        runs: in the order in which they are shown.
        beside: folder of the page, from which links lead to the runs' own reports.
    """
    timelines = [(run.name, timeline_values(run.report)) for run in runs]
    longest = max(values["seconds"] for _, values in timelines)
    lines: list[Block] = [
        {"kind": "timeline", "title": name, "timeline": values, "until": longest}
        for name, values in timelines
        if values["spans"]
    ]
    # A run without an end has not said what decided in it.
    known = [run for run in runs if run.report.outcome != UNFINISHED] or runs
    missing = [[run.name, part, why] for run in runs for part, why in run.report.missing.items()]
    links = [[run.name, _address(run.folder / RUN_PAGE, beside)] for run in runs if (run.folder / RUN_PAGE).is_file()]
    return [
        table(_title(runs), _HEAD, [_row(run) for run in runs]),
        *([{"kind": "links", "title": "Their own reports", "links": links}] if links else []),
        _times(runs),
        *lines,
        table("What motion refused", ["run", "decision", "refusal"], _refusals(runs), "nothing"),
        differences("Circumstances", [run.name for run in known], [_circumstances(run.report) for run in known]),
        *([table("What is missing of their records", ["run", "", "why"], missing)] if missing else []),
        *_pictures(runs[:_MOST_PICTURES]),
    ]


def _title(runs: Sequence[MeasuredRun]) -> str:
    endless = sum(run.report.outcome == UNFINISHED for run in runs)
    reached = sum(run.report.success for run in runs)
    more = f", {endless} more without an end" if endless else ""
    return f"Runs: {reached} of {len(runs) - endless} succeeded{more}"


def _row(run: MeasuredRun) -> dict[str, object]:
    report = run.report
    nearest, first = limit_reached(report.joint_peaks), report.sentence_to_first_motion_s
    row = [
        run.name,
        report.instruction,
        "success" if report.success else f"{report.outcome}: {report.message}",
        str(report.keyframes),
        f"{report.seconds:.1f} s",
        "-" if first is None else f"{first:.2f} s",
        str(sum(len(decision.refusals) for decision in report.decisions)),
        "-" if nearest is None else f"{nearest.joint}, {100.0 * nearest.share:.0f} % of its limit",
    ]
    return {"row": row, "became": "" if report.success else "troubled"}


def _times(runs: Sequence[MeasuredRun]) -> Block:
    sums = [seconds_by_kind(spans_of(run.report.events, run.report.seconds)) for run in runs]
    found = {kind for each in sums for kind in each}
    kinds = [kind for kind in KINDS.values() if kind in found] + sorted(found - set(KINDS.values()))
    rows = [[kind, *(f"{each[kind]:.1f} s" if kind in each else "-" for each in sums)] for kind in kinds]
    return table("What the time went into", ["", *(run.name for run in runs)], rows, "nothing")


def _refusals(runs: Sequence[MeasuredRun]) -> list[list[str]]:
    return [
        [run.name, str(number + 1), refusal]
        for run in runs
        for number, decision in enumerate(run.report.decisions)
        for refusal in decision.refusals
    ]


def _circumstances(report: RunReport) -> dict[str, object]:
    about = {"sentence": report.instruction, "arm": report.namespace, "task": report.task}
    return {**about, "checkpoint": report.checkpoint, "computed on": report.computed_on, "versions": report.versions}


def _address(page: Path, beside: Path) -> str:
    """Of a file, as seen from a folder; never taken for that of something else, whatever it is called."""
    return "./" + quote(os.fsencode(os.path.relpath(page.resolve(), beside.resolve())))


def _pictures(runs: Sequence[MeasuredRun]) -> list[Block]:
    blocks: list[Block] = []
    for run in runs:
        try:
            with Image.open(run.folder / PICTURE) as picture:
                small = picture.convert("RGB")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # as Pillow finds a file damaged
            blocks.append(text(f"{run.name}: {PICTURE} is damaged, and not shown"))
            continue
        small.thumbnail((_WIDTH, _WIDTH))
        stream = BytesIO()
        small.save(stream, "JPEG", quality=85)
        source = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
        blocks.append({"kind": "picture", "title": f"{run.name}: first decision", "source": source})
    return blocks
