"""``mini-diffuser check``: read every episode of a data set from end to end and name every fault."""

from __future__ import annotations

import sys

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, add_workers_argument
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.checking import episode_faults
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.support.workers import map_in_workers


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if an episode has a fault."""
    parser = CommandParser("check", description="Read every episode from end to end and name every fault.")
    add_source_arguments(parser)
    add_workers_argument(parser)
    values = parser.parse_args(arguments)
    episodes = open_episodes(values.path, sentences=values.sentences)
    bad = 0
    results = map_in_workers(episode_faults, episodes.stored, values.workers)
    for faults in tqdm(results, total=len(episodes), desc="checking", unit="episode", disable=None):
        bad += bool(faults)
        for line in faults:
            tqdm.write(line, file=sys.stdout)
    sys.stdout.write(f"{len(episodes)} episodes, {bad} with faults\n")
    return 1 if bad else 0
