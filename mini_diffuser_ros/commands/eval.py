"""``mini-diffuser eval``: success rates of a checkpoint in a world."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import evaluation_report
from mini_diffuser_ros.evaluation.rlbench import rlbench_episodes, run_rlbench_episode
from mini_diffuser_ros.evaluation.rlbench_rollout import RlbenchProtocol
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.evaluation.tabletop import run_tabletop_episode, tabletop_episodes
from mini_diffuser_ros.policy import CheckpointError, load_policy
from mini_diffuser_ros.simulation import TASKS, SimulationError
from mini_diffuser_ros.training.errors import TrainingError
from mini_diffuser_ros.training.fusion_settings import read_fusion

WORLDS = ("tabletop", "rlbench")


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        protocol = _protocol(options)
        load_policy(options.checkpoint)
        read_fusion(options.checkpoint)
        results = _evaluate(options.checkpoint, protocol, options.workers)
        report = evaluation_report(options.checkpoint, protocol, results)
        if options.json:
            Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except (EvaluationError, SimulationError, CheckpointError, TrainingError) as error:
        sys.stderr.write(f"mini-diffuser eval: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"mini-diffuser eval: {error.filename}: {error.strerror}\n")
        return 2
    sys.stdout.write(_table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    table, rlbench = EvaluationProtocol(), RlbenchProtocol()
    parser = argparse.ArgumentParser(prog="mini-diffuser eval", description=__doc__)
    parser.add_argument("checkpoint", help="checkpoint directory, e.g. models/tabletop")
    parser.add_argument("--world", default="tabletop", help=f"{' or '.join(WORLDS)} (default: %(default)s)")
    parser.add_argument("--tasks", default="all", help="'all' or names separated by commas (default: %(default)s)")
    parser.add_argument(
        "--episodes", type=int, help=f"episodes of each task (tabletop: {table.episodes}, rlbench: {rlbench.episodes})"
    )
    parser.add_argument("--seed", type=int, default=table.seed, help="seed of the first layout")
    parser.add_argument(
        "--sentences",
        help=f"tabletop: held-out, training, or a YAML file: task -> templates with the task's slots (default: "
        f"{table.sentences}); rlbench: environment, or a JSON file: task+variation -> sentences (default: "
        f"{rlbench.sentences})",
    )
    parser.add_argument("--samples", type=int, default=table.samples, help="hypotheses a decision")
    parser.add_argument("--steps", type=int, help=f"DDIM steps (tabletop: {table.steps}, rlbench: {rlbench.steps})")
    parser.add_argument(
        "--max-keyframes",
        type=int,
        help=f"limit of an episode (tabletop: {table.max_keyframes}, rlbench: {rlbench.max_keyframes})",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--json", metavar="OUT", help="file for the figures and the outcome of every episode")
    parser.add_argument("--renderer", help=f"tabletop: rays or egl (default: {table.renderer})")
    parser.add_argument(
        "--demonstrations", metavar="DIR", help="rlbench: stored test demonstrations to take layouts of"
    )
    parser.add_argument("--max-tries", type=int, help=f"rlbench: moves to a keyframe (default: {rlbench.max_tries})")
    parser.add_argument("--cameras", help=f"rlbench: names separated by commas (default: {','.join(rlbench.cameras)})")
    parser.add_argument("--image-size", type=int, help=f"rlbench: pixels (default: {rlbench.image_size})")
    return parser


def _protocol(options: argparse.Namespace) -> EvaluationProtocol | RlbenchProtocol:
    if options.workers < 1:
        raise EvaluationError(f"workers is {options.workers}, expected at least 1")
    own = {"tabletop": ("renderer",), "rlbench": ("demonstrations", "max_tries", "cameras", "image_size")}
    if options.world not in WORLDS:
        raise EvaluationError(f"unknown world '{options.world}'; known: {', '.join(WORLDS)}")
    for world, names in own.items():
        for name in names:
            if world != options.world and getattr(options, name) is not None:
                raise EvaluationError(f"--{name.replace('_', '-')} is an option of --world {world} alone")
    names = ("episodes", "seed", "sentences", "samples", "steps", "max_keyframes", *own[options.world])
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.tasks != "all":
        given["tasks"] = tuple(options.tasks.split(","))
    if options.world == "tabletop":
        return EvaluationProtocol(**({"tasks": tuple(TASKS)} | given))
    if "cameras" in given:
        given["cameras"] = tuple(given["cameras"].split(","))
    return RlbenchProtocol(**given)


def _evaluate(checkpoint: str, protocol: EvaluationProtocol | RlbenchProtocol, workers: int) -> list[EpisodeResult]:
    if isinstance(protocol, RlbenchProtocol):
        return _run(run_rlbench_episode, rlbench_episodes(checkpoint, protocol), workers)
    return _run(run_tabletop_episode, tabletop_episodes(checkpoint, protocol), workers)


def _run(run: Callable[[Any], EpisodeResult], episodes: Sequence[Any], workers: int) -> list[EpisodeResult]:
    """The results of all episodes, in order, with a progress bar."""
    return list(tqdm(_results(run, episodes, workers), total=len(episodes), desc="episodes", unit="episode"))


def _results(run: Callable[[Any], EpisodeResult], episodes: Sequence[Any], workers: int) -> Iterator[EpisodeResult]:
    if workers == 1:
        yield from map(run, episodes)
        return
    # Spawned, not forked: torch's and MuJoCo's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(run, episodes)


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
