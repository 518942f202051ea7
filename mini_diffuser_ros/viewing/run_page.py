"""A run on one page that opens offline: film, what its time went into, decisions, speeds, diagnostics, versions."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.support.drawing import GripperGlyph, glyphs_of_modes, shown_metres
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.health import HealthLevel
from mini_diffuser_ros.viewing.joint_speeds import JointSpeeds
from mini_diffuser_ros.viewing.offline_page import MOST_ROWS, page_text, write_page
from mini_diffuser_ros.viewing.run_report import DRAWN_MODES, LoggedDecision, LoggedMode, RunReport
from mini_diffuser_ros.viewing.run_timeline import KINDS, seconds_by_kind, spans_of
from mini_diffuser_ros.viewing.run_video import Film, FilmError, film_within
from mini_diffuser_ros.viewing.scene import POINT_BYTES, scene_values

RUN_PAGE = "report.html"
"""Of a run folder."""
FILM = "film"
"""What a report calls the film, where it says what is missing."""
KEPT_POINTS = 6000
"""Points of a decision's cloud that are worth keeping for its page."""

SCRIPTS = ("elements.js", "scene.js", "chart.js", "timeline.js", "run.js")

_MOST_BYTES = 4_800_000  # of the page: five megabytes can be mailed
_LEAST_FILM = 100_000  # bytes; below, nothing can be seen in it
_CLOUD_BYTES = 2_000_000  # of all clouds together, as text
_MOST_SPEEDS = 400  # points of a curve
_REFUSED = (150, 150, 150)


@dataclass(frozen=True, kw_only=True)
class RunSights:
    """What was seen of a run besides its report.

    Attributes:
        clouds: that were looked at, by the number of the decision.
        speeds: of the joints, None where nobody measured them.
        film: of the cameras, None without one.
    """

    clouds: Mapping[int, Cloud] = field(default_factory=dict)
    speeds: JointSpeeds | None = None
    film: Film | None = None


