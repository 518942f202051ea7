"""Rows of results as JSON lines or as a table, each as soon as it is measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_NARROWEST = 8
_DIGITS = 6  # of a float in JSON, after the point
_SHARED = ("config", "device", "threads", "dtype", "repeats")


def write_rows(rows: Iterable[DataclassInstance | Mapping[str, Any]], as_json: bool) -> None:
    """Write dataclasses of one kind, or reports, to standard output; of a report a table has a line for each field.

    A table says once, above its columns, what a command's rows have in common: preset, device, threads, type, repeats.
    """
    for number, row in enumerate(rows):
        fields = dict(row) if isinstance(row, Mapping) else asdict(row)
        lines = [json.dumps({name: _rounded(value) for name, value in fields.items()})]
        if isinstance(row, Mapping) and not as_json:
            lines = [f"{name:<{max(map(len, fields))}}  {value}" for name, value in fields.items()]
        elif not as_json:
            columns = {name: value for name, value in fields.items() if name not in _SHARED}
            lines = [] if number else _heading(fields, columns)
            lines.append("  ".join(f"{_cell(name, value):>{_width(name)}}" for name, value in columns.items()))
        with tqdm.external_write_mode(file=sys.stdout):
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()


def _heading(fields: Mapping[str, Any], columns: Mapping[str, Any]) -> list[str]:
    shared = ", ".join(f"{name} {fields[name]}" for name in _SHARED if name in fields)
    return [shared, "  ".join(f"{name:>{_width(name)}}" for name in columns)]


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) and abs(value) > 1e-3 else value


def _cell(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if name.endswith("_mb"):
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) > 1e-3 or value == 0 else f"{value:.1e}"


def _width(name: str) -> int:
    return 26 if name == "quantity" else max(_NARROWEST, len(name))
