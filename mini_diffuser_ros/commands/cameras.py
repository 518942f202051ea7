"""``mini-diffuser cameras``: RealSense cameras that are plugged in and camera topics that are there.

They are written as lines to paste into the cell file, under names to be replaced by yours.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.commands.arguments import LONGEST_WAIT, number_between
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.doctor.setup_listener import INFO, camera_names
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.perception.connected_cameras import ConnectedCamera, connected_cameras
from mini_diffuser_ros.perception.realsense import RealSenseError
from mini_diffuser_ros.support.errors import one_line


def main(arguments: list[str]) -> int:
    """Run the command; returns 1 if there is no camera at all, or one of the cell is missing."""
    parser = CommandParser("cameras", description=__doc__)
    parser.add_argument(
        "--seconds", type=number_between(0.1, LONGEST_WAIT), default=3.0, help="to look for camera topics"
    )
    parser.add_argument("--cell", type=Path, metavar="FILE", help="file of the cell, which names devices")
    values = parser.parse_args(arguments)
    cell = read_cell(values.cell) if values.cell else None
    known = {camera.serial: name for name, camera in cell.cameras.items() if camera.serial} if cell else {}
    try:
        devices = connected_cameras()
    except RealSenseError as error:
        sys.stderr.write(f"mini-diffuser cameras: {one_line(error)}\n")
        devices = []
    lines = list(cell_lines(devices, _topics(values.seconds), known))
    missing = list(missing_lines(devices, known))
    sys.stderr.write("".join(f"mini-diffuser cameras: {line}\n" for line in missing))
    if not lines:
        sys.stderr.write("mini-diffuser cameras: none; plug one in (USB 3), or start its driver\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(bool(missing))


def missing_lines(devices: Sequence[ConnectedCamera], known: Mapping[str, str]) -> Iterator[str]:
    """What to do about each camera of the cell, serial number to name, that is not among the devices."""
    plugged = {device.serial: device.name for device in devices}
    shown = ", ".join(f"{serial} ({model})" for serial, model in plugged.items()) or "none"
    for serial, name in known.items():
        if serial not in plugged:
            yield (
                f"{name} of the cell, {serial}, is not plugged in here; plugged in are {shown}: plug it in, or set its "
                "serial in the cell"
            )


def cell_lines(
    devices: Sequence[ConnectedCamera], topics: Mapping[str, str], known: Mapping[str, str] | None = None
) -> Iterator[str]:
    """YAML for the cell file; nothing where there is nothing.

    Args:
        devices: that are plugged in.
        topics: name of each camera whose topics are there: nodes that publish them.
        known: serial number: name of a camera, as the cell has them.
    """
    if devices or topics:
        yield "cameras:"
    for number, device in enumerate(devices, start=1):
        firmware = f", firmware {device.firmware}" if device.firmware else ""
        usb = f", USB {device.usb}" if device.usb else ""
        slow = ": TOO SLOW, use a USB 3 port and cable" if device.is_slow else ""
        yield f"  {(known or {}).get(device.serial, f'camera_{number}')}:  # {device.name}{firmware}{usb}{slow}"
        yield f'    serial: "{device.serial}"'
    for name, nodes in topics.items():
        yield f"  {name}:  # its topics are there already, from {nodes}"
        yield '    serial: ""'


def _topics(seconds: float) -> dict[str, str]:
    with client_node("cameras") as node:
        node.get_node_names_and_namespaces()  # who asks once is told from then on
        time.sleep(seconds)
        found = {}
        for name in camera_names(node):
            infos = node.get_publishers_info_by_topic(name + INFO)
            found[name.lstrip("/")] = ", ".join(sorted({info.node_name for info in infos}))
        return found
