"""``mini-diffuser export``: demonstrations of ours into a format of others."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.exchange.lerobot_export import export_lerobot
from mini_diffuser_ros.data.opening import open_episodes

FORMATS = {"lerobot": export_lerobot}


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "export",
        description="Write demonstrations in a format of others, with nothing lost: lerobot, a LeRobotDataset v3 whose"
        " frames are the keyframes.",
    )
    parser.add_argument("path", type=Path, help="recordings, or another set that has images: the directory")
    parser.add_argument("destination", type=Path, help="folder to write, new or empty")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, help="of the files to write")
    parser.add_argument(
        "--fps",
        type=whole_number_from(1),
        default=1,
        metavar="N",
        help="lerobot: frames a second that the dataset declares; keyframes have no rate of their own",
    )
    values = parser.parse_args(arguments)
    episodes = open_episodes(values.path)
    written = FORMATS[values.format](episodes, values.destination, values.fps)
    for _ in tqdm(written, total=len(episodes), desc="exporting", unit="episode", disable=None):
        pass
    sys.stdout.write(f"wrote {values.destination}: {len(episodes)} episodes\n")
    return 0
