"""Joint states of several publishers, and their age."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_tracker import JointTracker


def test_publishers_are_merged() -> None:
    tracker = JointTracker()
    tracker.update(["a", "b"], [1.0, 2.0], [0.1, 0.2], now=10.0)
    tracker.update(["finger"], [0.04], [], now=10.1)
    assert tracker.positions(["b", "finger"], 10.1, 0.5) == pytest.approx([2.0, 0.04])
    assert np.isnan(tracker.velocities(["finger"], 10.1, 0.5)[0])
    assert tracker.known_positions() == {"a": 1.0, "b": 2.0, "finger": 0.04}


def test_the_oldest_joint_decides_whether_a_state_is_stale() -> None:
    tracker = JointTracker()
    tracker.update(["a"], [1.0], [], now=10.0)
    tracker.update(["b"], [1.0], [], now=10.3)
    with pytest.raises(StaleJointsError, match=r"0\.30 s old, allowed are 0\.25 s"):
        tracker.positions(["a", "b"], 10.3, 0.25)


def test_joints_never_heard_of_are_named() -> None:
    tracker = JointTracker()
    tracker.update(["a"], [1.0], [], now=10.0)
    with pytest.raises(StaleJointsError, match="panda_joint7"):
        tracker.positions(["a", "panda_joint7"], 10.0, 1.0)


@pytest.mark.parametrize(
    ("names", "positions", "velocities"),
    [(["a"], [1.0, 2.0], []), (["a", "b"], [1.0, 2.0], [0.0]), (["a"], [float("nan")], [0.0])],
)
def test_malformed_states_are_refused(names: list[str], positions: list[float], velocities: list[float]) -> None:
    with pytest.raises(ValueError, match="joint state"):
        JointTracker().update(names, positions, velocities, now=0.0)
