"""Frames of fixed cameras, from a file to whoever looks a transform up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rclpy.time import Time
from tf2_ros import Buffer, TransformListener

from .conftest import DISCOVERY, Peer, Process

CAMERAS = """
front: {parent: base, translation: [1.0, 2.0, 3.0], quaternion: [0.0, 0.0, 0.7071, 0.7071]}
wrist: {serial: "7"}
"""


def test_the_frames_of_a_file_are_on_tf_static(tmp_path: Path, start: Callable[..., Process], peer: Peer) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(CAMERAS)
    node = start("extrinsics_node", cameras_file=file, cameras="[front, wrist]")
    buffer = Buffer()
    listener = TransformListener(buffer, peer.node)
    frames = ("base", "front_color_optical_frame", Time())
    peer.await_that(lambda: buffer.can_transform(*frames))
    found = buffer.lookup_transform(*frames).transform
    listener.unregister()
    assert (found.translation.x, found.translation.y, found.translation.z) == (1.0, 2.0, 3.0)
    assert (found.rotation.z, found.rotation.w) == pytest.approx((np.sqrt(0.5), np.sqrt(0.5)))
    peer.await_that(lambda: "wrist has no parent" in node.said())


def test_a_file_that_cannot_be_is_named_in_one_line(tmp_path: Path, start: Callable[..., Process]) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text("front: {parent: base}")
    node = start("extrinsics_node", cameras_file=file, cameras="[front]")
    assert node.wait(DISCOVERY) == 1
    assert f"camera file {file}, front: quaternion is None, expected 4 numbers" in node.said()
    assert len(node.said().splitlines()) == 1
