"""Command-line arguments of verbs that work in worlds of tasks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from mini_diffuser_ros.running.world_names import SHORT_NAMES


def add_world_arguments(parser: argparse.ArgumentParser, own: Iterable[str]) -> None:
    """``--world`` and ``--world-options``.

    Args:
        parser: of the verb.
        own: names of worlds that the verb has options of their own for.
    """
    names = ", ".join(dict.fromkeys((*own, *SHORT_NAMES)))
    parser.add_argument(
        "--world",
        default="tabletop",
        help=f"{names}, or a class of your own as package.module:Class or file.py:Class, see docs/worlds.md (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--world-options",
        nargs="+",
        metavar="FIELD=VALUE",
        help="settings of a world that has no options here, as its class describes them",
    )
