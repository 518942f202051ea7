"""What the simulated cameras add to rendered pictures, against the laws that real ones follow."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import quaternion_angle, quaternion_from_matrix
from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.simulation import SimulationError, TabletopWorld, demonstrate
from mini_diffuser_ros.simulation.depth_noise import StereoNoise
from mini_diffuser_ros.simulation.sensor import D435, PERFECT, PRESETS, ColorNoise, SensorModel, Sensors, sensor_of
from mini_diffuser_ros.support.settings import SettingsError, leaves, with_values

LENS = np.array([[385.0, 0.0, 47.5], [0.0, 385.0, 47.5], [0.0, 0.0, 1.0]])
NOTHING = SensorModel().depth
NAMES = ("front", "wrist")


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def wall(distance: float, size: int = 96) -> np.ndarray:
    return np.full((size, size), distance, np.float32)


def picture(seed: int = 0) -> CameraView:
    """A block before a wall, in random colours, with some pixels that nothing is seen at."""
    depth = wall(1.0)
    depth[30:60, 40:70] = 0.8
    depth[:4] = 0.0
    color = random(seed).integers(0, 256, (96, 96, 3), np.uint8)
    return CameraView("front", color, depth, LENS, np.eye(4))


def lost_share(model: StereoNoise, depth: np.ndarray, color: np.ndarray | None = None) -> float:
    return float((model.apply(depth, random(), color, LENS) == 0.0).mean())


@given(st.integers(0, 2**32 - 1))
def test_a_perfect_camera_changes_nothing(seed: int) -> None:
    view = picture(seed)
    for model in (PERFECT, sensor_of("d435 scale=0"), sensor_of("perfect scale=3")):
        measured = Sensors(model, NAMES, random(seed)).measured(view)
        assert model.exact
        assert measured.color is view.color
        assert measured.depth is view.depth
        assert np.array_equal(measured.base_from_camera, view.base_from_camera)


def test_a_world_of_perfect_cameras_is_the_world_without_sensor(small_world: TabletopWorld) -> None:
    small_world.reset("stack_blocks", 4)
    explicit = TabletopWorld(image_size=(96, 96), sensor=sensor_of("d435 scale=0"))
    explicit.reset("stack_blocks", 4)
    for plain, measured in zip(small_world.views(), explicit.views(), strict=True):
        assert np.array_equal(plain.color, measured.color)
        assert np.array_equal(plain.depth, measured.depth)
        assert np.array_equal(plain.base_from_camera, measured.base_from_camera)


@given(st.floats(0.3, 3.0), st.floats(0.02, 0.2), st.integers(0, 1000))
def test_noise_grows_with_the_square_of_the_distance(distance: float, subpixel: float, seed: int) -> None:
    model = replace(NOTHING, subpixel=subpixel)
    measured = model.apply(wall(distance), random(seed))
    # Of depths far off the noise is lopsided: it is in disparities, so that their deviation is the law's.
    disparity = model.focal * model.baseline / measured
    assert disparity.std() == pytest.approx(subpixel, rel=0.1)
    if subpixel * distance < 0.1:
        law = distance**2 * subpixel / (model.focal * model.baseline)
        assert measured.std() == pytest.approx(law, rel=0.15)


@given(st.floats(0.3, 3.0), st.integers(0, 1000))
def test_disparities_and_depths_come_in_steps(distance: float, seed: int) -> None:
    stepped = replace(NOTHING, subpixel=0.1, step=1 / 8)
    disparities = stepped.focal * stepped.baseline / stepped.apply(wall(distance), random(seed)).astype(np.float64)
    assert np.allclose(disparities * 8, np.rint(disparities * 8), atol=1e-3)
    millimetres = 1000.0 * replace(NOTHING, subpixel=0.1, unit=0.001).apply(wall(distance), random(seed))
    assert np.allclose(millimetres, np.rint(millimetres), atol=1e-3)


def test_errors_of_neighbours_are_alike() -> None:
    def likeness(blocks: float) -> float:
        noise = replace(NOTHING, subpixel=0.1, blocks=blocks).apply(wall(1.0), random()) - 1.0
        return float(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])

    assert abs(likeness(0.0)) < 0.05
    assert likeness(1.0) > 0.6


def test_edges_have_holes_and_points_in_the_air() -> None:
    depth = picture().depth
    measured = replace(NOTHING, lost_at_edges=0.4, flying=0.3).apply(depth, random())
    rows, columns = slice(29, 61), slice(39, 71)
    inside = np.zeros_like(depth, bool)
    inside[rows, columns] = True
    inside[32:58, 42:68] = False
    changed = (measured != depth) & (depth > 0.0)
    changed[:6] = False  # the border of what nothing is seen at is an edge, too
    assert changed.any()
    assert not changed[~inside].any()
    between = measured[inside & (measured > 0.0) & (measured != 0.8) & (measured != 1.0)]
    assert len(between) > 20
    assert np.all((between > 0.8) & (between < 1.0))


def test_what_the_other_eye_does_not_see_is_lost() -> None:
    depth = picture().depth
    measured = replace(NOTHING, lost_in_shadow=1.0).apply(depth, random(), None, LENS)
    lost = (measured == 0.0) & (depth > 0.0)
    # The band beside the block, on the side of the other eye, is as wide as its disparity stands out.
    width = 385.0 * 0.05 * (1 / 0.8 - 1 / 1.0)
    assert lost[45].sum() == pytest.approx(width, abs=1.0)
    assert np.array_equal(np.flatnonzero(lost[45]), np.arange(40 - lost[45].sum(), 40))
    assert not lost[:29].any()


def test_black_flat_seen_and_shiny_surfaces_are_lost() -> None:
    black, white = np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 3), 255, np.uint8)
    dark = replace(NOTHING, lost_when_dark=0.6, dark=0.2)
    assert lost_share(dark, wall(1.0), black) == pytest.approx(0.6, abs=0.1)
    assert lost_share(dark, wall(1.0), white) == 0.0
    shiny = replace(NOTHING, lost_when_shiny=0.5, mirror=math.radians(3.0))
    pixels = np.hypot(*(np.mgrid[:96, :96] - 47.5))
    mirrored = pixels < 385.0 * math.tan(math.radians(3.0))
    lost = shiny.apply(wall(1.0), random(), None, LENS) == 0.0
    assert lost[mirrored].mean() > 0.3
    assert not lost[~mirrored].any()
    # A floor seen from above it, at an angle that grows towards the horizon.
    rows = (np.arange(96) - 47.5) / 385.0
    floor = np.repeat((0.2 / np.maximum(rows + 0.5, 1e-3))[:, None], 96, axis=1).astype(np.float32)
    grazing = replace(NOTHING, lost_when_grazing=1.0, edge_jump=10.0)
    assert lost_share(replace(grazing, grazing=math.radians(80.0)), floor) == 0.0
    assert lost_share(replace(grazing, grazing=math.radians(50.0)), floor) > 0.1


def test_nothing_nearer_than_the_least_distance_is_measured() -> None:
    model = replace(NOTHING, nearest=0.3)
    assert lost_share(model, wall(0.29)) == 1.0
    assert lost_share(model, wall(0.31)) == 0.0


def test_colours_are_scaled_shifted_and_rolled() -> None:
    view = replace(picture(), color=np.full((96, 96, 3), 100, np.uint8))
    view.color[:, 48:] = 200
    gains = SensorModel(color=ColorNoise(exposure=0.2))
    shades = [Sensors(gains, ["front"], random(seed)).measured(view).color[0, 0, 0] for seed in range(50)]
    assert 80 <= min(shades) < 90 < 110 < max(shades) <= 120
    moved = Sensors(SensorModel(color=ColorNoise(shift=3.0)), ["front"], random(1)).measured(view).color
    edges = np.argmax(moved[..., 0] == 200, axis=1)
    assert np.all(edges == edges[0])
    assert edges[0] != 48
    rolled = Sensors(SensorModel(color=ColorNoise(rolling=8.0)), ["front"], random(1)).measured(view).color
    edges = np.argmax(rolled[..., 0] == 200, axis=1)
    assert abs(int(edges[-1]) - int(edges[0])) > 2
    assert np.all(np.diff(edges) >= 0) or np.all(np.diff(edges) <= 0)


def test_a_calibration_is_off_by_as_much_as_is_said_and_for_an_episode() -> None:
    model = SensorModel(position=0.005, angle=math.radians(1.0))
    errors = [Sensors(model, ["front"], random(seed)).pose_error("front") for seed in range(400)]
    metres = np.sqrt(np.mean([np.sum(error[:3, 3] ** 2) for error in errors]))
    angles = [quaternion_angle(quaternion_from_matrix(error[:3, :3]), (0, 0, 0, 1)) for error in errors]
    assert metres == pytest.approx(0.005, rel=0.1)
    assert np.sqrt(np.mean(np.square(angles))) == pytest.approx(math.radians(1.0), rel=0.1)
    sensors = Sensors(model, ["front"], random())
    first, second = sensors.measured(picture()), sensors.measured(picture())
    assert np.array_equal(first.base_from_camera, second.base_from_camera)
    assert np.array_equal(first.depth, picture().depth)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_cameras_are_missing_but_never_all(seed: int, share: float) -> None:
    names = ("front", "left_shoulder", "wrist")
    sensors = Sensors(SensorModel(missing=share), names, random(seed))
    assert sensors.missing < set(names)
    if share == 1.0:
        assert len(sensors.missing) == 2


@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_noise_and_another_one_does_not(seed: int) -> None:
    def measured(number: int) -> CameraView:
        return Sensors(D435, NAMES, random(number)).measured(picture())

    first, again, other = measured(seed), measured(seed), measured(seed + 1)
    assert np.array_equal(first.depth, again.depth)
    assert np.array_equal(first.color, again.color)
    assert not np.array_equal(first.depth, other.depth)


def test_scale_multiplies_every_error_and_nothing_else() -> None:
    half = sensor_of("d435 scale=0.5").scaled()
    assert half.scale == 1.0
    assert half.depth.subpixel == D435.depth.subpixel / 2
    assert half.color.grain == D435.color.grain / 2
    assert half.angle == D435.angle / 2
    assert half.depth.focal == D435.depth.focal
    assert half.depth.dark == D435.depth.dark
    assert sensor_of("d435 scale=90").scaled().depth.lost_when_dark == 1.0


FIELDS = [leaf for leaf in leaves(PERFECT) if leaf.bounds]


@given(st.sampled_from(list(PRESETS)), st.dictionaries(st.sampled_from(FIELDS), st.floats(0.0, 1.0), max_size=4))
def test_a_sensor_is_told_in_one_line(preset: str, shares: dict) -> None:
    values = {leaf.name: leaf.bounds[0] + share * (leaf.bounds[1] - leaf.bounds[0]) for leaf, share in shares.items()}
    model = with_values(PRESETS[preset], values, "test")
    assert sensor_of(str(model)) == model


@pytest.mark.parametrize("leaf", FIELDS, ids=lambda leaf: leaf.name)
def test_negative_values_are_refused_by_name(leaf) -> None:
    with pytest.raises(SettingsError, match=rf"sensor\.{leaf.name} is -1"):
        sensor_of(f"d435 {leaf.name}=-1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown sensor ''; known are perfect, d435"),
        ("d345", "did you mean 'd435'?"),
        ("d435 scale", "sensor has 'scale', expected field=value"),
        ("d435 scale=two", "sensor.scale is 'two', expected a number"),
        ("d435 scale=nan", "sensor.scale"),
        ("d435 depth.noise=1", "unknown field 'noise'"),
        ("d435 depth=1", "sensor.depth"),
        ("d435 scale=[", "sensor.scale is not YAML"),
    ],
)
def test_a_line_that_tells_no_sensor_is_refused_in_one(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        sensor_of(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_world_has_the_cameras_that_are_named() -> None:
    world = TabletopWorld(image_size=(32, 32), cameras=["wrist", "front"])
    world.reset("push_buttons", 0)
    assert [view.name for view in world.views()] == ["front", "wrist"]
    with pytest.raises(SimulationError, match="did you mean 'front'"):
        TabletopWorld(cameras=["frnt"])
    with pytest.raises(SimulationError, match="all cameras are left out"):
        TabletopWorld(cameras=[])


def test_cameras_are_drawn_with_the_layout() -> None:
    world = TabletopWorld(image_size=(48, 48), sensor=sensor_of("d435 missing=0.5"))
    seen = []
    for seed in (3, 4, 3):
        world.reset("push_buttons", seed)
        seen.append(world.views())
    assert [view.name for view in seen[0]] == [view.name for view in seen[2]]
    for first, again in zip(seen[0], seen[2], strict=True):
        assert np.array_equal(first.depth, again.depth)
        assert np.array_equal(first.base_from_camera, again.base_from_camera)
    poses = [{view.name: view.base_from_camera for view in views} for views in seen]
    common = poses[0].keys() & poses[1].keys()
    assert all(not np.array_equal(poses[0][name], poses[1][name]) for name in common)


def test_demonstrations_say_which_sensor_saw_them(planner: MotionPlanner) -> None:
    for line, said in (("d435 scale=0.5", ("d435 scale=0.5",)), ("perfect", ()), ("d435 scale=0", ())):
        world = TabletopWorld(image_size=(48, 48), sensor=sensor_of(line))
        assert demonstrate(world, planner, "push_buttons", 1000).provenance.sensors == said
