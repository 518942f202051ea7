"""``mini-diffuser record``: expert demonstrations from simulation, in parallel, resumable."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.commands.sensor_arguments import add_sensor_arguments, sensor_of_arguments
from mini_diffuser_ros.simulation.recording import Outcome, Recorder, RecordSettings
from mini_diffuser_ros.simulation.tasks import TASKS
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import make_writable


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    settings = _settings(arguments)
    make_writable(settings.out, "--out")
    recorder = Recorder(settings)
    started = time.monotonic()
    try:
        outcomes = _run(recorder, settings)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"run the same command again to go on in {settings.out}") from None
    sys.stdout.write(_report(recorder, outcomes, settings, time.monotonic() - started))
    return 0


def _run(recorder: Recorder, settings: RecordSettings) -> list[Outcome]:
    """Record with a progress bar."""
    outcomes = []
    total = settings.episodes * len(settings.tasks)
    # Into a log file the bar writes a line now and then instead of ten a second.
    interval = 0.1 if sys.stderr.isatty() else 15.0
    failures = 0
    with tqdm(
        total=total,
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


def _report(recorder: Recorder, outcomes: list[Outcome], settings: RecordSettings, seconds: float) -> str:
    lines = []
    for task, plan in recorder.plans.items():
        failed = f", {len(plan.failures)} failed and were replaced" if plan.failures else ""
        lines.append(f"{task}: {plan.recorded} episodes{failed}")
        # The same reason with other numbers is the same reason.
        reasons = Counter(re.sub(r"-?\d+(\.\d+)?", "#", reason) for reason in plan.failures)
        lines += [f"    {count} x {reason}" for reason, count in reasons.most_common(5)]
    megabytes = sum(file.stat().st_size for file in settings.out.glob("*.zip")) / 1e6
    made = sum(outcome.failure is None for outcome in outcomes)
    lines.append(f"{made} recorded in {seconds:.0f} s, {settings.out} holds {megabytes:.0f} MB")
    return "\n".join(lines) + "\n"


def _settings(arguments: list[str]) -> RecordSettings:
    parser = CommandParser(
        "record",
        description="Record demonstrations of the scripted expert. Run again after an interruption, it goes on.",
    )
    parser.add_argument("--world", choices=("tabletop",), default="tabletop", help="where to record")
    parser.add_argument("--tasks", nargs="+", default=["all"], metavar="TASK", help=f"all, or of {', '.join(TASKS)}")
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
        default=0,
        metavar="S",
        help="of the first layout of each task; episode i has seed S + i",
    )
    parser.add_argument("--renderer", choices=("rays", "egl"), default="rays", help="rays needs nothing, egl is faster")
    parser.add_argument(
        "--image-size",
        type=whole_number_from(16, 4096),
        default=256,
        metavar="PIXELS",
        help="width and height of the images",
    )
    parser.add_argument("--cameras", nargs="+", default=[], metavar="NAME", help="those that there are (default: all)")
    add_sensor_arguments(parser)
    values = parser.parse_args(arguments)
    sensor = sensor_of_arguments(values) or "perfect"
    tasks = tuple(TASKS) if values.tasks == ["all"] else tuple(dict.fromkeys(values.tasks))
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise UserError(f"unknown task '{unknown[0]}'; tasks: all, {', '.join(TASKS)}")
    return RecordSettings(
        out=values.out,
        tasks=tasks,
        episodes=values.episodes,
        seed=values.seed,
        workers=values.workers,
        renderer=values.renderer,
        image_size=values.image_size,
        sensor=sensor,
        cameras=tuple(values.cameras),
    )
