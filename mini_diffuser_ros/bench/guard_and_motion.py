"""guard_node and motion_node as processes beside a stand-in for the arm's drivers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mini_diffuser_ros.bench.stand_in_arm import StandInArm


@contextmanager
def guard_and_motion(
    arm: StandInArm, space: str, options: Mapping[str, Sequence[str]] | None = None, **parameters: Any
) -> Iterator[None]:
    """The two nodes while entered.

    Args:
        arm: that they are for.
        space: namespace of arm and nodes.
        options: of a node's command line, by its name.
        parameters: of motion_node.
    """
    names = {"robot": arm.robot.name, "arm_action": arm.arm_action, "gripper_action": arm.gripper_action}
    running = []
    for name, values in (("guard_node", names), ("motion_node", {**names, **parameters})):
        words = [sys.executable, "-m", f"mini_diffuser_ros.nodes.{name}", "--ros-args", "-r", f"__ns:={space}"]
        for key, value in values.items():
            words += ["-p", f"{key}:={value}"]
        words += (options or {}).get(name, [])
        running.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30.0)
