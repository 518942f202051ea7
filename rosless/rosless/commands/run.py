"""`ros2 run`."""

from __future__ import annotations

import argparse
import os

from rosless.executables import find_executable


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 run", description="Run an executable of a package.")
    parser.add_argument("package")
    parser.add_argument("executable")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    path = find_executable(options.package, options.executable)
    os.execv(path, [os.fspath(path), *options.arguments])
