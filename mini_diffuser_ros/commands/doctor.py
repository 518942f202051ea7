"""``mini-diffuser doctor``: look at versions, robot, cameras, clocks and the stack; one line each, with its remedy.

Nothing is moved or changed. The exit code is 1 if something has to be mended before the arm may move.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier

from mini_diffuser_ros.bringup.executables import CLASSES
from mini_diffuser_ros.cell import check_cell
from mini_diffuser_ros.commands.arguments import LONGEST_WAIT, namespace, number_between
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.commands.recover import names_of
from mini_diffuser_ros.doctor.cell_facts import cell_facts
from mini_diffuser_ros.doctor.checks import Diagnosis, findings
from mini_diffuser_ros.doctor.snapshot import Drivers, Snapshot, Software
from mini_diffuser_ros.nodes.cameras.device_serials import DeviceSerials
from mini_diffuser_ros.nodes.doctor.graph_survey import survey_graph
from mini_diffuser_ros.nodes.doctor.questions_to_nodes import controllers_of, sim_time_of
from mini_diffuser_ros.nodes.doctor.setup_listener import SetupListener
from mini_diffuser_ros.nodes.recovery.robot_recovery import DriverNames, names_of_motion_node
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.perception.connected_cameras import connected_cameras
from mini_diffuser_ros.perception.realsense import RealSenseError
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import HealthLevel
from mini_diffuser_ros.support.printable import printable
from mini_diffuser_ros.support.versions import installed_version

DISTRIBUTIONS = ("mini_diffuser_ros", "torch", "pocketros")
FRANKA = {"franka_ros2": "franka_hardware", "libfranka": "libfranka", "franka_description": "franka_description"}
WORDS = {HealthLevel.OK: "OK", HealthLevel.WARN: "WARNING", HealthLevel.ERROR: "ERROR"}
OUR_ACTIONS = ("mini_diffuser/move_to_keyframe", "mini_diffuser/execute")


def main(arguments: list[str]) -> int:
    """Run the command; returns 1 if there is an error, else 0."""
    options = _parser().parse_args(arguments)
    with client_node("doctor", options.namespace, threads=4) as node:
        node.get_node_names_and_namespaces()  # who asks once is told from then on
        time.sleep(options.seconds)  # what is there is found by and by, and nothing tells when that is all
        found = findings(_snapshot(node, options))
    if options.json:
        sys.stdout.write(json.dumps([_as_json(one) for one in found], indent=1) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(found)))
    return int(any(one.level == HealthLevel.ERROR for one in found))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("doctor", description=__doc__)
    parser.add_argument("--robot", default="", help="whose drivers are looked for where no motion_node tells")
    parser.add_argument("--cell", type=Path, metavar="FILE", help="cell file to look at, too")
    parser.add_argument(
        "--seconds", type=number_between(0.1, LONGEST_WAIT), default=3.0, help="to find nodes, and again to listen"
    )
    parser.add_argument("--controller-manager", default="controller_manager", help="its name")
    parser.add_argument("--json", action="store_true", help="a list of what, value, level and remedy")
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the drivers and the stack")
    return parser


def _snapshot(node: Node, options: argparse.Namespace) -> Snapshot:
    drivers = _drivers(node, names_of_motion_node(node) or _names(options))
    listener = SetupListener(node, drivers)
    cell = None if options.cell is None else cell_facts(options.cell, datetime.now(timezone.utc))
    devices = DeviceSerials(node, cell.serials if cell else {})
    graph = survey_graph(node, [node.resolve_topic_name(one) for one in OUR_ACTIONS])
    ours = [name for name in graph.nodes if name.rpartition("/")[2] in CLASSES]
    sim_time = sim_time_of(node, dict.fromkeys(ours))
    controllers, why_not = controllers_of(node, options.controller_manager)
    time.sleep(options.seconds)
    return Snapshot(
        software=software(),
        drivers=drivers,
        graph=graph,
        controllers=controllers,
        no_controllers=why_not,
        joints=listener.joints(),
        sim_time=sim_time,
        clock_runs=listener.clock_runs(),
        diagnostics=listener.diagnostics(),
        homed=listener.homed(),
        cameras=listener.cameras(),
        streaming={**listener.streaming(), **devices.known()},
        devices=_plugged_in(),
        cell=cell,
    )


def software() -> Software:
    """What is installed here."""
    return Software(
        python=platform.python_version(),
        packages={
            **{name: installed_version(name) for name in DISTRIBUTIONS},
            **{k: _manifest(p) for k, p in FRANKA.items()},
        },
        distribution=os.environ.get("ROS_DISTRO", ""),
        middleware=get_rmw_implementation_identifier(),
        domain=os.environ.get("ROS_DOMAIN_ID", "0"),
    )


def _drivers(node: Node, names: DriverNames) -> Drivers:
    robot = load_robot(names.robot)
    return Drivers(
        robot=robot.name,
        arm_action=node.resolve_topic_name(names.arm_action),
        gripper_action=node.resolve_topic_name(names.gripper_action),
        base_frame=robot.base_frame,
        joints=robot.arm_joint_names,
        max_width=robot.max_gripper_width,
    )


def _names(options: argparse.Namespace) -> DriverNames:
    """Those of the cell, as far as it can be read; what is wrong with it is the cell's check to say."""
    cell = check_cell(options.cell)[0] if options.cell else None
    try:
        return names_of(options.robot, cell)
    except UserError:
        if cell is None:
            raise
        return names_of(options.robot, None)


def _plugged_in() -> dict[str, str] | None:
    """Serial number to model of the RealSense cameras at this machine's ports; None without the SDK."""
    try:
        return {camera.serial: camera.name for camera in connected_cameras()}
    except RealSenseError:
        return None


def _manifest(package: str) -> str:
    """Version in the package.xml of a ROS package, empty where it is not installed."""
    try:
        manifest = Path(get_package_share_directory(package)) / "package.xml"
        return ElementTree.parse(manifest).findtext("version", "").strip()
    except (PackageNotFoundError, OSError, ElementTree.ParseError):
        return ""


def _lines(found: list[Diagnosis]) -> list[str]:
    width = max(len(one.what) for one in found)
    return [
        printable(
            f"{WORDS[one.level]:<8} {one.what:<{width}}  {one.value}" + (f"; do: {one.remedy}" if one.remedy else "")
        )
        for one in found
    ]


def _as_json(one: Diagnosis) -> dict[str, str]:
    return {"what": one.what, "value": one.value, "level": WORDS[one.level], "remedy": one.remedy}
