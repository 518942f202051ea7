"""How old the calibrations of a cell file are, and what does not fit in it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from mini_diffuser_ros.doctor.cell_facts import cell_facts

EXAMPLE = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"
NOW = datetime(2026, 12, 9, tzinfo=timezone.utc)


def test_the_example_fits_and_was_never_calibrated() -> None:
    facts = cell_facts(EXAMPLE, NOW)
    assert not any(forbids for forbids, _, _ in facts.problems)
    assert facts.calibrations == {"where front is": None, "where wrist is": None, "the table": None}


def test_a_calibration_has_its_age(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("table: {height: 0.0}", "table: {height: 0.0, calibrated: {date: 2026-11-29}}")
    (tmp_path / "mine.yaml").write_text(text)
    assert cell_facts(tmp_path / "mine.yaml", NOW).calibrations["the table"] == pytest.approx(10.0)


def test_what_cannot_be_is_a_problem_with_its_remedy(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("[1.10, 0.00, 0.55]", "[1100.0, 0.00, 550.0]")
    (tmp_path / "mine.yaml").write_text(text)
    facts = cell_facts(tmp_path / "mine.yaml", NOW)
    assert any(forbids and "cameras.front.translation" in what and remedy for forbids, what, remedy in facts.problems)
    assert any(forbids for forbids, _, _ in cell_facts(tmp_path / "none.yaml", NOW).problems)
