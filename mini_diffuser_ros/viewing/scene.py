"""A cloud with grippers and edges in it as plain values, for a page that lets it be turned round."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.support.drawing import GripperGlyph, Wireframe, bounds_of, drawable, gripper_edges

POINT_BYTES = 12
"""Characters of a point in these values: nine bytes in base64."""

_STEPS = 2**15 - 1  # to each side of the middle, in whole numbers of 16 bits


def scene_values(
    cloud: Cloud,
    grippers: Sequence[GripperGlyph] = (),
    wireframes: Sequence[Wireframe] = (),
    most_points: int = 20_000,
) -> dict[str, Any]:
    """What a page needs to draw a scene, as JSON can hold it.

    Args:
        cloud: in a frame whose z axis points up.
        grippers: drawn over the points.
        wireframes: drawn over the points, beneath the grippers.
        most_points: of a larger cloud this many, evenly spread over the order of its points.

    Returns:
        ``low``, ``high``: corners of a box around everything, metres; ``cloud``: its positions as whole numbers of
        ``unit`` metres about ``center``, base64 of int16, and its colours, base64 of uint8; ``lines``: edges (both ends
        of each, metres), colour and label; ``left_out``: in words what has no place to be drawn at, empty if all has.
    """
    cloud, grippers, wireframes, left_out = drawable(cloud, grippers, wireframes)
    low, high = bounds_of(cloud, grippers, wireframes)
    chosen = evenly_spread(len(cloud), most_points)
    center, unit, steps = whole_steps(cloud.points[chosen], low, high)
    lines = [*map(wire_values, wireframes), *map(gripper_values, reversed(grippers))]
    return {
        "low": low.tolist(),
        "high": high.tolist(),
        "cloud": {
            "center": center.tolist(),
            "unit": unit,
            "steps": _base64(steps),
            "colors": _base64(cloud.colors[chosen]),
        },
        "lines": lines,
        "left_out": left_out,
    }


def whole_steps(
    points: NDArray[np.floating], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, NDArray[np.int16]]:
    """Points (N, 3) within a box as whole numbers of 16 bits.

    Returns:
        the middle (3,) and the unit, metres, and steps (N, 3), little-endian: a point is middle + unit * step.
    """
    center = (low + high) / 2.0
    unit = max(float(np.max(high - low)) / 2.0 / _STEPS, 1e-6)
    return center, unit, np.rint((points.astype(np.float64) - center) / unit).astype("<i2")


def wire_values(wire: Wireframe) -> dict[str, Any]:
    """Edges as scene.js draws them."""
    return {"edges": _rounded(wire.edges), "color": list(wire.color), "label": wire.label}


def gripper_values(glyph: GripperGlyph) -> dict[str, Any]:
    """A gripper as scene.js draws it."""
    edges = _rounded(gripper_edges(glyph.pose, glyph.gripper_open))
    return {"edges": edges, "color": list(glyph.color), "label": glyph.label}


def _rounded(edges: NDArray[np.floating]) -> list[Any]:
    """To a tenth of a millimetre."""
    values: list[Any] = np.round(np.asarray(edges, dtype=np.float64), 4).tolist()
    return values


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
