"""Entry of the `ros2` command: hands over to a genuine one, or dispatches to the verbs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

COMMANDS = {
    "launch": "Run a launch file",
    "run": "Run an executable of a package",
    "topic": "Topics: list, type, info, echo, pub, hz",
    "node": "Nodes: list, info",
    "service": "Services: list, type, call",
    "action": "Actions: list, send_goal",
    "param": "Parameters: list, get, set, describe, dump",
    "interface": "Interfaces: show, list",
    "pkg": "Packages: prefix, list, executables",
}


def genuine_ros2() -> Path | None:
    """The `ros2` of a genuine ROS 2 that AMENT_PREFIX_PATH leads to."""
    for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        prefix = Path(entry)
        if not entry or prefix.resolve() == Path(sys.prefix).resolve():
            continue
        has_rclpy = any(next(prefix.glob(f"{lib}/python3*/*-packages/rclpy"), None) for lib in ("lib", "local/lib"))
        script = prefix / "bin" / "ros2"
        if has_rclpy and os.access(script, os.X_OK):
            return script
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `ros2` command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if (script := genuine_ros2()) is not None:
        os.execv(script, [os.fspath(script), *words])
    parser = argparse.ArgumentParser(
        prog="ros2",
        description="The ros2 command of rosless.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    if not words or words[0].startswith("-"):
        parser.parse_args(words or ["--help"])
    name = words[0]
    if name not in COMMANDS:
        parser.error(f"rosless does not provide 'ros2 {name}'; it has {', '.join(COMMANDS)}")
    command = import_module(f"rosless.commands.{name}")
    from rosless.errors import RoslessError

    try:
        return int(command.main(words[1:]) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RoslessError, LookupError, AttributeError, RuntimeError) as error:
        if os.environ.get("ROSLESS_DEBUG"):
            raise
        sys.stderr.write(f"ros2 {name}: {error.args[0] if isinstance(error, KeyError) else error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
