"""Frames of fixed cameras, from the cell's file to whoever looks a transform up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rclpy.time import Time
from tf2_ros import Buffer, TransformListener

from .conftest import DISCOVERY, Peer, Process

CELL = """
robot: fr3
cameras:
  front: {parent: fr3_link0, translation: [1.1, 0.0, 0.55], quaternion: [0.6344, 0.6344, -0.3124, -0.3124]}
  wrist: {serial: "7"}
workspace: {lower: [0.25, -0.38, 0.004], upper: [0.8, 0.38, 0.55]}
"""


def test_the_frames_of_a_cell_are_on_tf_static(tmp_path: Path, start: Callable[..., Process], peer: Peer) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(CELL)
    node = start("extrinsics_node", cell=file, cameras="[front, wrist]")
    buffer = Buffer()
    listener = TransformListener(buffer, peer.node)
    frames = ("fr3_link0", "front_color_optical_frame", Time())
    peer.await_that(lambda: buffer.can_transform(*frames))
    found = buffer.lookup_transform(*frames).transform
    listener.unregister()
    assert (found.translation.x, found.translation.y, found.translation.z) == (1.1, 0.0, 0.55)
    turned = np.array([found.rotation.x, found.rotation.y, found.rotation.z, found.rotation.w])
    assert abs(turned @ (0.6344, 0.6344, -0.3124, -0.3124)) == pytest.approx(1.0, abs=1e-4)
    peer.await_that(lambda: "wrist has no parent" in node.said())


def test_a_cell_that_cannot_be_is_named_in_one_line(tmp_path: Path, start: Callable[..., Process]) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(CELL.replace("[1.1, 0.0, 0.55]", "[1100.0, 0.0, 550.0]"))
    node = start("extrinsics_node", cell=file, cameras="[front]")
    assert node.wait(DISCOVERY) == 1
    assert "cameras.front.translation is [1100, 0, 550]: expected metres" in node.said()
    assert len(node.said().splitlines()) == 1
