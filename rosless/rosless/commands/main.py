"""Entry of the `ros2` command: hands over to a genuine one, or dispatches to the verbs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

GRAPH = "--spin-time=0.5 --no-daemon"
LIST = f"-t/--show-types -c/--count {GRAPH}"
QOS = "--qos-reliability= --qos-durability= --qos-depth=10"
CALL = f"type values? --timeout=inf {GRAPH}"
# Verbs, their arguments and what they do.  `name?` may be missing, `name+` and `name*` are several, `name...` is the
# rest of the line, `--name=default` takes a value of the default's type.  The function `<command>_<verb>` carries a
# verb out, in the module that MODULES names for its command (default: graph).
VERBS = {
    "topic list": (f"--include-hidden-topics {LIST}", "list the topics"),
    "topic info": (
        f"topic -v/--verbose {GRAPH}",
        "count who publishes and hears a topic, with -v list them",
    ),
    "topic echo": (
        f"topic type? --once --field= -l/--truncate-length=128 -f/--full-length --timeout=inf {QOS} {GRAPH}",
        "print the messages of a topic",
    ),
    "topic hz": (f"topic type? -w/--window=10000 {QOS} {GRAPH}", "measure the rate of a topic"),
    "topic pub": (
        "topic type values? -r/--rate=1.0 -p/--print=1 -1/--once -t/--times=0 -w/--wait-matching-subscriptions=-1 "
        f"--max-wait-time-secs=inf --keep-alive=0.1 {QOS} {GRAPH}",
        "publish messages, given as YAML",
    ),
    "node list": (f"-a/--all -c/--count {GRAPH}", "list the nodes, with -a hidden ones too"),
    "node info": (f"node --include-hidden {GRAPH}", "list what a node publishes, hears and serves"),
    "service list": (f"--include-hidden-services {LIST}", "list the services"),
    "service call": (f"service {CALL}", "call a service with values in YAML"),
    "action list": (LIST, "list the actions"),
    "action info": (f"action -t/--show-types -c/--count {GRAPH}", "list the clients and servers of an action"),
    "action send_goal": (f"action -f/--feedback {CALL}", "send a goal and wait for its result"),
    "param list": (f"node? --filter= --param-type {GRAPH}", "list parameters"),
    "param get": (f"node name --hide-type {GRAPH}", "show a parameter"),
    "param set": (f"node name value {GRAPH}", "set a parameter"),
    "param describe": (f"node names+ {GRAPH}", "explain parameters"),
    "param dump": (f"node {GRAPH}", "show the parameters of a node as a parameter file"),
    "param load": (f"node file --no-use-wildcard {GRAPH}", "set parameters of a node from a file"),
    "interface show": ("type --all-comments --no-comments", "show the fields of a message, service or action"),
    "pkg list": ("", "list the packages"),
    "pkg prefix": ("package --share", "show where a package is installed"),
    "pkg executables": ("package? --full-path", "list the executables of packages"),
    "launch": (
        "package_or_file launch_file? launch_arguments* -s/--show-args/--show-arguments -n/--noninteractive -d/--debug "
        "-a/--show-all-subprocesses-output --launch-prefix= --launch-prefix-filter=",
        "run a launch file, or show its arguments",
    ),
    "run": ("--prefix= package executable arguments...", "run an executable of a package"),
}
MODULES = {"param": "parameters", "launch": "launching", **dict.fromkeys(("interface", "pkg", "run"), "packages")}
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
            kind = next(kind for kind in (int, float, str) if _fits(kind, default))
            parser.add_argument(*names.split("/"), type=kind, default=kind(default))
        else:
            parser.add_argument(*names.split("/"), action="store_true")
    return parser


def _fits(kind: type, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def parse(words: list[str]) -> argparse.Namespace:
    """The options of a command line, with the verb as `verb`."""
    verb = next((name for name in VERBS if words[: len(name.split())] == name.split()), None)
    if verb is None:
        command = [name for name in VERBS if name.split()[0] in words[:1]]
        top = Parser(prog=" ".join(["ros2", *words[:1]] if command else ["ros2"]), usage="%(prog)s verb ...")
        top.description = "The ros2 command of rosless."
        top.formatter_class = argparse.RawDescriptionHelpFormatter
        top.epilog = "\n".join(f"  {name:18}{VERBS[name][1]}" for name in command or VERBS)
        rest = [word for word in words[bool(command) :] if not word.startswith("-")]
        if not rest:
            top.parse_args(["--help"])
        top.error(f"rosless does not provide 'ros2 {' '.join(words[:2])}'; it has {', '.join(command or VERBS)}")
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
    try:
        return _carry_out(parse(words))
    except KeyboardInterrupt:
        return 2  # as the genuine command has it


def _carry_out(options: argparse.Namespace) -> int:
    from rosless.errors import RoslessError

    try:
        module = import_module(f"rosless.commands.{MODULES.get(options.verb.split()[0], 'graph')}")
        return int(getattr(module, options.verb.replace(" ", "_"))(options) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RoslessError, LookupError, AttributeError, RuntimeError, OSError) as error:
        if os.environ.get("ROSLESS_DEBUG"):
            raise
        sys.stderr.write(f"ros2 {options.verb}: {' '.join(str(error).split())}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
