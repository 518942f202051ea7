"""Entry of the `ros2` command: hands over to a genuine one, or dispatches to the verbs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

DISCOVERY = "--spin-time=0.5 --no-daemon"
QOS = "--qos-reliability= --qos-durability= --qos-depth=10"
# Verbs, their arguments and what they do.  `name?` may be missing, `name+` and `name*` are several, `--name=default`
# takes a value of the default's type.  The function `<command>_<verb>` carries a verb out.
VERBS = {
    "topic list": (f"-t/--show-types --include-hidden-topics {DISCOVERY}", "list the topics"),
    "topic echo": (
        f"topic type? --once --field= -l/--truncate-length=128 -f/--full-length --timeout=inf {QOS}",
        "print the messages of a topic",
    ),
    "topic pub": (
        "topic type values? -r/--rate=1.0 -1/--once -t/--times=0 -w/--wait-matching-subscriptions=-1 "
        f"--max-wait-time-secs=inf --keep-alive=0.1 {QOS}",
        "publish messages, given as YAML",
    ),
    "topic hz": (f"topic type? -w/--window=10000 --timeout=inf {QOS}", "measure the rate of a topic"),
    "node list": (f"-a/--all {DISCOVERY}", "list the nodes, with -a hidden ones too"),
    "service call": ("service type values? --timeout=inf", "call a service with values in YAML"),
    "action send_goal": ("action type values? -f/--feedback --timeout=inf", "send a goal and wait for its result"),
    "param get": ("node name --hide-type", "show a parameter"),
    "param set": ("node name value", "set a parameter"),
    "param describe": ("node names+", "explain parameters"),
    "launch": (
        "package_or_file launch_file? launch_arguments* -s/--show-args/--show-arguments -n/--noninteractive -d/--debug",
        "run a launch file, given by its path or by package and name, with arguments <name>:=<value>",
    ),
    "run": ("package executable arguments...", "run an executable of a package"),
}
COUNTS = {"?": "?", "+": "+", "*": "*", "...": argparse.REMAINDER}


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
    """The options of a command line, with the name of the function that carries it out as `run`."""
    top = argparse.ArgumentParser(prog="ros2", description="The ros2 command of rosless.")
    top.formatter_class = argparse.RawDescriptionHelpFormatter
    top.epilog = "\n".join(f"  {name:18}{text}" for name, (_, text) in VERBS.items())
    top.add_argument("command", metavar="command [verb]")
    top.add_argument("rest", nargs=argparse.REMAINDER)
    given = top.parse_args(words or ["--help"])
    name = next((name for name in VERBS if words[: len(name.split())] == name.split()), None)
    if name is None:
        said = " ".join([given.command, *given.rest[:1]])
        top.error(f"rosless does not provide 'ros2 {said}'; it has {', '.join(VERBS)}")
    arguments, text = VERBS[name]
    verb = add_arguments(argparse.ArgumentParser(prog=f"ros2 {name}", description=text), arguments)
    verb.set_defaults(run=name.replace(" ", "_"))
    rest = words[len(name.split()) :]
    # Options of a launch may stand between its arguments, those of an executable may not
    return verb.parse_args(rest) if name == "run" else verb.parse_intermixed_args(rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `ros2` command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if (script := genuine_ros2()) is not None:
        os.execv(script, [os.fspath(script), *words])
    from rosless.errors import RoslessError

    options = parse(words)
    try:
        module = import_module(f"rosless.commands.{'packages' if options.run in ('launch', 'run') else 'graph'}")
        return int(getattr(module, options.run)(options) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RoslessError, LookupError, AttributeError, RuntimeError) as error:
        if os.environ.get("ROSLESS_DEBUG"):
            raise
        sys.stderr.write(f"ros2 {options.run.replace('_', ' ', 1)}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
