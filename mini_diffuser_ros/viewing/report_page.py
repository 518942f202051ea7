"""Reports of what was measured on one page that opens offline: runs, evaluations and trainings, alone or compared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.training.outputs import METRICS, RECIPE
from mini_diffuser_ros.viewing.offline_page import MOST_ROWS, write_page
from mini_diffuser_ros.viewing.run_report import RUN_FILE, RunReport

Block = dict[str, Any]
"""Part of a page, as blocks.js draws it: its ``kind`` and what that needs."""

SCRIPTS = ("elements.js", "scene.js", "chart.js", "timeline.js", "blocks.js")


class ReportError(UserError):
    """Something that no report can be made of; the text names it and what can be given."""


@dataclass(frozen=True)
class MeasuredRun:
    """A run folder: its name, where it is, and what is kept of the run."""

    name: str
    folder: Path
    report: RunReport


@dataclass(frozen=True)
class MeasuredEvaluation:
    """An evaluation.

    Attributes:
        name: shown of it.
        report: as ``mini-diffuser eval --json`` writes it.
        scenes: what was seen in episodes, by their number in the report: a list of blocks for each decision.
    """

    name: str
    report: Mapping[str, Any]
    scenes: Mapping[int, Sequence[Block]]


@dataclass(frozen=True)
class MeasuredTraining:
    """An output directory of a training: its name, the lines of its metrics, its recipe."""

    name: str
    metrics: Sequence[Mapping[str, Any]]
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class Unrecorded:
    """A folder without a record of anything, as of a run that was killed before it wrote one: its name, where it is."""

    name: str
    folder: Path


_ROUNDED = 1e-6  # by which figures of a file may miss one another
Measured = MeasuredRun | MeasuredEvaluation | MeasuredTraining | Unrecorded


def read_measured(path: Path) -> Measured:
    """What a folder of a run or a training, or a file of an evaluation, holds.

    Raises:
        ReportError: it is none of these.
        UserError: it is one that cannot be read.
    """
    if os.path.isfile(path / RUN_FILE):  # which never raises, as Path.is_file may
        return MeasuredRun(_name(path), path, RunReport.read(path))
    if os.path.isfile(path / METRICS):
        return read_training(path)
    if os.path.isfile(path):
        return MeasuredEvaluation(path.stem, _evaluation(path), {})
    there = "holds neither" if os.path.isdir(path) else "is not there: neither"
    raise ReportError(
        f"{path}: {there} {RUN_FILE} of a run nor {METRICS} of a training, nor is it a file of eval --json"
    )


def read_side_by_side(paths: Sequence[Path]) -> list[Measured]:
    """As :func:`read_measured`, of several; a folder among them that holds nothing keeps nobody from the rest.

    Raises:
        ReportError: one of them is none of these, or all are folders that hold nothing.
        UserError: one of them cannot be read.
    """
    measured = [Unrecorded(_name(path), path) if _is_unrecorded(path) else read_measured(path) for path in paths]
    if all(isinstance(each, Unrecorded) for each in measured):
        read_measured(paths[0])  # which says what it lacks
    return measured


def read_training(out: Path) -> MeasuredTraining:
    """What the output directory of a training holds.

    Raises:
        ReportError: there are no metrics in it.
    """
    return MeasuredTraining(_name(out), _metrics(out / METRICS), _recipe(out / RECIPE))


def _name(path: Path) -> str:
    """Of a folder, whatever way leads to it."""
    return os.path.basename(os.path.realpath(path))


def _is_unrecorded(path: Path) -> bool:
    return os.path.isdir(path) and not any(os.path.lexists(path / name) for name in (RUN_FILE, METRICS))


def write_blocks(path: Path, title: str, verdict: str, blocks: Sequence[Block]) -> None:
    """Write a page of blocks.

    Args:
        path: of the page; its folder exists.
        title: of page and window.
        verdict: the result in a line, may be empty.
        blocks: in order.

    Raises:
        OSError: if it cannot be written.
    """
    write_page(path, title, SCRIPTS, {"title": title, "verdict": verdict, "blocks": list(blocks)})


def text(words: str) -> Block:
    """A paragraph."""
    return {"kind": "text", "text": words}


def table(title: str, head: Sequence[str], rows: Sequence[Any], nothing: str = "none") -> Block:
    """A table of texts; a row is a list of them, or a mapping with ``row`` and ``became``, the class that it is of."""
    shown = list(rows[:MOST_ROWS])
    more = f"and {len(rows) - len(shown)} more" if len(rows) > len(shown) else ""
    return {"kind": "table", "title": title, "head": list(head), "rows": shown, "nothing": nothing, "more": more}


def differences(title: str, names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> Block:
    """Where settings, nested or not, differ; of one alone all of them."""
    flat = [dict(_leaves(each)) for each in settings]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    rows = [[key, *(each.get(key, "-") for each in flat)] for key in keys]
    if len(flat) > 1:
        rows = [row for row in rows if len(set(row[1:])) > 1]
        title = f"{title} that differ"
    return table(title, ["", *names], rows, "none" if len(flat) == 1 else "they are the same")


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, default=str)))
    return found


def _metrics(path: Path) -> list[Mapping[str, Any]]:
    """Lines of a training's metrics; one that a kill cut short is left out."""
    lines: list[Mapping[str, Any]] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                continue
            if isinstance(values, Mapping) and isinstance(values.get("step"), int):
                lines.append(values)
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: cannot be read: {error}") from error
    return lines


def _recipe(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, Mapping) else {}


def _evaluation(path: Path) -> Mapping[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        for figures in report["tasks"].values():
            low, high = figures["interval"]
            rate, episodes = figures["success_rate"], figures["episodes"]
            assert 0.0 <= low <= high <= 1.0
            assert rate is None or low - _ROUNDED <= rate <= high + _ROUNDED
            assert isinstance(episodes, int)
            assert episodes >= 0
        assert isinstance(report.setdefault("episodes", []), list)
        assert isinstance(report.setdefault("protocol", {}), dict)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise ReportError(f"{path}: is no file of mini-diffuser eval --json") from error
    return dict(report)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no figure")
