"""``mini-diffuser convert``: demonstrations of any kind into one compact database."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, add_workers_argument
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.data.store.conversion import ConversionOutcome, Converted, convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.support.files import make_writable

_COUNTED = (ConversionOutcome.KEPT, ConversionOutcome.ADDED, ConversionOutcome.RENEWED, ConversionOutcome.REMOVED)
_SHOWN = 10  # names of episodes in one line


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "convert",
        description="Write demonstrations of any kind into one compact database. Run again, it goes on where it was"
        " stopped: an episode is kept if its content is that which was converted, else made anew.",
    )
    add_source_arguments(parser)
    parser.add_argument("destination", type=Path, help="folder of the database, made if missing")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--clouds", action="store_true", help="fuse each keyframe's images to a cloud (default)")
    kind.add_argument("--images", action="store_true", help="keep the images; recordings of ours only")
    parser.add_argument("--skip-bad", action="store_true", help="go on after a bad episode and list it at the end")
    parser.add_argument("--prune", action="store_true", help="remove from the database what PATH does not hold")
    add_workers_argument(parser)
    values = parser.parse_args(arguments)
    try:
        return _convert(values)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("run it again to go on") from None


def _convert(values: argparse.Namespace) -> int:
    episodes = open_episodes(values.path, sentences=values.sentences)
    make_writable(values.destination, "destination")
    contents = Contents.IMAGES if values.images else Contents.CLOUDS
    progress = tqdm(
        convert(episodes, values.destination, contents, values.workers, values.prune),
        total=len(episodes),
        desc="converting",
        unit="episode",
        disable=None,
    )
    became: dict[ConversionOutcome, list[Converted]] = {outcome: [] for outcome in ConversionOutcome}
    for one in progress:
        if one.fault and not values.skip_bad:
            raise DataError(f"{one.fault} (--skip-bad goes on)")
        became[one.outcome].append(one)
    counts = [f"{len(became[outcome])} {outcome.value}" for outcome in _COUNTED if became[outcome]]
    whole = len(episodes) - len(became[ConversionOutcome.FAULTY])
    sys.stdout.write(
        f"{whole} of {len(episodes)} episodes are in {values.destination}: {', '.join(counts) or 'none'}\n"
    )
    for one in became[ConversionOutcome.FAULTY]:
        sys.stderr.write(f"skipped {one.fault}\n")
    if gone := became[ConversionOutcome.GONE]:
        sys.stdout.write(
            f"{len(gone)} in {values.destination} are not in {values.path} any more: {_named(gone)}"
            " (--prune removes them)\n"
        )
    return 0


def _named(converted: Sequence[Converted]) -> str:
    names = [one.source for one in converted[:_SHOWN]]
    return ", ".join(names) + (f" and {len(converted) - _SHOWN} more" if len(converted) > _SHOWN else "")
