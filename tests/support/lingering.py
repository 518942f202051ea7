"""A program whose workers stay until it is killed; each leaves a file named by its process."""

import os
import sys
import time
from pathlib import Path

from mini_diffuser_ros.support.workers import map_in_workers


def linger(folder: str) -> None:
    """Never return."""
    Path(folder, str(os.getpid())).touch()
    while True:
        time.sleep(60.0)


if __name__ == "__main__":
    list(map_in_workers(linger, [sys.argv[1]] * 2, workers=2))
