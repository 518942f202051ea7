"""The table top in a cloud."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.table import find_table


def cloud(
    height: float, tilt: float, towards: float, seed: int = 0, size: float = 0.6, clutter: int = 1500
) -> np.ndarray:
    """A noisy table that falls off by ``tilt`` degrees towards an azimuth in degrees, with things on it."""
    random = np.random.default_rng(seed)
    xy = np.array([0.5, 0.0]) + random.uniform(-size / 2, size / 2, (6000, 2))
    slope = np.tan(np.radians(tilt)) * np.array([np.cos(np.radians(towards)), np.sin(np.radians(towards))])
    z = height - (xy - [0.5, 0.0]) @ slope + 0.003 * random.standard_normal(len(xy))
    things = random.uniform([0.3, -0.2, height + 0.02], [0.7, 0.2, height + 0.3], (clutter, 3))
    return np.concatenate([np.column_stack([xy, z]), things])


@given(height=st.floats(-0.3, 0.5), tilt=st.floats(0.0, 2.0), towards=st.floats(-180.0, 180.0), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_height_and_tilt_are_found(height: float, tilt: float, towards: float, seed: int) -> None:
    found = find_table(cloud(height, tilt, towards, seed))
    assert found.height == pytest.approx(height, abs=1e-3)
    assert found.tilt == pytest.approx(tilt, abs=0.1)
    if tilt > 0.5:
        assert abs((found.downhill - towards + 180.0) % 360.0 - 180.0) < 15.0
    assert found.residual == pytest.approx(0.003, rel=0.3)


@pytest.mark.parametrize(
    ("points", "cause"),
    [
        (np.zeros((10, 3)), "10 points, needed are 2000"),
        (cloud(0.0, 8.0, 0.0), r"tilted by 8\.0 degrees, allowed are 3"),
        (np.random.default_rng(0).uniform(0, 1, (5000, 3)), "the largest plane has"),
        (cloud(0.0, 0.0, 0.0, size=0.1, clutter=0), "0.10 m wide, needed are 0.25"),
        (np.full((5000, 3), np.nan), "0 points"),
        (np.random.default_rng(0).uniform(0, 1, (5000, 3)) * [0.0, 1.0, 1.0], "no horizontal plane"),
    ],
)
def test_a_cloud_without_a_table_is_refused(points: np.ndarray, cause: str) -> None:
    with pytest.raises(CalibrationError, match=cause):
        find_table(points)
