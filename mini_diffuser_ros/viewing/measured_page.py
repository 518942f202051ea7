"""The page of what was measured: of one run, evaluation or training, or of several side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.training.outputs import METRICS
from mini_diffuser_ros.viewing.evaluation_blocks import evaluation_blocks, mean_success
from mini_diffuser_ros.viewing.report_page import (
    Block,
    Measured,
    MeasuredEvaluation,
    MeasuredRun,
    MeasuredTraining,
    ReportError,
    Unrecorded,
    table,
    write_blocks,
)
from mini_diffuser_ros.viewing.run_blocks import run_blocks
from mini_diffuser_ros.viewing.run_report import RUN_FILE
from mini_diffuser_ros.viewing.training_blocks import last_step, training_blocks

_MOST_TOLD = 200  # characters of what is wrong


def write_measured_page(path: Path, measured: Sequence[Measured]) -> None:
    """Write a page that shows one of these, or compares several of a kind.

    Args:
        path: of the page; its folder exists.
        measured: in the order in which they are shown; those that are called alike are numbered.

    Raises:
        OSError: if it cannot be written.
        ReportError: one of them holds values that no report can be made of.
    """
    for each in measured:
        _try(each, path.resolve().parent)
    named = _told_apart(measured)
    runs = [each for each in named if isinstance(each, MeasuredRun)]
    evaluations = [each for each in named if isinstance(each, MeasuredEvaluation)]
    trainings = [each for each in named if isinstance(each, MeasuredTraining)]
    blocks: list[Block] = []
    blocks += run_blocks(runs, path.resolve().parent) if runs else []
    blocks += evaluation_blocks(evaluations) if evaluations else []
    blocks += training_blocks(trainings) if trainings else []
    blocks += _unrecorded([each for each in named if isinstance(each, Unrecorded)])
    shown = [each for each in named if not isinstance(each, Unrecorded)] or named
    title = shown[0].name if len(shown) == 1 else f"{len(shown)} reports side by side"
    write_blocks(path, title, _verdict(shown[0]) if len(shown) == 1 else "", blocks)


def _unrecorded(folders: Sequence[Unrecorded]) -> list[Block]:
    if not folders:
        return []
    why = f"no record: it holds neither {RUN_FILE} nor {METRICS}, as of a run that was killed before it wrote one"
    return [table("Folders without a record", ["", ""], [[each.name, why] for each in folders])]


def _try(measured: Measured, beside: Path) -> None:
    """Refuse what no report can be made of by its own name, as a file that was damaged or edited may be."""
    try:
        blocks: list[Block] = []
        if isinstance(measured, MeasuredRun):
            blocks = run_blocks([measured, measured], beside)
        elif isinstance(measured, MeasuredEvaluation):
            figures = MeasuredEvaluation(measured.name, measured.report, {})  # what was seen is large, and our own
            blocks = evaluation_blocks([figures, figures])
        elif isinstance(measured, MeasuredTraining):
            blocks = training_blocks([measured, measured])
        json.dumps([blocks, _verdict(measured)], allow_nan=False)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {one_line(error)}"[:_MOST_TOLD]
        raise ReportError(f"{measured.name}: holds values that no report can be made of ({what})") from error


def _told_apart(measured: Sequence[Measured]) -> list[Measured]:
    """The same with names that are there once."""
    counts, seen = Counter(each.name for each in measured), Counter[str]()
    named: list[Measured] = []
    for each in measured:
        seen[each.name] += 1
        name = f"{each.name} ({seen[each.name]})" if counts[each.name] > 1 else each.name
        named.append(_renamed(each, name))
    return named


def _renamed(measured: Measured, name: str) -> Measured:
    if isinstance(measured, MeasuredRun):
        return MeasuredRun(name, measured.folder, measured.report)
    if isinstance(measured, MeasuredEvaluation):
        return MeasuredEvaluation(name, measured.report, measured.scenes)
    if isinstance(measured, Unrecorded):
        return Unrecorded(name, measured.folder)
    return MeasuredTraining(name, measured.metrics, measured.recipe)


def _verdict(measured: Measured) -> str:
    if isinstance(measured, MeasuredRun):
        return measured.report.summary()
    if isinstance(measured, MeasuredEvaluation):
        return mean_success(measured.report)
    if isinstance(measured, Unrecorded):
        return "no record"
    return f"{last_step(measured)} steps"
