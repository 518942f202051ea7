"""The ``mini-diffuser`` command: one sub-command a job, each imported only when it is called."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

COMMANDS: dict[str, tuple[str, str]] = {
    "record": ("mini_diffuser_ros.commands.record", "record expert demonstrations in simulation"),
    "demo": (
        "mini_diffuser_ros.commands.demo",
        "record demonstrations on an arm, with a running recorder_node",
    ),
    "info": ("mini_diffuser_ros.commands.info", "summarise recorded episodes, draw their clouds"),
    "convert": ("mini_diffuser_ros.commands.convert", "write demonstrations of any kind into one database"),
    "check": ("mini_diffuser_ros.commands.check", "read every episode and name every fault"),
    "train": ("mini_diffuser_ros.commands.train", "train a policy on recorded episodes"),
    "eval": ("mini_diffuser_ros.commands.eval", "success rates of a checkpoint in a world"),
    "bench": ("mini_diffuser_ros.bench.command", "time and memory of the network, parity with the published one"),
    "import-official": ("mini_diffuser_ros.commands.import_official", "published weights into a policy directory"),
    "upgrade": ("mini_diffuser_ros.commands.upgrade", "bring a policy of the first format over"),
    "say": ("mini_diffuser_ros.commands.say", "send a sentence to the running stack and wait for its outcome"),
}
"""Name of each sub-command: the module whose ``main(arguments) -> int`` runs it, and its one-line description."""


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command; returns its exit code (2 for a usage error)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0 if words else 2
    name, *rest = words
    if name not in COMMANDS:
        sys.stderr.write(f"mini-diffuser: unknown command '{name}'; commands: {', '.join(COMMANDS)}\n")
        return 2
    try:
        code = int(import_module(COMMANDS[name][0]).main(rest))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}} {description}" for name, (_, description) in COMMANDS.items()]
    return "usage: mini-diffuser COMMAND [OPTIONS]\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
