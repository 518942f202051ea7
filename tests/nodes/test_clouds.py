"""Clouds whose points are not where an arm is."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.nodes.ros.clouds import check_metres
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError
from mini_diffuser_ros.records import Cloud


def cloud(scale: float) -> Cloud:
    """Of a table before the arm, in metres times a scale, with one point far behind it."""
    rng = np.random.default_rng(0)
    points = scale * rng.uniform([0.2, -0.4, 0.0], [0.8, 0.4, 0.3], (500, 3)).astype(np.float32)
    points[0] = (1000.0, 0.0, 0.0)
    return Cloud(points.astype(np.float32), np.zeros((500, 3), np.uint8), "fr3_link0", 1.0)


def test_a_cloud_in_millimetres_or_centimetres_is_refused() -> None:
    check_metres(cloud(1.0))
    check_metres(Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "fr3_link0", 1.0))
    for scale in (1000.0, 100.0):
        with pytest.raises(MalformedMessageError, match=r"lie .* m from the robot \(median\), .* metres\?"):
            check_metres(cloud(scale))
