"""``mini-diffuser import``: demonstrations in a format of others into recordings of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.incoming import IncomingFolder, Reading
from mini_diffuser_ros.data.exchange.lerobot_layout import is_lerobot
from mini_diffuser_ros.data.exchange.lerobot_source import lerobot_episodes


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "import",
        description="Read demonstrations in a format of others into recordings of ours. An episode that is there with"
        " the same content is not added again.",
    )
    parser.add_argument("path", type=Path, help="a LeRobotDataset v3: the directory")
    parser.add_argument("destination", type=Path, help="folder of recordings to add to, made if missing")
    parser.add_argument("--robot", help="its description, by name or folder (default: the one that the data name)")
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="YAML: what data that are not ours do not say of themselves; without it, what is missing is listed",
    )
    parser.add_argument("--skip-bad", action="store_true", help="go on after a bad episode and list it at the end")
    values = parser.parse_args(arguments)
    readings = list(_readings(values.path, values.robot, values.mapping))
    into = IncomingFolder(values.destination)
    added, faults = 0, []
    for read in tqdm(readings, desc="importing", unit="episode", disable=None):
        try:
            added += into.add(read()) is not None
        except DataError as error:
            if not values.skip_bad:
                raise DataError(f"{error} (--skip-bad goes on)") from error
            faults.append(str(error))
    there = len(readings) - added - len(faults)
    said = f", {there} were there already" if there else ""
    sys.stdout.write(f"added {added} of {len(readings)} episodes to {values.destination}{said}\n")
    for fault in faults:
        sys.stderr.write(f"skipped {fault}\n")
    return 0


def _readings(path: Path, robot: str | None, mapping: Path | None) -> Iterator[Reading]:
    """The episodes at a path, unread, by the format that lies there."""
    if is_lerobot(path):
        return lerobot_episodes(path, robot, mapping)
    raise DataError(f"{path}: holds nothing that can be imported, expected a LeRobotDataset (meta/info.json)")
