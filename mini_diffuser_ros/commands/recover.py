"""``mini-diffuser recover``: bring a Franka back after a reflex, step by step, each step measured, without a restart.

The stack is stopped first and stays so until it is asked to go on: --resume, or the service mini_diffuser/resume.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.recovery.robot_recovery import RESUME, DriverNames, RobotRecovery, names_of_motion_node
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import read_yaml

NOTHING = "nothing to recover: the hardware is active, and so is a controller of the arm"


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if the robot is ready, else the exit code of the step that failed."""
    options = _parser().parse_args(arguments)
    with client_node("recover", options.namespace, threads=3) as node:
        names = names_of_motion_node(node) or names_of_file(options.robot)
        recovery = RobotRecovery(node, names, options.controller_manager, options.error_recovery, _say)
        if options.dry_run:
            return _show(recovery, names, options)
        return _recover(node, recovery, options)


def names_of_file(robot: str) -> DriverNames:
    """What the drivers of a robot are called, as the launch has it.

    Raises:
        UserError: if there is no file of that robot.
    """
    folder = Path(get_package_share_directory("mini_diffuser_ros")) / "config" / "robots"
    file = folder / f"{robot}.yaml"
    known = sorted(one.stem for one in folder.glob("*.yaml"))
    if robot not in known:
        raise UserError(f"--robot {robot} is not known; known are {', '.join(known)}")
    parameters = read_yaml(file)["/**/motion_node"]["ros__parameters"]
    return DriverNames(parameters["robot"], parameters["arm_action"], parameters["gripper_action"])


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("recover", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="show the steps, change nothing")
    parser.add_argument("--home-gripper", action="store_true", help="home the gripper, too: what it holds falls")
    parser.add_argument("--resume", action="store_true", help="let the stack go on in the end")
    parser.add_argument("--controller", default="", help="that is to command the arm; by default motion_node's")
    parser.add_argument("--robot", default="fr3", help="where no motion_node runs that knows it")
    parser.add_argument("--controller-manager", default="controller_manager", help="its name")
    parser.add_argument("--error-recovery", default="action_server/error_recovery", help="action of franka_hardware")
    parser.add_argument("--namespace", default="", help="namespace of the drivers and the stack")
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
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
