"""Nodes that are given the file of a cell and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from .conftest import DISCOVERY, Peer, Process

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "config" / "cells" / "example.yaml"


def contains(process: Process, line: str) -> bool:
    return line in process.said()


def test_the_cell_alone_names_robot_drivers_and_cameras(
    start: Callable[..., Process], peer: Peer, tmp_path: Path
) -> None:
    values = yaml.safe_load(EXAMPLE.read_text())
    values["robot"] = str(REPOSITORY / "mini_diffuser_ros" / "robots" / "fr3")
    values |= {"arm_action": "mine/follow", "gripper": {"action": "mine/grip", "width": 0.04}}
    cell = tmp_path / "cell.yaml"
    cell.write_text(yaml.safe_dump(values))

    guard = start("guard_node", cell=cell)
    motion = start("motion_node", cell=cell, arm_action="other/follow")
    cameras = start("realsense_node", cell=cell)
    recorder = start("recorder_node", cell=cell, cameras="[front, side]")
    peer.await_that(lambda: "guarding mine/follow and mine/grip" in guard.said())
    for name, serial in (("front", "000000000001"), ("wrist", "000000000002")):
        line = f"camera {name}: no RealSense with serial number {serial} is connected; connected are: "
        peer.await_that(partial(contains, cameras, line))
    assert recorder.wait(DISCOVERY) == 1
    assert "parameter cameras: the cell has no 'side': unknown camera 'side'" in recorder.said()
    peer.await_that(lambda: "arm at other/follow, gripper at mine/grip" in motion.said())


def test_cameras_of_a_cell_are_told_apart_by_serials_alone(start: Callable[..., Process], tmp_path: Path) -> None:
    cell = tmp_path / "cell.yaml"
    cell.write_text(EXAMPLE.read_text().replace('serial: "000000000002"', 'serial: ""'))
    node = start("realsense_node", cell=cell)
    assert node.wait(DISCOVERY) == 1
    assert "camera 'wrist' has no serial in the cell to tell the cameras apart" in node.said()
