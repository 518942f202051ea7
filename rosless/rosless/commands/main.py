"""Entry of the `ros2` command: hands over to a genuine one, or dispatches to the verbs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Arguments = tuple[tuple[tuple[str, ...], dict[str, Any]], ...]


def argument(*names: str, **details: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """An argument of a verb, as argparse takes it."""
    return names, details


FLAG: dict[str, Any] = {"action": "store_true"}
DISCOVERY = (
    argument("--spin-time", type=float, default=0.5, help="seconds to wait for discovery"),
    argument("--no-daemon", **FLAG, help="there never is a daemon"),
)
TIMEOUT = argument("--timeout", type=float, help="seconds to wait at most")
TOPIC, TYPE, VALUES = argument("topic"), argument("type"), argument("values", nargs="?", default="{}", help="as YAML")
QOS = (
    argument("--qos-reliability", choices=["reliable", "best_effort"]),
    argument("--qos-durability", choices=["volatile", "transient_local"]),
    argument("--qos-depth", type=int, default=10),
)
# Commands and verbs: what they do and take.  The function `<command>_<verb>` carries them out.
VERBS: dict[str, dict[str, tuple[str, Arguments]]] = {
    "topic": {
        "list": (
            "list the topics",
            (argument("-t", "--show-types", **FLAG), argument("--include-hidden-topics", **FLAG), *DISCOVERY),
        ),
        "echo": (
            "print the messages of a topic",
            (
                TOPIC,
                argument("type", nargs="?"),
                argument("--once", **FLAG, help="end after the first message"),
                argument("--field", default="", help="print this field only"),
                argument("-l", "--truncate-length", type=int, default=128, help="values shown of long arrays"),
                argument("-f", "--full-length", **FLAG),
                *(TIMEOUT, *QOS),
            ),
        ),
        "pub": (
            "publish messages",
            (
                *(TOPIC, TYPE, VALUES),
                argument("-r", "--rate", type=float, default=1.0),
                argument("-1", "--once", **FLAG),
                argument("-t", "--times", type=int, default=0),
                argument("-w", "--wait-matching-subscriptions", type=int),
                argument("--max-wait-time-secs", type=float, dest="timeout"),
                argument("--keep-alive", type=float, default=0.1),
                *QOS,
            ),
        ),
        "hz": (
            "measure the rate of a topic",
            (TOPIC, argument("type", nargs="?"), argument("-w", "--window", type=int, default=10000), TIMEOUT, *QOS),
        ),
    },
    "node": {"list": ("list the nodes", (argument("-a", "--all", **FLAG, help="hidden nodes too"), *DISCOVERY))},
    "service": {"call": ("call a service", (argument("service"), TYPE, VALUES, TIMEOUT))},
    "action": {
        "send_goal": (
            "send a goal and wait for its result",
            (
                argument("action"),
                TYPE,
                VALUES,
                argument("-f", "--feedback", **FLAG, help="print the feedback"),
                TIMEOUT,
            ),
        )
    },
    "param": {
        "get": ("show a parameter", (argument("node"), argument("name"), argument("--hide-type", **FLAG))),
        "set": ("set a parameter", (argument("node"), argument("name"), argument("value"))),
        "describe": ("explain parameters", (argument("node"), argument("names", nargs="+"))),
    },
    "launch": {
        "": (
            "run a launch file",
            (
                argument("package_or_file", help="package, or path of a launch file"),
                argument("launch_file", nargs="?", help="name of a launch file of the package"),
                argument("launch_arguments", nargs="*", help="arguments <name>:=<value>"),
                argument("-s", "--show-args", "--show-arguments", **FLAG, help="show the arguments"),
                argument("-n", "--noninteractive", **FLAG, help="no terminal sends signals to the nodes"),
                argument("-d", "--debug", **FLAG, help="show tracebacks"),
            ),
        )
    },
    "run": {
        "": (
            "run an executable of a package",
            (argument("package"), argument("executable"), argument("arguments", nargs=argparse.REMAINDER)),
        )
    },
}


def genuine_ros2() -> Path | None:
    """The `ros2` of a genuine ROS 2 that AMENT_PREFIX_PATH leads to."""
    for entry in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        prefix = Path(entry)
        has_rclpy = any(next(prefix.glob(f"{lib}/python3*/*-packages/rclpy"), None) for lib in ("lib", "local/lib"))
        script = prefix / "bin" / "ros2"
        if prefix.resolve() != Path(sys.prefix).resolve() and has_rclpy and os.access(script, os.X_OK):
            return script
    return None


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(prog="ros2", description="The ros2 command of rosless.")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for command, verbs in VERBS.items():
        below = commands.add_parser(command, help=", ".join(verbs) if "" not in verbs else verbs[""][0])
        choices = None if "" in verbs else below.add_subparsers(dest="verb", required=True, metavar="verb")
        for verb, (text, arguments) in verbs.items():
            made = below if choices is None else choices.add_parser(verb, help=text)
            made.set_defaults(verb=verb, parser=made)
            for names, details in arguments:
                made.add_argument(*names, **details)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `ros2` command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if (script := genuine_ros2()) is not None:
        os.execv(script, [os.fspath(script), *words])
    from rosless.errors import RoslessError

    top = parser()
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        top.error(f"rosless does not provide 'ros2 {words[0]}'; it has {', '.join(VERBS)}")
    # Options of a launch may stand between its arguments
    options = top.parse_args(words) if words[:1] != ["launch"] else _launch_options(words)
    try:
        module = import_module(f"rosless.commands.{'packages' if options.verb == '' else 'graph'}")
        name = f"{options.command}_{options.verb}".rstrip("_")
        return int(getattr(module, name)(options) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RoslessError, LookupError, AttributeError, RuntimeError) as error:
        if os.environ.get("ROSLESS_DEBUG"):
            raise
        sys.stderr.write(f"ros2 {options.command}: {error}\n")
        return 1


def _launch_options(words: list[str]) -> argparse.Namespace:
    launch = argparse.ArgumentParser(prog="ros2 launch", description="Run a launch file.")
    for names, details in VERBS["launch"][""][1]:
        launch.add_argument(*names, **details)
    return launch.parse_intermixed_args(words[1:], argparse.Namespace(command="launch", verb=""))


if __name__ == "__main__":
    sys.exit(main())
