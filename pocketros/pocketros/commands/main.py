"""Entry of the `ros2` command: hands over to a genuine one, or dispatches to the verbs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

GRAPH = "--spin-time=0.5 --no-daemon"
KINDS = "-m/--only-msgs -s/--only-srvs -a/--only-actions"
CALL = f"type values? --timeout=inf {GRAPH}"
# Verbs, their arguments and what they do.  `name?` may be missing, `name+` and `name*` are several, `name...` is the
# rest of the line, `--name=default` takes a value of the default's type.  The function `<command>_<verb>` carries a
# verb out.
VERBS = {
    "topic list": (
        f"-t/--show-types -c/--count-topics -v/--verbose --include-hidden-topics {GRAPH}",
        "list the topics",
    ),
    "topic info": (f"topic -v/--verbose {GRAPH}", "tell who publishes and who listens, with -v and their QoS"),
    "topic type": (f"topic {GRAPH}", "tell the type of a topic"),
    "topic find": (f"type -c/--count-topics --include-hidden-topics {GRAPH}", "list the topics of a type"),
    "topic echo": (
        f"topic type? --once --field= -l/--truncate-length=128 -f/--full-length --timeout=inf {GRAPH}",
        "print the messages of a topic",
    ),
    "topic hz": (f"topic type? -w/--window=10000 {GRAPH}", "measure the rate of a topic"),
    "topic pub": (
        f"topic type values? -r/--rate=1.0 -1/--once -t/--times=0 {GRAPH}",
        "publish messages, given as YAML",
    ),
    "node list": (f"-a/--all -c/--count-nodes {GRAPH}", "list the nodes, with -a hidden ones too"),
    "node info": (f"node --include-hidden {GRAPH}", "list what a node publishes, hears, serves and calls"),
    "service list": (f"-t/--show-types -c/--count-services --include-hidden-services {GRAPH}", "list the services"),
    "service type": (f"service {GRAPH}", "tell the type of a service"),
    "service find": (f"type -c/--count-services --include-hidden-services {GRAPH}", "list the services of a type"),
    "service call": (f"service {CALL}", "call a service with values in YAML"),
    "action list": (f"-t/--show-types -c/--count-actions {GRAPH}", "list the actions"),
    "action info": (f"action -t/--show-types -c/--count {GRAPH}", "tell who serves and who calls an action"),
    "action type": (f"action {GRAPH}", "tell the type of an action"),
    "action send_goal": (f"action -f/--feedback {CALL}", "send a goal and wait for its result"),
    "param list": (f"node? {GRAPH}", "list parameters"),
    "param get": (f"node name {GRAPH}", "show a parameter"),
    "param set": (f"node name value {GRAPH}", "set a parameter"),
    "param describe": (f"node names+ {GRAPH}", "explain parameters"),
    "param dump": (f"node {GRAPH}", "show all parameters as a parameter file"),
    "param load": (f"node parameter_file {GRAPH}", "set the parameters of a parameter file"),
    "interface list": (KINDS, "list the interfaces that are known here"),
    "interface packages": (KINDS, "list the packages that have interfaces"),
    "interface package": ("package", "list the interfaces of a package"),
    "interface show": ("type --no-comments", "show the definition of an interface"),
    "doctor": (
        "-r/--report --timeout=2.0 --spin-time=2.0 --no-daemon",
        "tell which rclpy, middleware and domain this is, who is there, and who cannot be talked to",
    ),
    "launch": (
        "package_or_file launch_file? launch_arguments* -s/--show-args/--show-arguments -n/--noninteractive -d/--debug",
        "run a launch file, or show its arguments",
    ),
    "run": ("--prefix= package executable arguments...", "run an executable of a package"),
}
MODULES = {
    "topic": "topics",
    "node": "nodes",
    "service": "services",
    "action": "actions",
    "param": "parameters",
    "interface": "interfaces",
    "doctor": "doctor",
    "launch": "launching",
    "run": "launching",
}
COUNTS = {"?": "?", "+": "+", "*": "*", "...": argparse.REMAINDER}


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def genuine_ros2() -> Path | None:
    """The `ros2` of a genuine ROS 2 that AMENT_PREFIX_PATH leads to."""
    for entry in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        prefix = Path(entry)
        has_rclpy = any(next(prefix.glob(f"{lib}/python3*/*-packages/rclpy"), None) for lib in ("lib", "local/lib"))
        script = prefix / "bin" / "ros2"
        if prefix.resolve() != Path(sys.prefix).resolve() and has_rclpy and os.access(script, os.X_OK):
            return script
    return None


def add_arguments(parser: argparse.ArgumentParser, arguments: str) -> argparse.ArgumentParser:
    """Let a parser take the arguments of a verb, written as in VERBS."""
    for word in arguments.split():
        names, has_value, default = word.partition("=")
        if not word.startswith("-"):
            name = word.rstrip("?+*.")
            parser.add_argument(name, nargs=COUNTS.get(word.removeprefix(name)))
        elif has_value:
            kind = int if default.isdigit() else float if default == "inf" or "." in default else str
            parser.add_argument(*names.split("/"), type=kind, default=kind(default))
        else:
            parser.add_argument(*names.split("/"), action="store_true")
    return parser


def parse(words: list[str]) -> argparse.Namespace:
    """The options of a command line, with the verb as `verb`."""
    verb = next((name for name in VERBS if words[: len(name.split())] == name.split()), None)
    if verb is None:
        known = [name for name in VERBS if name.split()[0] in words[:1]]
        if all(word in ("-h", "--help") for word in words[bool(known) :]):
            sys.stdout.write("".join(f"ros2 {name:18}{VERBS[name][1]}\n" for name in known or VERBS))
            sys.exit(0)
        said = " ".join(words[:2])
        Parser(prog="ros2").error(f"pocketros does not provide 'ros2 {said}'; it has {', '.join(known or VERBS)}")
    arguments, text = VERBS[verb]
    parser = add_arguments(Parser(prog=f"ros2 {verb}", description=text), arguments)
    parser.set_defaults(verb=verb)
    rest = words[len(verb.split()) :]
    # Options of a launch may stand between its arguments, those of an executable may not
    return parser.parse_args(rest) if verb == "run" else parser.parse_intermixed_args(rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `ros2` command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if (script := genuine_ros2()) is not None:
        os.execv(script, [os.fspath(script), *words])
    # What a script starts in its background ignores Ctrl-C; a ROS process obeys it all the same.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _carry_out(parse(words))
    except KeyboardInterrupt:
        return 2  # as the genuine command has it


def _carry_out(options: argparse.Namespace) -> int:
    from pocketros.errors import PocketrosError

    try:
        module = import_module(f"pocketros.commands.{MODULES[options.verb.split()[0]]}")
        return int(getattr(module, options.verb.replace(" ", "_"))(options) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (PocketrosError, LookupError, AttributeError, RuntimeError, OSError) as error:
        if os.environ.get("POCKETROS_DEBUG") or vars(options).get("debug"):
            raise
        sys.stderr.write(f"ros2 {options.verb}: {' '.join(str(error).split())}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
