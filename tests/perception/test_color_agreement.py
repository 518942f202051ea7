"""Cameras of any white balance agree on colours; one that swaps red and blue is named, as far as others can tell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from mini_diffuser_ros.geometry import transform_points
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.perception.color_agreement import color_agreements, swapped
from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.perception.survey import survey
from mini_diffuser_ros.records import CameraView, FusionConfig
from mini_diffuser_ros.simulation import TASKS, TabletopWorld

ViewMaker = Callable[..., CameraView]

EYES = {"front": (1.2, 0.1, 0.7), "left": (0.4, 0.9, 0.8), "right": (0.45, -0.8, 1.0)}
SPHERES = (((0.5, 0.1, 0.07), 0.07), ((0.6, -0.15, 0.09), 0.09), ((0.38, -0.05, 0.06), 0.06))
LIMIT = ContentConfig().swapped_colors


def taken(view: CameraView, generator: np.random.Generator) -> CameraView:
    """With a white balance, an exposure and a noise of its own, 3 mm and half a degree beside its calibration."""
    gains = generator.uniform(0.8, 1.25, 3) * generator.uniform(0.7, 1.1)
    color = 255.0 * (view.color / 255.0) ** generator.uniform(0.8, 1.25) * gains
    color += generator.normal(0.0, 5.0, color.shape)
    depth = view.depth + generator.normal(0.0, 0.002, view.depth.shape) * view.depth**2
    pose = np.array(view.base_from_camera)
    pose[:3, 3] += generator.normal(0.0, 0.003, 3)
    return replace(
        view, color=np.clip(color, 0, 255).astype(np.uint8), depth=depth.astype(np.float32), base_from_camera=pose
    )


def bgr(view: CameraView) -> CameraView:
    return replace(view, color=np.ascontiguousarray(view.color[..., ::-1]))


@pytest.fixture
def views(make_view: ViewMaker) -> list[CameraView]:
    """Of red and blue spheres on a table of wood."""
    generator, made = np.random.default_rng(0), []
    for name, eye in EYES.items():
        view = make_view(eye, SPHERES, name, size=(240, 320))
        points = back_project(np.nan_to_num(view.depth), view.intrinsics, view.distortion, 1)
        points = transform_points(view.base_from_camera, points.reshape(-1, 3)).reshape(*view.depth.shape, 3)
        red, blue = (points[..., 2] > 0.01) & (points[..., 1] > 0.0), (points[..., 2] > 0.01) & (points[..., 1] <= 0.0)
        color = np.full((*view.depth.shape, 3), (150, 130, 100), np.uint8)
        color[red], color[blue] = (190, 40, 30), (30, 50, 180)
        made.append(taken(replace(view, color=color, depth=np.nan_to_num(view.depth)), generator))
    return made


def test_cameras_of_other_white_balance_agree(views: list[CameraView]) -> None:
    agreements = color_agreements(views)
    assert len(agreements) == 3
    assert min(agreements.values()) > 0.7
    assert swapped(agreements, LIMIT) == {}


@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_one_that_swaps_red_and_blue_is_named(views: list[CameraView], which: int) -> None:
    views[which] = bgr(views[which])
    [finding] = survey(views, tuple(EYES), FusionConfig().workspace, ContentConfig())
    assert finding.camera == views[which].name
    assert finding.message.startswith("shows red where ")
    assert "bgr8" in finding.message


def test_of_two_that_disagree_nobody_knows_which_is_wrong(views: list[CameraView]) -> None:
    findings = survey([views[0], bgr(views[1])], tuple(EYES), FusionConfig().workspace, ContentConfig())
    assert {finding.camera for finding in findings} == {"front", "left"}


def test_without_colours_nothing_is_said(views: list[CameraView]) -> None:
    grey = [replace(view, color=np.repeat(view.color[..., 1:2], 3, axis=2)) for view in views]
    assert color_agreements([grey[0], bgr(grey[1]), grey[2]]) == {}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_on_the_simulated_table_no_camera_is_named_wrongly_and_a_wrong_one_is(task: str) -> None:
    generator = np.random.default_rng(1)
    with closing(TabletopWorld(renderer="rays", image_size=(128, 128))) as world:
        for seed in range(3):
            world.reset(task, seed)
            seen = [taken(view, generator) for view in world.views()]
            assert swapped(color_agreements(seen), LIMIT) == {}
            right = color_agreements(seen)
            told = swapped(color_agreements([bgr(seen[0]), *seen[1:]]), LIMIT)
            assert not any(seen[0].name in pair for pair in right) or seen[0].name in told
