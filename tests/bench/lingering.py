"""A program that measures until it is killed; the measuring process leaves a file named by its number."""

import os
import sys
import time
from pathlib import Path

from mini_diffuser_ros.bench.isolation import in_fresh_process


def linger(folder: str) -> None:
    """Never return."""
    Path(folder, str(os.getpid())).touch()
    while True:
        time.sleep(60.0)


if __name__ == "__main__":
    in_fresh_process(linger, sys.argv[1])
