"""The executables: one for each node, and ``stack`` for several nodes in one process.

Signals count from the first line on: rclpy, torch and the nodes are imported when they are heeded already, so that
Ctrl-C meanwhile ends a process without a traceback.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from mini_diffuser_ros.nodes.ros.process import ManagedNode

# In the order in which a stack closes them: the arm's motion ends first.
CLASSES = {
    "motion_node": "MotionNode",
    "guard_node": "GuardNode",
    "policy_node": "PolicyNode",
    "run_node": "RunNode",
    "recorder_node": "RecorderNode",
    "bag_node": "BagNode",
    "page_node": "PageNode",
    "perception_node": "PerceptionNode",
    "extrinsics_node": "ExtrinsicsNode",
    "realsense_node": "RealsenseNode",
    "sim_node": "SimNode",
}
# Seconds after which a thread that computes in Python lets another go on, Python's own choice being 5 ms. A decision is
# thousands of operations of torch and gives up its turn for each, to the other nodes of its process.
SWITCH_INTERVAL = 5e-4
OPTIONAL = "--optional"
USAGE = f"usage: stack [{OPTIONAL}] NODE ... [--ros-args ...], with NODE one of {', '.join(CLASSES)}"


def stack() -> NoReturn:
    """Several nodes in one process, in one ROS context: ``stack sim_node motion_node --ros-args ...``.

    What follows ``--ros-args`` is for all of them; parameter files tell them apart by their sections. The process ends
    with the first node that ends; the end of one that follows ``--optional`` leaves the others running.
    """
    words = sys.argv[1:]
    if any(word.startswith(("__node:=", "__name:=")) for word in words):
        sys.stderr.write("stack: __node:=NAME would name all nodes alike; rename one by NODE:__node:=NAME\n")
        sys.exit(2)
    if "--ros-args" in words:
        words = words[: words.index("--ros-args")]
    optional = [name for option, name in pairwise(words) if option == OPTIONAL]
    names = [word for word in words if word != OPTIONAL]
    unknown = [name for name in names if name not in CLASSES]
    if unknown or not names:
        sys.stderr.write(f"stack: {f'{unknown[0]!r} is no node; ' if unknown else ''}{USAGE}\n")
        sys.exit(2)
    sys.setswitchinterval(SWITCH_INTERVAL)
    _run([name for name in CLASSES if name in names], optional)


def _executable(name: str) -> Callable[[], NoReturn]:
    return partial(_run, [name])


def _run(names: Sequence[str], optional: Sequence[str] = ()) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from mini_diffuser_ros.nodes.ros.process import Build, run_nodes

    run_nodes([Build(name, partial(_load, name), name in optional) for name in names])


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _load(name: str) -> type[ManagedNode]:
    kind: type[ManagedNode] = getattr(import_module(f"mini_diffuser_ros.nodes.{name}"), CLASSES[name])
    return kind


sim_node = _executable("sim_node")
realsense_node = _executable("realsense_node")
extrinsics_node = _executable("extrinsics_node")
perception_node = _executable("perception_node")
recorder_node = _executable("recorder_node")
bag_node = _executable("bag_node")
page_node = _executable("page_node")
run_node = _executable("run_node")
policy_node = _executable("policy_node")
motion_node = _executable("motion_node")
guard_node = _executable("guard_node")