def write_run_page(folder: Path, report: RunReport, sights: RunSights, patience: float = 0.0) -> Path:
    """Write ``report.html`` of a run, however it ended, of at most five megabytes.

    Args:
        folder: of the run.
        report: what is kept of it.
        sights: what was seen.
        patience: seconds that a film which is too large may take to be made smaller; without it, the page names the
            file.

    Returns:
        the page.

    Raises:
        OSError: if it cannot be written.
    """
    values = run_values(report, sights)
    room = _MOST_BYTES - len(page_text(report.instruction, SCRIPTS, values).encode())
    without = values["film"]
    values["film"] = _film_values(sights.film, room * 3 // 4, patience) if sights.film else without
    page = folder / RUN_PAGE
    try:
        write_page(page, report.instruction, SCRIPTS, values)
    except OSError as error:
        if not values["film"]["mp4"]:
            raise
        # A disk that has no room for the film may have some for all the rest.
        said = f"The film is not on this page, as that could not be written with it: {one_line(error)}"
        write_page(page, report.instruction, SCRIPTS, {**values, "film": _no_film(said)})
    return page


def run_values(report: RunReport, sights: RunSights) -> dict[str, Any]:
    """All that the page shows but the film."""
    return {
        "sentence": report.instruction,
        "succeeded": report.success,
        "verdict": "success" if report.success else f"{report.outcome}: {report.message}",
        "facts": _facts(report),
        "timeline": timeline_values(report),
        "decisions": [_decision_values(report, number, sights) for number in range(len(report.decisions))],
        "speeds": _speed_values(report, sights.speeds),
        "diagnostics": _diagnostics(report),
        "versions": [[name, str(said)] for name, said in report.versions.items()],
        "film": _no_film(f"No film: {report.missing.get(FILM, 'none was made')}"),
    }


def timeline_values(report: RunReport) -> dict[str, Any]:
    """Spans of a run by kind, as timeline.js draws them."""
    spans = spans_of(report.events, report.seconds)
    order = [*KINDS.values()]
    kinds = sorted({span.kind for span in spans}, key=lambda kind: order.index(kind) if kind in order else len(order))
    sums = seconds_by_kind(spans)
    return {
        "seconds": max([report.seconds, *(span.end for span in spans)]),
        "lanes": [[kind, round(sums[kind], 2)] for kind in kinds if kind in sums],
        "spans": [[span.kind, span.keyframe, round(span.start, 3), round(span.end, 3)] for span in spans],
    }


def _facts(report: RunReport) -> list[list[str]]:
    world = {None: "", True: "confirms success", False: "does not confirm success"}[report.confirmed]
    first = report.sentence_to_first_motion_s
    facts = {
        "outcome": report.outcome,
        "the policy said": report.message,
        "the world": world,
        "arm": report.namespace,
        "task": report.task,
        "started": report.started,
        "took": f"{report.seconds:.1f} s",
        "first motion": "none" if first is None else f"after {first:.2f} s",
        "keyframes reached": str(report.keyframes),
        "decisions": str(len(report.decisions)),
        "candidates refused": str(sum(len(decision.refusals) for decision in report.decisions)),
        "checkpoint": report.checkpoint,
        "computed on": report.computed_on,
        "missing here": "; ".join(f"{part}: {why}" for part, why in report.missing.items()),
    }
    return [[name, said] for name, said in facts.items() if said]


def _decision_values(report: RunReport, number: int, sights: RunSights) -> dict[str, Any]:
    decision, cloud = report.decisions[number], sights.clouds.get(number)
    most = min(KEPT_POINTS, _CLOUD_BYTES // POINT_BYTES // max(1, len(sights.clouds)))
    scene = None if cloud is None else scene_values(cloud, candidate_glyphs(decision), most_points=most)
    left_out = "" if scene is None else str(scene["left_out"])
    about = beliefs(decision)
    points = "cloud not seen here" if decision.points is None else f"{decision.points} points"
    return {
        "label": str(decision.keyframe or number + 1),
        "title": f"Decision {number + 1}, for keyframe {decision.keyframe or '?'}",
        "seconds": decision.seconds,
        "about": "; ".join(
            filter(None, [f"at {decision.seconds:.2f} s", points, f"seed {decision.seed}", *about, left_out])
        ),
        "scene": scene,
        "candidates": [candidate_values(decision, rank) for rank in range(len(decision.modes))][:MOST_ROWS],
    }


def beliefs(decision: LoggedDecision) -> list[str]:
    """What the policy knew about itself when it decided, in words; nothing where it does not know."""
    knows = {
        "familiarity of the sentence": decision.familiarity,
        "what it names is there": decision.presence,
        "done already": decision.completion,
    }
    return [f"{name} {100.0 * value:.0f} %" for name, value in knows.items() if value is not None]


def candidate_values(decision: LoggedDecision, rank: int) -> dict[str, Any]:
    """Row of a candidate in the table of a decision: rank, share, sureness, place, what became of it."""
    mode = decision.modes[rank]
    sure = decision.sureness[rank] if rank < len(decision.sureness) else None
    refusal = decision.refusals[rank] if rank < len(decision.refusals) else ""
    return {
        "row": [
            str(rank + 1),
            f"{100.0 * _number(mode.share):.0f} %",
            "" if sure is None else f"{100.0 * sure:.0f} %",
            " ".join(shown_metres(_number(value)) for value in mode.pose[:3]),
            "open" if mode.gripper_open else "closed",
            "ends" if mode.terminate else "",
            f"{1000.0 * _number(mode.spread):.1f} mm",
            "executed" if rank == decision.chosen else refusal,
        ],
        "became": "executed" if rank == decision.chosen else "refused" if refusal else "",
    }


def candidate_glyphs(decision: LoggedDecision) -> list[GripperGlyph]:
    """Of a decision's candidates, what was refused in grey and with that word."""
    glyphs = glyphs_of_modes([_mode(mode) for mode in decision.modes[:DRAWN_MODES]])
    refused = {rank for rank in range(len(decision.refusals)) if rank != decision.chosen}
    return [
        GripperGlyph(one.pose, one.gripper_open, f"{one.label} refused", _REFUSED) if rank in refused else one
        for rank, one in enumerate(glyphs)
    ]


def _mode(mode: LoggedMode) -> KeyframeMode:
    pose = np.array([_number(value) for value in mode.pose])
    return KeyframeMode(pose, mode.gripper_open, mode.terminate, _number(mode.share), _number(mode.spread))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _speed_values(report: RunReport, speeds: JointSpeeds | None) -> dict[str, Any]:
    times, shares = speeds.shares(_MOST_SPEEDS) if speeds is not None else ([], {})
    percent = {name: [round(100.0 * value, 1) for value in values] for name, values in shares.items()}
    decided = [[decision.seconds, f"decision {number + 1}"] for number, decision in enumerate(report.decisions)]
    chart = {
        "times": times,
        "in_seconds": True,
        "marks": decided,
        "curves": [{"name": name, "values": values} for name, values in percent.items()],
        "open": [],
        "unit": "% of the limit",
        "limit": 100.0,
        "until": max([report.seconds, *times]),
    }
    rows = [[peak.joint, f"{peak.speed:.2f} rad/s", f"{100.0 * peak.share:.0f} %"] for peak in report.joint_peaks]
    over = [peak.joint for peak in report.joint_peaks if peak.share > 1.0]
    told = f"over their limits as measured: {', '.join(over)}" if over else ""
    return {"chart": chart if times else None, "peaks": rows, "over": told}


def _diagnostics(report: RunReport) -> list[list[str]]:
    """What was not well, in order of time; before it, the parts that were well all the time."""
    troubled = {each.name for each in report.findings if each.level != HealthLevel.OK.name}
    well = sorted({each.name for each in report.findings} - troubled)
    rows = [
        [f"{each.seconds:.1f} s", each.name, each.level, each.message]
        for each in report.findings
        if each.name in troubled
    ]
    left_out = ", ".join(f"{count} of {name}" for name, count in report.findings_left_out.items())
    return [
        *([["always", ", ".join(well), HealthLevel.OK.name, ""]] if well else []),
        *rows[:MOST_ROWS],
        *([["", "", "", f"changes that are left out: {left_out}"]] if left_out else []),
    ]


def _film_values(film: Film, room: int, patience: float) -> dict[str, Any]:
    if room < _LEAST_FILM:
        return _no_film(f"The film has no room on this page; it lies beside it: {film.path.name}")
    try:
        content = film_within(film, room, patience)
    except FilmError as error:
        return _no_film(str(error))
    times = [round(each, 2) for each in film.seconds]
    return {"mp4": base64.b64encode(content).decode(), "times": times, "missing": ""}


def _no_film(why: str) -> dict[str, Any]:
    return {"mp4": "", "times": [], "missing": why}
