"""``mini-diffuser eval``: success rates of a checkpoint in a world."""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import evaluation_report
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, roll_out
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import CheckpointError, Policy, load_policy, tune_cpu
from mini_diffuser_ros.simulation import TASKS, SimulationError, TabletopWorld
from mini_diffuser_ros.simulation.sentences import fill, load_templates, read_templates

_logger = logging.getLogger("eval")

Templates = Mapping[str, tuple[str, ...]]
Job = tuple[str, EvaluationProtocol, str, int, str]


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        protocol = _protocol(options)
        templates = _templates(protocol)
        load_policy(options.checkpoint)
    except (EvaluationError, SimulationError, CheckpointError) as error:
        sys.stderr.write(f"mini-diffuser eval: {error}\n")
        return 2
    jobs = list(_jobs(options.checkpoint, protocol, templates))
    results = list(tqdm(_run(jobs, options.workers), total=len(jobs), desc="episodes", unit="episode"))
    report = evaluation_report(options.checkpoint, protocol, results)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(_table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = EvaluationProtocol()
    parser = argparse.ArgumentParser(prog="mini-diffuser eval", description=__doc__)
    parser.add_argument("checkpoint", help="checkpoint directory, e.g. models/tabletop")
    parser.add_argument("--world", default=defaults.world, help="world to evaluate in (default: %(default)s)")
    parser.add_argument("--tasks", default="all", help="'all' or names separated by commas (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=defaults.episodes, help="episodes of each task")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of the first layout")
    parser.add_argument(
        "--sentences",
        default=defaults.sentences,
        help="held-out, training, or a YAML file: task -> templates with the task's slots (default: %(default)s)",
    )
    parser.add_argument("--samples", type=int, default=defaults.samples, help="hypotheses a decision")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="DDIM steps")
    parser.add_argument("--max-keyframes", type=int, default=defaults.max_keyframes, help="limit of an episode")
    parser.add_argument("--renderer", default=defaults.renderer, help="rays or egl (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--json", metavar="OUT", help="file for the figures and the outcome of every episode")
    return parser


def _protocol(options: argparse.Namespace) -> EvaluationProtocol:
    if options.world != "tabletop":
        raise EvaluationError(f"unknown world '{options.world}'; known: tabletop")
    tasks = tuple(TASKS) if options.tasks == "all" else tuple(options.tasks.split(","))
    for task in tasks:
        if task not in TASKS:
            raise EvaluationError(f"unknown task '{task}'; tasks of {options.world}: {', '.join(TASKS)}")
    if options.workers < 1:
        raise EvaluationError(f"workers is {options.workers}, expected at least 1")
    return EvaluationProtocol(
        world=options.world,
        tasks=tasks,
        episodes=options.episodes,
        seed=options.seed,
        sentences=options.sentences,
        max_keyframes=options.max_keyframes,
        samples=options.samples,
        steps=options.steps,
        renderer=options.renderer,
    )


def _templates(protocol: EvaluationProtocol) -> Templates:
    if protocol.sentences in ("held-out", "training"):
        shipped = load_templates()
        held_out = protocol.sentences == "held-out"
        return {task: shipped[task].held_out if held_out else shipped[task].training for task in protocol.tasks}
    try:
        text = Path(protocol.sentences).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{protocol.sentences}: cannot be read: {error}") from error
    templates = read_templates(text, protocol.sentences)
    for task in protocol.tasks:
        if task not in templates:
            raise EvaluationError(f"{protocol.sentences}: has no sentences for task '{task}'")
    return templates


def _jobs(checkpoint: str, protocol: EvaluationProtocol, templates: Templates) -> Iterator[Job]:
    """Tasks in turn, so that the bar's first minutes already say something about each."""
    for index in range(protocol.episodes):
        for task in protocol.tasks:
            # Templates in turn rather than at random: each is used equally often.
            template = templates[task][index % len(templates[task])]
            yield (checkpoint, protocol, task, protocol.seed + index, template)


def _run(jobs: list[Job], workers: int) -> Iterator[EpisodeResult]:
    if workers == 1:
        yield from map(_episode, jobs)
        return
    # Spawned, not forked: torch's and MuJoCo's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_episode, jobs)


def _episode(job: Job) -> EpisodeResult:
    checkpoint, protocol, task, seed, template = job
    policy, world, planner = _bench(checkpoint, protocol.renderer)
    goal = world.reset(task, seed)
    sentence = fill(template, goal.slots)
    return roll_out(policy, world, planner, goal, sentence, seed, protocol, FusionConfig())


@cache
def _bench(checkpoint: str, renderer: str) -> tuple[Policy, TabletopWorld, MotionPlanner]:
    """What a worker process needs for every episode, made once."""
    tune_cpu(threads=1)
    world = TabletopWorld(renderer=renderer)
    return load_policy(checkpoint), world, MotionPlanner(world.robot, MotionConfig())


def _table(report: Mapping[str, Any]) -> str:
    lines = [f"{'task':<20} {'success':>8}   95 % interval   {'right object':>12} {'other frames':>13}"]
    for task, figures in report["tasks"].items():
        low, high = figures["interval"]
        choice = figures["decision_frames"]
        others = figures["other_frames"]
        lines.append(
            f"{task:<20} {100 * figures['success_rate']:7.1f}%   {100 * low:5.1f} - {100 * high:5.1f}   "
            f"{_percent(choice['right_object']):>12} {_millimetres(others['median_mm']):>13}"
        )
    lines.append(f"{'mean':<20} {100 * report['mean_success']:7.1f}%")
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _millimetres(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.1f} mm"
