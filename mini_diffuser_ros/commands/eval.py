"""``mini-diffuser eval``: success rates of a checkpoint in a world."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import number_of, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.commands.sensor_arguments import add_sensor_arguments, sensor_of_arguments
from mini_diffuser_ros.commands.world_arguments import add_world_arguments
from mini_diffuser_ros.evaluation.episode_log import episode_log
from mini_diffuser_ros.evaluation.evaluating import Trial, evaluate, records_of, what_is_evaluated
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import report_of_records
from mini_diffuser_ros.evaluation.rlbench import RlbenchProtocol, rlbench_trials
from mini_diffuser_ros.evaluation.rlbench_install import INSTALL
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, tabletop_trials
from mini_diffuser_ros.evaluation.world_episodes import (
    WorldProtocol,
    WorldTrial,
    run_world_trial,
    tasks_per_process,
    world_trials,
)
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.running import LoopSettings, TaskWorld
from mini_diffuser_ros.running.world_names import in_full
from mini_diffuser_ros.support.files import expect_output, output_file
from mini_diffuser_ros.support.settings import leaves, with_values
from mini_diffuser_ros.viewing.episode_scenes import EpisodeScenes
from mini_diffuser_ros.viewing.measured_page import write_measured_page
from mini_diffuser_ros.viewing.report_page import MeasuredEvaluation

WORLDS: Mapping[str, type[EvaluationProtocol]] = {"tabletop": TabletopProtocol, "rlbench": RlbenchProtocol}
OTHERS = "package.module:Class"
OWN_OPTIONS = {
    "renderer": ("tabletop",),
    "sensor": ("tabletop",),
    "settle_time": ("tabletop", OTHERS),
    "fusion": ("tabletop", OTHERS),
    "cameras": ("tabletop", "rlbench"),
    "sentences": ("tabletop", "rlbench"),
    "demonstrations": ("rlbench",),
    "image_size": ("rlbench",),
    "world_options": (OTHERS,),
}
"""Which worlds have an option; others say what they can be told in ``--world-options``."""
LOOPS = {
    "deployed": LoopSettings(accept_unfamiliar=True),
    "published": LoopSettings.published_rlbench(),
    "mini_diffuser": LoopSettings.published_rlbench(),
}
"""What ``--protocol`` names: the loop of policy_node, RLBench's, and RLBench's with all else that results depend on."""


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    options = _parser().parse_args(arguments)
    named, title = options.checkpoint, f"{Path(options.checkpoint).resolve().name} in {options.world}"
    # Before a world is made, which may take this process elsewhere.
    options.world = in_full(options.world)
    for place in ("checkpoint", "json", "report"):
        if (given := getattr(options, place)) is not None:
            setattr(options, place, os.path.abspath(given))
    options.sensor = sensor_of_arguments(options)
    protocol = _protocol(options)
    for path, option in ((options.json, "--json"), (options.report, "--report")):
        if path is not None:
            expect_output(path, option)
    scenes = EpisodeScenes()
    load_policy(options.checkpoint)
    evaluation = _Evaluation(options.checkpoint, named, protocol, options.workers, options.json, scenes)
    report = _evaluated(evaluation, protocol)
    sys.stdout.write(_table(report))
    # Last, as nothing that it may fail by is to cost the figures.
    with output_file(options.report, "--report") as page:
        if page is not None:
            write_measured_page(page, [MeasuredEvaluation(title, report, scenes.by_number(report["episodes"]))])
    return 0


def _parser() -> argparse.ArgumentParser:
    table, rlbench = TabletopProtocol(), RlbenchProtocol()
    parser = CommandParser("eval", description=__doc__)
    parser.add_argument("checkpoint", help="checkpoint directory, e.g. models/tabletop")
    add_world_arguments(parser, WORLDS)
    parser.add_argument("--tasks", default="all", help="'all' or names separated by commas (default: %(default)s)")
    parser.add_argument(
        "--episodes",
        type=whole_number_from(1, 1_000_000),
        help=f"episodes of each task (rlbench: {rlbench.episodes}, others: {table.episodes})",
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
    parser.add_argument(
        "--report", metavar="FILE", help="page for a browser: success, failed episodes with what was seen, all settings"
    )
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
        help="not rlbench: changes of the fusion that the policy was trained with, 'level_reach=0.06 table_spreads=3'",
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
        help="deployed, as policy_node does; published, the loop of RLBench's results; or mini_diffuser, all that its "
        "results on RLBench were made with, says what that needs (default: rlbench published, others deployed)",
    )
    published = {leaf.name: leaf.default for leaf in leaves(LOOPS["published"])}
    for leaf in leaves(LOOPS["deployed"]):
        names = ["--" + leaf.name.replace("_", "-")] + ["--max-keyframes"] * (leaf.name == "keyframe_limit")
        values = f"deployed: {leaf.default}, published: {published[leaf.name]}"
        text = f"{leaf.description.rstrip('.').replace('``', '')} ({values})"
        loop.add_argument(*names, dest=leaf.name, type=number_of(leaf), help=text)


def _protocol(options: argparse.Namespace) -> EvaluationProtocol:
    own = options.world if options.world in WORLDS else OTHERS
    for name, worlds in OWN_OPTIONS.items():
        if own not in worlds and getattr(options, name) not in (None, ()):
            raise EvaluationError(f"--{name.replace('_', '-')} is an option of --world {' or '.join(worlds)} alone")
    names = {"episodes", "seed", "tasks", *OWN_OPTIONS} - {"settle_time", "world_options"}
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.tasks == "all":
        del given["tasks"]
    # Split here, so that a name that is missing behind a comma is seen.
    given |= {name: given[name].split(",") for name in ("tasks", "cameras") if name in given}
    if options.protocol == "mini_diffuser":
        if options.world != "rlbench":
            raise EvaluationError("--protocol mini_diffuser is a protocol of --world rlbench alone")
        given = {"mini_diffuser": True, "episodes": 0, **given}
    protocol = WORLDS[own]() if own in WORLDS else WorldProtocol(world=options.world)
    given["loop"] = _loop(options, protocol.loop)
    if own == OTHERS:
        given["options"] = options.world_options or ()
    protocol = with_values(protocol, given, "command line")
    return protocol.with_tasks() if isinstance(protocol, WorldProtocol) else protocol


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


def _evaluated(evaluation: _Evaluation, protocol: EvaluationProtocol) -> dict[str, Any]:
    """The report of all episodes, those included that an earlier call left beside the file for the report.

    It is in that file when this returns; what the episodes were kept in is removed after that, if none is to be run
    again.
    """
    checkpoint = evaluation.checkpoint
    if isinstance(protocol, RlbenchProtocol):
        return evaluation.report(protocol.make(), rlbench_trials(checkpoint, protocol), INSTALL)
    if isinstance(protocol, TabletopProtocol):
        return evaluation.report(protocol.make(), tabletop_trials(checkpoint, protocol))
    assert isinstance(protocol, WorldProtocol)
    return evaluation.report(protocol.make(), world_trials(checkpoint, protocol), "", tasks_per_process(protocol))


@dataclass(frozen=True)
class _Evaluation:
    checkpoint: str
    named: str
    protocol: EvaluationProtocol
    workers: int
    json_file: str | None
    scenes: EpisodeScenes

    def report(
        self,
        world: TaskWorld,
        trials: Sequence[WorldTrial],
        remedy: str = "",
        tasks_of_a_process: int = 0,
    ) -> dict[str, Any]:
        """Of all episodes in a world, with a progress bar; other arguments as of ``evaluate``."""
        path = None if self.json_file is None else Path(f"{self.json_file}.episodes")
        about = what_is_evaluated(self.checkpoint, self.protocol, world)
        trials = [replace(trial, policy=about["policy"]) for trial in trials]
        with episode_log(path, about) as log:
            before = len(records_of(trials, log))
            with tqdm(total=len(trials), initial=before, desc="episodes", unit="episode") as bar:
                for _ in evaluate(run_world_trial, trials, self.workers, log, remedy, tasks_of_a_process, self._watch):
                    bar.update()
            report = report_of_records(self.named, self.protocol, records_of(trials, log), about)
            with output_file(self.json_file, "--json") as out:
                if out is not None:
                    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            if not any(figures["failures"] for figures in report["tasks"].values()):
                log.remove()
        return report

    def _watch(self, trial: Trial, result: EpisodeResult) -> None:
        self.scenes.keep(result)


def _table(report: Mapping[str, Any]) -> str:
    width = max(20, *map(len, report["tasks"]))
    lines = [f"{'task':<{width}} {'success':>8}   95 % interval   {'right object':>12} {'other frames':>13}"]
    failures = {task: figures["failures"] for task, figures in report["tasks"].items() if figures["failures"]}
    for task, figures in report["tasks"].items():
        low, high = figures["interval"]
        choice = figures["decision_frames"]
        others = figures["other_frames"]
        lines.append(
            f"{task:<{width}} {_percent(figures['success_rate']):>8}   {100 * low:5.1f} - {100 * high:5.1f}   "
            f"{_percent(choice['right_object']):>12} {_millimetres(others['median_mm']):>13}"
        )
    lines.append(f"{'mean':<{width}} {_percent(report['mean_success']):>8}")
    if failures:
        counted = ", ".join(f"{count} of {task}" for task, count in failures.items())
        lines.append(f"not counted, as the simulator failed: {counted}; the same command with --json runs them again")
    if report["protocol"].get("demonstrations") == "":
        lines.append(
            "layouts of seeds, not the stored test episodes of published results: see --protocol mini_diffuser"
        )
    known = [figures["unfamiliar"] for figures in report["tasks"].values() if figures["unfamiliar"] is not None]
    if known:
        would = "were" if not report["protocol"]["loop"]["accept_unfamiliar"] else "would be"
        lines.append(f"{sum(known)} of {len(report['episodes'])} sentences {would} refused as unfamiliar")
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _millimetres(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.1f} mm"
