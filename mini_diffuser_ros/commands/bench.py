"""``mini-diffuser bench``: one sub-command for each thing that is measured."""

from __future__ import annotations

import sys
from importlib import import_module

from mini_diffuser_ros.bench.errors import BenchError

COMMANDS: dict[str, tuple[str, str]] = {
    "step": ("mini_diffuser_ros.bench.step", "a training step: forward, loss, backward, update"),
    "saving": ("mini_diffuser_ros.bench.saving", "two-level against one-level minibatches at equal noised actions"),
    "decide": ("mini_diffuser_ros.bench.decide", "a decision, from the cloud to ranked modes"),
    "encode": ("mini_diffuser_ros.bench.encode", "encoding scenes, once a decision"),
    "loader": ("mini_diffuser_ros.bench.loader", "augmented training samples a second and core"),
    "parity": ("mini_diffuser_ros.bench.parity", "how far the official behaviour is from the published network"),
}
"""Name of each benchmark: the module whose ``main(arguments) -> int`` runs it, and its one-line description.

``main`` raises :class:`BenchError` for whatever the user can put right.
"""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(arguments: list[str]) -> int:
    """Run a benchmark; returns its exit code, 2 for a user's error, 130 after Ctrl-C."""
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        sys.stderr.write(f"mini-diffuser bench: unknown benchmark '{name}'; benchmarks: {', '.join(COMMANDS)}\n")
        return 2
    try:
        return int(import_module(COMMANDS[name][0]).main(rest))
    except BenchError as error:
        sys.stderr.write(f"mini-diffuser bench {name}: {error}\n")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}} {description}" for name, (_, description) in COMMANDS.items()]
    return "usage: mini-diffuser bench BENCHMARK [OPTIONS]\n\n" + "\n".join(lines) + "\n"
