"""Cameras are compared with one another: right ones agree whatever they see, wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.perception.survey import Finding, survey
from mini_diffuser_ros.records import CameraView, FusionConfig, Workspace

ViewMaker = Callable[..., CameraView]

CONFIG, WORKSPACE = ContentConfig(), FusionConfig().workspace
EYES = {"front": (1.2, 0.1, 0.7), "left": (0.4, 0.9, 0.8), "right": (0.45, -0.8, 1.0)}
SPHERES = (((0.5, 0.1, 0.07), 0.07), ((0.6, -0.15, 0.09), 0.09), ((0.38, -0.05, 0.06), 0.06))
FIXED = tuple(EYES)


@pytest.fixture
def views(make_view: ViewMaker) -> list[CameraView]:
    generator, made = np.random.default_rng(0), []
    for name, eye in EYES.items():
        view = make_view(eye, SPHERES, name, size=(240, 320))
        depth = np.where(np.isfinite(view.depth), view.depth, 0.0)
        noise = generator.normal(0.0, 0.003, depth.shape) * depth**2
        made.append(replace(view, depth=np.where(depth > 0.0, depth + noise, 0.0).astype(np.float32)))
    return made


def found(views: Sequence[CameraView], workspace: Workspace = WORKSPACE) -> list[Finding]:
    return survey(views, FIXED, workspace, CONFIG)


def moved(view: CameraView, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> CameraView:
    pose = np.array(view.base_from_camera)
    pose[:3, 3] += x, y, z
    return replace(view, base_from_camera=pose)


def test_cameras_that_are_where_they_are_said_to_be_agree(views: list[CameraView]) -> None:
    assert found(views) == []
    assert found(views[:1]) == []
    assert found([]) == []


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("shift", [(0.2, 0.0), (0.0, -0.2), (0.15, 0.15), (-0.1, 0.0)])
def test_a_camera_elsewhere_on_the_table_is_named(
    views: list[CameraView], which: int, shift: tuple[float, float]
) -> None:
    wrong = views[which]
    views[which] = moved(wrong, *shift)
    findings = found(views)
    assert wrong.name in {finding.camera for finding in findings} or any(wrong.name in f.message for f in findings)
    assert all("looks through" in finding.message for finding in findings)
    assert all("\n" not in finding.message for finding in findings)


@pytest.mark.parametrize("bias", [0.05, -0.05, 0.08])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_bias_of_one_cameras_depth_shows_on_the_table(views: list[CameraView], which: int, bias: float) -> None:
    wrong = views[which]
    views[which] = replace(wrong, depth=wrong.depth + np.float32(bias) * (wrong.depth > 0.0))
    messages = {finding.camera: finding.message for finding in reversed(found(views))}
    assert "sees the table" in messages[wrong.name]


def test_a_tilted_camera_is_named(views: list[CameraView]) -> None:
    angle = np.radians(10.0)
    tilt = np.eye(4)
    tilt[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    views[1] = replace(views[1], base_from_camera=views[1].base_from_camera @ tilt)
    findings = found(views)
    assert findings
    assert all("left" in finding.camera + finding.message for finding in findings)


def test_a_table_inside_the_workspace_is_named_for_every_camera(views: list[CameraView]) -> None:
    low = replace(WORKSPACE, lower=(*WORKSPACE.lower[:2], -0.03))
    findings = [finding for finding in found(views, low) if "above the lower bound" in finding.message]
    assert {finding.camera for finding in findings} == set(EYES)
    assert "fusion.workspace.lower" in findings[0].message
    assert "0.03" in findings[0].message


def test_a_fixed_camera_that_sees_nothing_of_the_workspace_is_named_and_one_on_the_arm_is_not(
    views: list[CameraView],
) -> None:
    views[2] = moved(views[2], x=3.0)
    (finding,) = found(views)
    assert finding.camera == "right"
    assert "nothing of what it sees lies in the workspace" in finding.message
    assert "(3.45, -0.80, 1.00)" in finding.message
    assert survey(views, FIXED[:2], WORKSPACE, CONFIG) == []


def test_cameras_without_any_distance_are_no_reason_to_fail(views: list[CameraView]) -> None:
    blank = [
        replace(view, depth=np.full_like(view.depth, value))
        for view, value in zip(views, (0, np.nan, np.inf), strict=True)
    ]
    assert {finding.camera for finding in found(blank)} == set(EYES)
