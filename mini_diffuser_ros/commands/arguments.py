"""Command-line arguments that the commands on demonstrations share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Where demonstrations are: ``path`` and ``--sentences``."""
    parser.add_argument(
        "path", type=Path, help="recordings, a converted set, raw RLBench, PerAct or 3D-LOTUS keysteps: the directory"
    )
    parser.add_argument(
        "--sentences", type=Path, metavar="FILE", help="sentences of 3D-LOTUS keysteps, JSON; by default beside them"
    )


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """``--workers``, by default one for each core that this process may use."""
    parser.add_argument(
        "--workers",
        type=_positive,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes that read (default %(default)s)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def whole_number(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)
