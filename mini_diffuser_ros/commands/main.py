"""The ``mini-diffuser`` command: one sub-command a job, each imported only when it is called."""

from __future__ import annotations

import logging
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper

from mini_diffuser_ros.support.errors import UserError, one_line

COMMANDS: dict[str, tuple[str, str]] = {
    "record": ("mini_diffuser_ros.commands.record", "record expert demonstrations in simulation"),
    "demo": (
        "mini_diffuser_ros.commands.demo",
        "record demonstrations on an arm, with a running recorder_node",
    ),
    "calibrate": (
        "mini_diffuser_ros.commands.calibrate",
        "lenses, where cameras are, the table; check whether it holds",
    ),
    "info": ("mini_diffuser_ros.commands.info", "summarise recorded episodes, draw their clouds"),
    "report": (
        "mini_diffuser_ros.commands.report",
        "write runs, evaluations or trainings to one page, alone or side by side",
    ),
    "view": ("mini_diffuser_ros.commands.view", "write episodes to one page to look at in a browser"),
    "convert": ("mini_diffuser_ros.commands.convert", "write demonstrations of any kind into one database"),
    "import": ("mini_diffuser_ros.commands.import_", "read demonstrations in a format of others"),
    "export": ("mini_diffuser_ros.commands.export", "write demonstrations in a format of others: LeRobotDataset v3"),
    "check": ("mini_diffuser_ros.commands.check", "read every episode and name every fault"),
    "train": ("mini_diffuser_ros.commands.train", "train a policy on recorded episodes"),
    "assess": (
        "mini_diffuser_ros.commands.assess",
        "teach a policy what it knows about itself: sentences, scenes, ends",
    ),
    "eval": ("mini_diffuser_ros.commands.eval", "success rates of a checkpoint in a world"),
    "bench": ("mini_diffuser_ros.commands.bench", "time and memory of the network, parity with the published one"),
    "import-official": ("mini_diffuser_ros.commands.import_official", "published weights into a policy directory"),
    "upgrade": ("mini_diffuser_ros.commands.upgrade", "bring a policy of the first format over"),
    "recover": ("mini_diffuser_ros.commands.recover", "bring the robot back after a reflex; home its gripper"),
    "cell": ("mini_diffuser_ros.commands.cell", "draw a cell file, name what in it does not fit"),
    "ui": ("mini_diffuser_ros.commands.ui", "serve the page of the running stack: see it, say it, stop it"),
    "home": ("mini_diffuser_ros.commands.home", "bring the arm to its home position, with the checks of every motion"),
    "speed": ("mini_diffuser_ros.commands.speed", "how fast motions are from now on, in percent; 0 holds the arm"),
    "replay": ("mini_diffuser_ros.commands.replay", "move through the keyframes of a recorded episode, asking first"),
    "decide": (
        "mini_diffuser_ros.commands.decide",
        "make the decisions of a recorded bag again, to the bit",
    ),
    "confirm": ("mini_diffuser_ros.commands.confirm", "consent to each motion of a stack launched with confirm:=true"),
    "cameras": (
        "mini_diffuser_ros.commands.cameras",
        "list the cameras that are plugged in or publish, as lines for the cell file",
    ),
    "doctor": (
        "mini_diffuser_ros.commands.doctor",
        "look at versions, robot, cameras, clocks and the stack, with a remedy for each fault",
    ),
    "say": ("mini_diffuser_ros.commands.say", "send a sentence to the running stack and wait for its outcome"),
}
"""Name of each sub-command: the module whose ``main(arguments) -> int`` runs it, and its one-line description."""


MESSAGE_LIMIT = 600
"""Characters of an error's text that are shown; what is wrong and what to do stand at its start."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command; returns its exit code, which is that of the error that ends it, or 130 after Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    _never_fail_to_encode()
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0 if words else 2
    if words[0] == "--version":
        sys.stdout.write(f"mini-diffuser {version('mini_diffuser_ros')}\n")
        return 0
    name, *rest = words
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        meant = f", did you mean '{near[0]}'?" if near else ""
        sys.stderr.write(f"mini-diffuser: unknown command '{name}'{meant}; commands: {', '.join(COMMANDS)}\n")
        return 2
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    """Run a verb; here alone an error becomes its line and an exit code."""
    try:
        code = int(import_module(COMMANDS[name][0]).main(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError) as error:
        text = one_line(error)
        shown = text if len(text) <= MESSAGE_LIMIT else f"{text[:MESSAGE_LIMIT]} ..."
        sys.stderr.write(f"mini-diffuser {name}: {shown}\n")
        return error.exit_code if isinstance(error, UserError) else 2
    except KeyboardInterrupt as interrupt:
        remedy = f"; {interrupt}" if interrupt.args else ""  # a verb may say what is left
        sys.stderr.write(f"mini-diffuser {name}: interrupted{remedy}\n")
        return INTERRUPTED
    return code


def _never_fail_to_encode() -> None:
    """Have a terminal that is ASCII only show other characters escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}} {description}" for name, (_, description) in COMMANDS.items()]
    return "usage: mini-diffuser COMMAND [OPTIONS]\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
