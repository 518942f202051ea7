"""Models that were made elsewhere are drawn as they look: their textures, without shapes for collision alone."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.rendering import Renderer, make_renderer, rendered_view

CUBE = np.array([0.02, 0.0, 0.15])
MODEL = """
<mujoco>
  <visual><quality offsamples="4"/><global offwidth="128" offheight="96"/></visual>
  <asset>
    <texture name="checked" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 0 1" width="64" height="64"/>
    <material name="checked" texture="checked" rgba="1 1 1 1"/>
  </asset>
  <worldbody>
    <body name="base" pos="0.4 0 0.1"/>
    <geom type="plane" size="2 2 0.1" rgba="0.5 0.6 0.5 1" group="1"/>
    <body pos="0.42 0 0.25">
      <geom name="seen" type="box" size="0.05 0.05 0.05" material="checked" group="1"/>
      <geom name="collision" type="sphere" size="0.09" rgba="0 1 0 1" group="0"/>
    </body>
    <camera name="slanted" pos="1.3 0.1 0.8" xyaxes="0 1 0 -0.6 0 0.8" fovy="45"/>
  </worldbody>
</mujoco>
"""


@pytest.fixture(params=["rays", "egl"])
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return made(request.param)


def made(name: str, groups: tuple[int, ...] | None = (1,)) -> Renderer:
    try:
        return make_renderer(name, groups)
    except SimulationError as error:
        pytest.skip(str(error))


def state() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(MODEL)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def test_pixels_of_a_view_lie_on_what_they_show(renderer: Renderer) -> None:
    model, data = state()
    base_from_world = np.eye(4)
    base_from_world[:3, 3] = [-0.4, 0.0, -0.1]
    view = rendered_view(renderer, model, data, "slanted", (96, 128), base_from_world, stamp=2.0)
    assert (view.name, view.color.shape, view.stamp) == ("slanted", (96, 128, 3), 2.0)
    points = transform_points(view.base_from_camera, back_project(view.depth, view.intrinsics).reshape(-1, 3))
    points = points[np.isfinite(points).all(axis=1)]
    on_cube = points[np.abs(points - CUBE).max(axis=1) < 0.06]
    assert len(on_cube) > 100
    assert np.abs(on_cube - CUBE).max(axis=1) == pytest.approx(0.05, abs=3e-4)
    assert np.allclose(inverse_transform(view.base_from_camera)[:3, :3] @ view.base_from_camera[:3, :3], np.eye(3))


def test_renderers_agree_where_a_model_asks_for_several_samples_a_pixel() -> None:
    model, data = state()
    (_, rays), (_, egl) = (made(name).render(model, data, "slanted", 96, 128) for name in ("rays", "egl"))
    seen = (rays > 0) & (egl > 0)
    assert np.median(np.abs(rays - egl)[seen]) < 1e-4
    assert model.vis.quality.offsamples == 4


def test_groups_that_are_not_asked_for_are_not_seen(renderer: Renderer) -> None:
    model, data = state()
    color, _ = renderer.render(model, data, "slanted", 96, 128)
    assert not ((color[..., 1] > 150) & (color[..., 0] < 50)).any()
    everything, _ = made("rays", None).render(model, data, "slanted", 96, 128)
    assert ((everything[..., 1] > 100) & (everything[..., 0] < 50)).any()


def test_rays_see_a_texture_as_its_mean_colour() -> None:
    model, data = state()
    color, _ = made("rays").render(model, data, "slanted", 96, 128)
    cube = color[(color[..., 1] == 0) & (color[..., 0] > 0)]
    assert len(cube) > 100
    assert np.abs(cube[:, 0].astype(int) - cube[:, 2]).max() <= 3
