"""``mini-diffuser recover``: bring a Franka back after a reflex, step by step, each step measured, without a restart.

The stack is stopped first and stays so until it is asked to go on: --resume, or the service mini_diffuser/resume.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rclpy.node import Node

from mini_diffuser_ros.cell import DRIVEN, Cell, driver_actions, read_cell
from mini_diffuser_ros.commands.arguments import namespace
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.recovery.robot_recovery import RESUME, DriverNames, RobotRecovery, names_of_motion_node
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.printable import printable

NOTHING = "nothing to recover: the hardware is active, and so is a controller of the arm"


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if the robot is ready, else the exit code of the step that failed."""
    options = _parser().parse_args(arguments)
    with client_node("recover", options.namespace, threads=3) as node:
        names = names_of_motion_node(node) or names_of(options.robot, read_cell(options.cell) if options.cell else None)
        recovery = RobotRecovery(node, names, options.controller_manager, options.error_recovery, _say)
        if options.dry_run:
            return _show(recovery, names, options)
        return _recover(node, recovery, options)


def names_of(robot: str, cell: Cell | None) -> DriverNames:
    """What the drivers are called, where no motion_node tells.

    Args:
        robot: name of a robot; empty: that of the cell, without one fr3.
        cell: that the robot stands in; None where that is not known.

    Raises:
        UserError: if no drivers of that robot are known, it is or it is not that of the cell.
    """
    if cell is not None and robot not in ("", cell.robot):
        raise UserError(f"--robot {robot} is not that of the cell, which is {cell.robot}: leave out one of them")
    name = robot or (cell.robot if cell else DRIVEN[0])
    if cell is None and name not in DRIVEN:
        raise UserError(f"--robot {name} is not known; known are {', '.join(DRIVEN)}, and that of a --cell FILE")
    return DriverNames(name, *driver_actions(cell, load_robot(name)))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("recover", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="show the steps, change nothing")
    parser.add_argument("--home-gripper", action="store_true", help="home the gripper, too: what it holds falls")
    parser.add_argument("--resume", action="store_true", help="let the stack go on in the end")
    parser.add_argument("--controller", default="", help="that is to command the arm; by default motion_node's")
    parser.add_argument(
        "--robot", default="", help="where no motion_node runs that knows it; by default the cell's, or fr3"
    )
    parser.add_argument("--cell", type=Path, metavar="FILE", help="file of the cell, which names robot and drivers")
    parser.add_argument("--controller-manager", default="controller_manager", help="its name")
    parser.add_argument("--error-recovery", default="action_server/error_recovery", help="action of franka_hardware")
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the drivers and the stack")
    return parser


def _show(recovery: RobotRecovery, names: DriverNames, options: argparse.Namespace) -> int:
    steps = [str(step) for step in recovery.plan(options.controller)]
    if options.home_gripper:
        steps.append(f"home the gripper by {names.gripper}/homing: its fingers move, what they hold falls")
    if not steps:
        _say(NOTHING)
        return 0
    ends = ["look at the joint states: do they flow, does the arm rest?", *(["call " + RESUME] * options.resume)]
    for number, step in enumerate(["stop the stack", *steps, *ends], start=1):
        _say(f"{number}. {step}")
    return 0


def _recover(node: Node, recovery: RobotRecovery, options: argparse.Namespace) -> int:
    steps = recovery.plan(options.controller)
    if not steps:
        _say(NOTHING)
    is_stopped = bool(steps or options.home_gripper) and recovery.stop_the_stack()
    for step in steps:
        recovery.do(step)
    recovery.check_joints()
    if options.home_gripper:
        recovery.home_gripper()
    if options.resume:
        recovery.resume()
    elif is_stopped:
        service = node.resolve_service_name(RESUME)
        _say(f"the stack stays stopped until it is asked to go on: --resume, or {service} (std_srvs/srv/Trigger)")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()
