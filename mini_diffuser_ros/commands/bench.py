"""``mini-diffuser bench``: one sub-command for each thing that is measured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from itertools import product
from typing import Any

from mini_diffuser_ros.bench.benchmark import Benchmark
from mini_diffuser_ros.bench.output import write_rows
from mini_diffuser_ros.commands.arguments import add_field_arguments, values_of_fields
from mini_diffuser_ros.commands.parser import CommandParser

BENCHMARKS = {
    "step": "a training step: forward, loss, backward, update",
    "saving": "two-level against one-level minibatches at equal noised actions",
    "decide": "a decision, from the cloud to ranked modes",
    "encode": "encoding scenes, once a decision",
    "loader": "augmented training samples a second and core",
    "presence": "scenes with and without what a sentence names: is it told which?",
    "endings": "does a policy know when it is done, also where something has gone wrong?",
    "sureness": "what the policy says of its modes, against what is true",
    "parity": "how far the official behaviour is from the published network",
    "sampling-steps": "position errors of decisions against the number of sampling steps",
    "sensor-decisions": "single decisions from what cameras with errors see: a quick look before 'sensor'",
    "sensor": "success against errors of the cameras, and with some of them missing",
    "ablations": "each correction of the network switched off alone, trained and compared",
    "familiarity": "which sentences a policy refuses: those that mean a task, and those that mean none",
    "experts": "how often a world's scripted expert succeeds, and how exactly the arm follows it",
    "few": "success over the number of demonstrations, and what makes few go far",
    "new-things": "a colour and a thing taught by five demonstrations: are they learned, what is forgotten?",
    "two-goals": "whether two equally good targets are both kept",
    "compare-losses": "how far the losses of two training runs are apart",
    "kill-training": "kill -9 at random moments of training: is anything lost?",
    "kill-recording": "kill -9 at random moments of recording and converting: is anything lost?",
    "kill-demo": "kill -9 of the recorder at random moments of recording on an arm: is a marked keyframe lost?",
    "corruptions": "damaged files at random: refused in one line, the same, or taken for other data?",
    "lerobot": "LeRobot itself reads what is exported and writes what is imported: what differs?",
    "motion": "time and success of inverse kinematics and planning",
    "motion-limits": "random and adversarial keyframes: within the maker's limits, and free?",
    "box-in-the-way": "a box put into the way of motions, seen by cameras: does the arm touch it?",
    "calibration": "errors of hand-eye by boards and of the arm as target, on rendered pictures",
    "surroundings": "what it costs to keep away from a cloud: distances, plans with and without it",
    "perception-rate": "clouds a second of perception_node, with three cameras at 30 Hz",
    "ros-latency": "age of an image in another process, and the cost of an idle node",
    "ros-cycles": "what a node that starts and stops again and again leaves behind",
    "ros-nodes": "two hundred nodes of one process begun and ended: how long does it take?",
    "ros-malformed": "malformed payloads to a node: does it live on?",
    "ros-bad-goals": "malformed goals to the nodes that run: is each refused with its reason?",
    "ros-stops": "stops in the middle of motions: how soon does the arm rest?",
    "page": "the page in the browser: what it costs, and how soon it stops the arm",
    "stop-times": "stops by guard_node or motion_node alone, on a stand-in for a Franka: when is the command zero?",
    "live-speed": "another speed in the middle of motions, on a stand-in for a Franka: when does it hold?",
    "ros-endings": "sentences to a running stack: does the world confirm what the policy says of their ends?",
    "ros-composed": "the stack in one process and in one a node: readiness, memory, CPU",
}
"""Name of each benchmark, and its one line; the module of its name says what it takes and gives."""

EPILOG = "Where several numbers may be given, as in 1,256, each combination is measured."


def main(arguments: list[str]) -> int:
    """Run a benchmark; returns 0, 1 if a row is not as it should be, 2 for wrong arguments."""
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in BENCHMARKS:
        near = get_close_matches(name, BENCHMARKS, n=1)
        meant = f"; did you mean '{near[0]}'?" if near else ""
        known = ", ".join(BENCHMARKS)
        sys.stderr.write(f"mini-diffuser bench: unknown benchmark '{name}'; benchmarks: {known}{meant}\n")
        return 2
    benchmark: Benchmark = import_module(f"mini_diffuser_ros.bench.{name.replace('-', '_')}").BENCHMARK
    parser = CommandParser(f"bench {name}", benchmark.description, EPILOG)
    add_field_arguments(parser, benchmark.settings)
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    try:
        values = parser.parse_args(rest)
    except SystemExit as left:
        return int(left.code or 0)
    settings = [benchmark.settings(**chosen) for chosen in _combinations(values_of_fields(values, benchmark.settings))]
    judged: list[bool] = []
    write_rows(_judged(benchmark, benchmark.rows(settings), judged), values.json)
    return 0 if all(judged) else 1


def _combinations(values: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))


def _judged(benchmark: Benchmark, rows: Iterable[Any], judged: list[bool]) -> Iterator[Any]:
    for row in rows:
        judged.append(benchmark.passed(row))
        yield row


def _usage() -> str:
    width = max(map(len, BENCHMARKS))
    lines = [f"  {name:<{width}} {description}" for name, description in BENCHMARKS.items()]
    return "usage: mini-diffuser bench BENCHMARK [OPTIONS]\n\n" + "\n".join(lines) + "\n"
