"""``mini-diffuser check``: read every episode of a data set from end to end, look at all together, name every fault."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, add_workers_argument, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.checks.episode import examine
from mini_diffuser_ros.data.checks.report import report_on
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.sentences import MAX_TOKENS
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import whole_file
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
    with ExitStack() as stack:
        out = _opened(values.json, stack)
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


def _opened(path: str | None, stack: ExitStack) -> Path | None:
    """The file for the figures, which is known to be writable before hours are spent on them; None without one."""
    if path is None or path == STANDARD_OUTPUT:
        return None
    try:
        if Path(path).is_dir():
            raise IsADirectoryError
        partial_file = stack.enter_context(whole_file(path))
        partial_file.touch()
    except IsADirectoryError:
        raise UserError(f"--json {path}: is a directory") from None
    except OSError as error:
        raise UserError(f"--json {path}: cannot be written: {error.strerror or error}") from error
    return partial_file
