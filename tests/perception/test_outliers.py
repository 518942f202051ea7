"""Statistical outlier removal, where Open3D is installed."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.perception import PerceptionError, require_open3d
from mini_diffuser_ros.perception.outliers import keep_inliers

try:
    require_open3d()
except PerceptionError as error:
    pytest.skip(str(error), allow_module_level=True)


def test_points_far_from_all_others_are_outliers_and_no_others() -> None:
    side = np.arange(20) * 0.005
    plate = np.stack(np.meshgrid(side, side, [0.1]), axis=-1).reshape(-1, 3)
    strays = np.array([[0.05, 0.05, 0.3], [0.3, 0.0, 0.1]])
    kept = keep_inliers(np.concatenate([plate, strays]).astype(np.float32), neighbors=8, std_ratio=2.0)
    assert kept.dtype == np.bool_
    assert not kept[-2:].any()
    assert kept[:-2].all()


def test_an_empty_cloud_stays_empty() -> None:
    assert keep_inliers(np.zeros((0, 3), np.float32), 8, 2.0).shape == (0,)
