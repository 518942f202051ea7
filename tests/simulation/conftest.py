from __future__ import annotations

import pytest

from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.simulation import TabletopWorld


@pytest.fixture(scope="session")
def world() -> TabletopWorld:
    return TabletopWorld()


@pytest.fixture(scope="session")
def small_world() -> TabletopWorld:
    """A world with small images, for what does not depend on them."""
    return TabletopWorld(image_size=(96, 96))


@pytest.fixture(scope="session")
def planner(world: TabletopWorld) -> MotionPlanner:
    return MotionPlanner(world.robot, MotionConfig())
