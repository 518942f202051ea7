"""``mini-diffuser check``: read every episode of a data set from end to end, look at all together, name every fault."""

from __future__ import annotations

import json
import sys
from functools import partial

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, add_workers_argument, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.checks.episode import examine
from mini_diffuser_ros.data.checks.report import report_on
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.sentences import MAX_TOKENS
from mini_diffuser_ros.support.files import output_file
from mini_diffuser_ros.support.workers import map_in_workers

STANDARD_OUTPUT = "-"


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if there is an error, with --strict also if there is a warning."""
    parser = CommandParser("check", description="Read every episode from end to end and name every fault.")
    add_source_arguments(parser)
    add_workers_argument(parser)
    parser.add_argument("--all", action="store_true", help="a line for each fault, also where many episodes share it")
    parser.add_argument("--strict", action="store_true", help="warnings are errors to the exit code")
    parser.add_argument("--json", metavar="FILE", help="what was found, for programs; - writes it to standard output")
    parser.add_argument(
        "--max-tokens",
        type=whole_number_from(1),
        default=MAX_TOKENS,
        metavar="N",
        help="text.max_tokens of the recipe to come (default %(default)s)",
    )
    values = parser.parse_args(arguments)
    episodes = open_episodes(values.path, sentences=values.sentences)
    with output_file(None if values.json == STANDARD_OUTPUT else values.json, "--json") as out:
        results = map_in_workers(partial(examine, max_tokens=values.max_tokens), episodes.stored, values.workers)
        report = report_on(tqdm(results, total=len(episodes), desc="checking", unit="episode", disable=None))
        text = json.dumps({"path": str(values.path), **report.as_json()}, indent=2, ensure_ascii=False) + "\n"
        if out is not None:
            out.write_text(text, encoding="utf-8")
    if values.json == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        sys.stdout.writelines(f"{line}\n" for line in report.lines(values.all))
    return 1 if report.errors or (values.strict and report.warnings) else 0
