"""Where things lie on the table and where the gripper goes to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.task import Waypoint

Array = NDArray[np.float64]

# Where objects lie, metres in the base frame: the arm reaches every point of it from above at any grasp yaw.
REGION: Final = ((0.36, 0.66), (-0.27, 0.27))

# Fingers end 8.5 mm below the tool centre point; lower than this they would scrape over the table.
LOWEST_GRASP: Final = 0.010
ABOVE: Final = 0.14


def scatter(
    rng: np.random.Generator,
    count: int,
    distance: float | Callable[[int, int], float],
    attempts: int = 2000,
) -> list[tuple[float, float]]:
    """Random places in :data:`REGION`, xy in metres, pairwise at least ``distance`` apart.

    Args:
        rng: source of randomness.
        count: how many.
        distance: metres between centres, or a function of the two indices that gives them.
        attempts: draws before the arrangement is begun anew.

    Raises:
        SimulationError: if the places do not fit into the region.
    """
    apart = distance if callable(distance) else lambda first, second: distance
    (x_low, x_high), (y_low, y_high) = REGION
    for _ in range(20):
        places: list[tuple[float, float]] = []
        for _ in range(attempts):
            place = (float(rng.uniform(x_low, x_high)), float(rng.uniform(y_low, y_high)))
            index = len(places)
            if all(np.hypot(place[0] - x, place[1] - y) >= apart(i, index) for i, (x, y) in enumerate(places)):
                places.append(place)
                if len(places) == count:
                    return places
    raise SimulationError(f"{count} objects do not fit on the table at the wanted distances")


def smallest_yaw(yaw: float, period: float) -> float:
    """The angle closest to zero among ``yaw + k * period``, radians, in (-period / 2, period / 2]."""
    return float(period / 2.0 - (period / 2.0 - yaw) % period)


def yaw_of(base_from_body: Array) -> float:
    """Heading of a body's x axis in the base's xy plane, radians."""
    return float(np.arctan2(base_from_body[1, 0], base_from_body[0, 0]))


def top_down(x: float, y: float, z: float, yaw: float, gripper_open: bool) -> Waypoint:
    """A waypoint whose gripper points straight down."""
    return Waypoint(np.concatenate([(x, y, z), top_down_quaternion(yaw)]), gripper_open)


def grasp_air(target: Array, yaw: float, height: float, rng: np.random.Generator) -> list[Waypoint]:
    """An attempt to grasp at ``target`` (3,) that closes on air and leaves everything where it is.

    Either the gripper closed above the target, or it has already been lifted to ``height`` with nothing in it.
    """
    x, y, z = target
    if rng.random() < 0.5:
        return [top_down(x, y, height + rng.uniform(0.0, 0.02), yaw, False)]
    sideways = rng.normal(0.0, 0.01, 2)
    return [top_down(x + sideways[0], y + sideways[1], z + rng.uniform(0.06, 0.09), yaw, False)]
