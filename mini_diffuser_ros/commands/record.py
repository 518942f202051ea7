"""``mini-diffuser record``: expert demonstrations from simulation, in parallel, resumable."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.commands.sensor_arguments import add_sensor_arguments, sensor_of_arguments
from mini_diffuser_ros.commands.world_arguments import add_world_arguments
from mini_diffuser_ros.running.recording import DemonstrationSource, Outcome, Recorder, WorldSource
from mini_diffuser_ros.running.world_names import in_full
from mini_diffuser_ros.simulation.recording import TabletopSource
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import make_writable

WORLD = "tabletop"
SEED = 1000
"""Of the first layout, unless another is given: not that of evaluations, so that a policy is not tested on what it was
taught."""
OWN_OPTIONS = ("renderer", "image_size", "sensor", "cameras")
"""Options of the table-top alone; others say what they can be told in ``--world-options``."""


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if a task has fewer episodes than it was to have."""
    options = _parser().parse_args(arguments)
    # Before a world is made, which may take this process elsewhere.
    options.world, options.out = in_full(options.world), options.out.absolute()
    source = _source(options)
    make_writable(options.out, "--out")
    recorder = Recorder(source, options.out, _tasks(options, source), options.episodes, options.seed, options.workers)
    started = time.monotonic()
    try:
        outcomes = _run(recorder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"run the same command again to go on in {options.out}") from None
    sys.stdout.write(_report(recorder, outcomes, options.out, time.monotonic() - started))
    lacking = {task: plan for task, plan in recorder.plans.items() if plan.recorded < plan.wanted}
    for task, plan in lacking.items():
        sys.stderr.write(
            f"mini-diffuser record: {task}: {plan.recorded} of {plan.wanted} episodes: given up, as it failed again "
            f"and again; last: {plan.failures[-1]}\n"
        )
    return 1 if lacking else 0


def _run(recorder: Recorder) -> list[Outcome]:
    """Record with a progress bar."""
    outcomes = []
    # Into a log file the bar writes a line now and then instead of ten a second.
    interval = 0.1 if sys.stderr.isatty() else 15.0
    failures = 0
    with tqdm(
        total=sum(plan.wanted for plan in recorder.plans.values()),
        initial=recorder.already,
        unit="demo",
        desc="recording",
        mininterval=interval,
        smoothing=0.05,
    ) as bar:
        for outcome in recorder.run():
            outcomes.append(outcome)
            if outcome.failure is None:
                bar.update()
            else:
                failures += 1
                bar.set_postfix(failed=failures)
    return outcomes


def _report(recorder: Recorder, outcomes: list[Outcome], out: Path, seconds: float) -> str:
    lines = []
    for task, plan in recorder.plans.items():
        failed = (
            f", {len(plan.failures)} failed{'' if plan.given_up else ' and were replaced'}" if plan.failures else ""
        )
        lines.append(f"{task}: {plan.recorded} episodes{failed}")
        # The same reason with other numbers is the same reason.
        reasons = Counter(re.sub(r"-?\d+(\.\d+)?", "#", reason) for reason in plan.failures)
        lines += [f"    {count} x {reason}" for reason, count in reasons.most_common(5)]
    megabytes = sum(file.stat().st_size for file in out.glob("*.zip")) / 1e6
    made = sum(outcome.failure is None for outcome in outcomes)
    lines.append(f"{made} recorded in {seconds:.0f} s, {out} holds {megabytes:.0f} MB")
    return "\n".join(lines) + "\n"


def _source(options: argparse.Namespace) -> DemonstrationSource:
    """Where the demonstrations come from.

    Raises:
        UserError: there is no such world, or an option that is another world's.
    """
    if options.world == WORLD:
        if options.world_options:
            raise UserError(f"--world-options are for worlds that have no options here, not {WORLD}")
        given = {name: value for name in OWN_OPTIONS if (value := getattr(options, name)) is not None}
        given |= {"sensor": sensor_of_arguments(options) or "perfect", "cameras": _names(options.cameras or ())}
        return TabletopSource(**given)
    options.sensor = sensor_of_arguments(options)
    for name in OWN_OPTIONS:
        if getattr(options, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} is an option of --world {WORLD} alone; see --world-options")
    return WorldSource(options.world, tuple(options.world_options or ()))


def _tasks(options: argparse.Namespace, source: DemonstrationSource) -> tuple[str, ...]:
    """The names of the tasks that are meant.

    Raises:
        UserError: there is no such task.
    """
    known = tuple(source.tasks)
    tasks = known if options.tasks == ["all"] else tuple(dict.fromkeys(_names(options.tasks)))
    unknown = [task for task in tasks if task not in known]
    if unknown:
        raise UserError(f"unknown task '{unknown[0]}'; tasks: all, {', '.join(known)}")
    return tasks


def _names(words: Sequence[str]) -> tuple[str, ...]:
    """Names that are parted by spaces, or by commas as ``eval`` has them."""
    return tuple(name for word in words for name in word.split(","))


def _parser() -> argparse.ArgumentParser:
    own = TabletopSource()
    parser = CommandParser(
        "record",
        description="Record demonstrations of the scripted expert. Run again after an interruption, it goes on.",
    )
    add_world_arguments(parser, (WORLD,))
    parser.add_argument(
        "--tasks", nargs="+", default=["all"], metavar="TASK", help="all, or names of the world's: A B or A,B"
    )
    parser.add_argument(
        "--episodes", type=whole_number_from(1), required=True, metavar="N", help="episodes of EACH task"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the episode files")
    parser.add_argument(
        "--workers", type=whole_number_from(1, 1024), default=2, metavar="W", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=whole_number_from(0),
        default=SEED,
        metavar="S",
        help="of the first layout of each task; episode i has seed S + i (default: %(default)s, as eval begins at 0)",
    )
    parser.add_argument(
        "--renderer",
        choices=("rays", "egl"),
        help=f"{WORLD}: rays needs nothing, egl is faster (default: {own.renderer})",
    )
    parser.add_argument(
        "--image-size",
        type=whole_number_from(16, 4096),
        metavar="PIXELS",
        help=f"{WORLD}: width and height of the images (default: {own.image_size})",
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        type=str,
        metavar="NAME",
        help=f"{WORLD}: those that there are: A B or A,B (default: all)",
    )
    add_sensor_arguments(parser)
    return parser
