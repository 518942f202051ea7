"""``mini-diffuser check``: read every episode of a data set from end to end and name every fault."""

from __future__ import annotations

import sys

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, add_workers_argument
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.checking import episode_faults
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.data.processes import for_each


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, 1 if an episode has a fault, or 2 if there is nothing to read."""
    parser = CommandParser("check", description="Read every episode from end to end and name every fault.")
    add_source_arguments(parser)
    add_workers_argument(parser)
    values = parser.parse_args(arguments)
    try:
        episodes = open_episodes(values.path, sentences=values.sentences)
    except DataError as error:
        sys.stderr.write(f"mini-diffuser check: {error}\n")
        return 2
    bad = 0
    results = for_each(episode_faults, episodes.stored, values.workers)
    for _, faults in tqdm(results, total=len(episodes), desc="checking", unit="episode", disable=None):
        lines = [str(faults)] if isinstance(faults, DataError) else faults
        bad += bool(lines)
        for line in lines:
            tqdm.write(line, file=sys.stdout)
    sys.stdout.write(f"{len(episodes)} episodes, {bad} with faults\n")
    return 1 if bad else 0
