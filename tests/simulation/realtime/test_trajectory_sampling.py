"""Between the points of a trajectory, as a joint trajectory controller goes there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import CUBIC, LINEAR, QUINTIC, sample

COEFFICIENTS = (0.3, -0.7, 0.4, 0.9, -0.5, 0.2)


def polynomial(degree: int) -> JointTrajectory:
    """Three points of a polynomial of one joint; whoever interpolates with that degree finds the polynomial again."""
    position = np.polynomial.Polynomial(COEFFICIENTS[: degree + 1])
    times = np.array([0.0, 0.4, 1.0])
    values = [(position.deriv(order) if order else position)(times)[:, None] for order in range(3)]
    return JointTrajectory(("a",), times, *values)


@pytest.mark.parametrize("degree", [LINEAR, CUBIC, QUINTIC])
@given(time=st.floats(0.0, 0.999))
def test_polynomials_of_the_degree_are_followed_exactly(degree: int, time: float) -> None:
    position = np.polynomial.Polynomial(COEFFICIENTS[: degree + 1])
    found = sample(polynomial(degree), time, degree)
    assert found.positions[0] == pytest.approx(position(time), abs=1e-9)
    assert found.velocities[0] == pytest.approx(position.deriv()(time), abs=1e-8)
    if degree != LINEAR:
        assert found.accelerations[0] == pytest.approx(position.deriv(2)(time), abs=1e-6)


@pytest.mark.parametrize("degree", [LINEAR, CUBIC, QUINTIC])
def test_the_ends_are_held(degree: int) -> None:
    trajectory = polynomial(degree)
    assert sample(trajectory, -1.0, degree).positions == pytest.approx(trajectory.positions[0])
    assert sample(trajectory, 9.0, degree).positions == pytest.approx(trajectory.positions[-1])
