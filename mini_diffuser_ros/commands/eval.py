"""``mini-diffuser eval``: success rates of a checkpoint in a world."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import number_of, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.commands.sensor_arguments import add_sensor_arguments, sensor_of_arguments
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import evaluation_report
from mini_diffuser_ros.evaluation.rlbench import RlbenchProtocol, rlbench_trials, run_rlbench_trial
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, run_tabletop_trial, tabletop_trials
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.support.files import output_file
from mini_diffuser_ros.support.settings import leaves, with_values
from mini_diffuser_ros.support.workers import map_in_workers

WORLDS: Mapping[str, type[EvaluationProtocol]] = {"tabletop": TabletopProtocol, "rlbench": RlbenchProtocol}
OWN_OPTIONS = {
    "tabletop": ("renderer", "settle_time", "sensor", "fusion"),
    "rlbench": ("demonstrations", "image_size"),
}
LOOPS = {"deployed": LoopSettings(accept_unfamiliar=True), "published": LoopSettings.published_rlbench()}
"""What ``--protocol`` names: the loop of policy_node, and RLBench's."""


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    options = _parser().parse_args(arguments)
    options.sensor = sensor_of_arguments(options)
    protocol = _protocol(options)
    with output_file(options.json, "--json") as out:
        load_policy(options.checkpoint)
        results = _evaluate(options.checkpoint, protocol, options.workers)
        report = evaluation_report(options.checkpoint, protocol, results)
        if out is not None:
            out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(_table(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    table, rlbench = TabletopProtocol(), RlbenchProtocol()
    parser = CommandParser("eval", description=__doc__)
    parser.add_argument("checkpoint", help="checkpoint directory, e.g. models/tabletop")
    parser.add_argument("--world", default="tabletop", help=f"{' or '.join(WORLDS)} (default: %(default)s)")
    parser.add_argument("--tasks", default="all", help="'all' or names separated by commas (default: %(default)s)")
    parser.add_argument(
        "--episodes",
        type=whole_number_from(1, 1_000_000),
        help=f"episodes of each task (tabletop: {table.episodes}, rlbench: {rlbench.episodes})",
    )
    parser.add_argument(
        "--seed", type=whole_number_from(0), default=table.seed, help="seed of the first layout (default: %(default)s)"
    )
    parser.add_argument(
        "--sentences",
        help=f"tabletop: held-out, training, or a YAML file: task -> templates with the task's slots (default: "
        f"{table.sentences}); rlbench: environment, or a JSON file: task+variation -> sentences (default: "
        f"{rlbench.sentences})",
    )
    parser.add_argument(
        "--workers", type=whole_number_from(1, 1024), default=2, help="processes (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="OUT", help="file for the figures and every decision of every episode")
    parser.add_argument("--renderer", help=f"tabletop: rays or egl (default: {table.renderer})")
    parser.add_argument(
        "--demonstrations", metavar="DIR", help="rlbench: stored test demonstrations to take layouts of"
    )
    parser.add_argument(
        "--cameras",
        help=f"names separated by commas (default: tabletop {','.join(table.cameras)}, rlbench "
        f"{','.join(rlbench.cameras)})",
    )
    parser.add_argument(
        "--image-size", type=whole_number_from(16, 4096), help=f"rlbench: pixels (default: {rlbench.image_size})"
    )
    parser.add_argument(
        "--fusion",
        metavar="'FIELD=VALUE ...'",
        help="tabletop: changes of the fusion that the policy was trained with, as 'level_reach=0.06 table_spreads=3'",
    )
    _add_loop(parser)
    add_sensor_arguments(parser)
    return parser


def _add_loop(parser: argparse.ArgumentParser) -> None:
    loop = parser.add_argument_group(
        "the loop", "how a sentence is obeyed; options change single settings of what --protocol names"
    )
    loop.add_argument(
        "--protocol",
        help="deployed, as policy_node does, or published, as RLBench's results are made (default: tabletop deployed, "
        "rlbench published)",
    )
    published = {leaf.name: leaf.default for leaf in leaves(LOOPS["published"])}
    for leaf in leaves(LOOPS["deployed"]):
        names = ["--" + leaf.name.replace("_", "-")] + ["--max-keyframes"] * (leaf.name == "keyframe_limit")
        values = f"deployed: {leaf.default}, published: {published[leaf.name]}"
        text = f"{leaf.description.rstrip('.').replace('``', '')} ({values})"
        loop.add_argument(*names, dest=leaf.name, type=number_of(leaf), help=text)


def _protocol(options: argparse.Namespace) -> EvaluationProtocol:
    if options.world not in WORLDS:
        raise EvaluationError(f"unknown world '{options.world}'; known: {', '.join(WORLDS)}")
    for world, names in OWN_OPTIONS.items():
        for name in names:
            if world != options.world and getattr(options, name) is not None:
                raise EvaluationError(f"--{name.replace('_', '-')} is an option of --world {world} alone")
    names = ("episodes", "seed", "sentences", "tasks", "renderer", "sensor", "fusion")
    names += ("demonstrations", "cameras", "image_size")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.tasks == "all":
        del given["tasks"]
    protocol = WORLDS[options.world]()
    protocol = replace(protocol, loop=_loop(options, protocol.loop))
    return with_values(protocol, given, "command line")


def _loop(options: argparse.Namespace, default: LoopSettings) -> LoopSettings:
    """The settings that ``--protocol`` names, with those that have options of their own."""
    loop = default
    if options.protocol is not None:
        if options.protocol not in LOOPS:
            raise EvaluationError(f"unknown protocol '{options.protocol}'; known: {', '.join(LOOPS)}")
        loop = LOOPS[options.protocol]
        # RLBench's simulator stands still between moves, whatever is asked for.
        loop = replace(loop, settle_time=min(loop.settle_time, default.settle_time))
    given = {leaf.name: getattr(options, leaf.name) for leaf in leaves(loop)}
    return with_values(loop, {name: value for name, value in given.items() if value is not None}, "command line")


def _evaluate(checkpoint: str, protocol: EvaluationProtocol, workers: int) -> list[EpisodeResult]:
    """The results of all episodes, in order, with a progress bar."""
    results: Iterator[EpisodeResult]
    if isinstance(protocol, RlbenchProtocol):
        rlbench = rlbench_trials(checkpoint, protocol)
        results, count = map_in_workers(run_rlbench_trial, rlbench, workers), len(rlbench)
    elif isinstance(protocol, TabletopProtocol):
        tabletop = tabletop_trials(checkpoint, protocol)
        results, count = map_in_workers(run_tabletop_trial, tabletop, workers), len(tabletop)
    return list(tqdm(results, total=count, desc="episodes", unit="episode"))


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
    known = [figures["unfamiliar"] for figures in report["tasks"].values() if figures["unfamiliar"] is not None]
    if known:
        would = "were" if not report["protocol"]["loop"]["accept_unfamiliar"] else "would be"
        lines.append(f"{sum(known)} of {len(report['episodes'])} sentences {would} refused as unfamiliar")
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _millimetres(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.1f} mm"
