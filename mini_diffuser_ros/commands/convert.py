"""``mini-diffuser convert``: demonstrations of any kind into one compact database."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, add_workers_argument
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "convert",
        description="Write demonstrations of any kind into one compact database. Run again, it goes on where it was"
        " stopped: an episode that is there by name is kept.",
    )
    add_source_arguments(parser)
    parser.add_argument("destination", type=Path, help="folder of the database, made if missing")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--clouds", action="store_true", help="fuse each keyframe's images to a cloud (default)")
    kind.add_argument("--images", action="store_true", help="keep the images; recordings of ours only")
    parser.add_argument("--skip-bad", action="store_true", help="go on after a bad episode and list it at the end")
    add_workers_argument(parser)
    values = parser.parse_args(arguments)
    try:
        return _convert(values)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("run it again to go on") from None


def _convert(values: argparse.Namespace) -> int:
    episodes = open_episodes(values.path, sentences=values.sentences)
    contents = Contents.IMAGES if values.images else Contents.CLOUDS
    faults = []
    progress = tqdm(
        convert(episodes, values.destination, contents, values.workers),
        total=len(episodes),
        desc="converting",
        unit="episode",
        disable=None,
    )
    for converted in progress:
        if converted.fault is not None:
            if not values.skip_bad:
                raise DataError(f"{converted.fault} (--skip-bad goes on)")
            faults.append(converted.fault)
    sys.stdout.write(f"{len(episodes) - len(faults)} of {len(episodes)} episodes are in {values.destination}\n")
    for fault in faults:
        sys.stderr.write(f"skipped {fault}\n")
    return 0
