"""The `ros2` command.  What needs no graph imports neither rclpy nor DDS, which take their time."""

import sys


def show(text: str) -> None:
    """Write a line to the standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
