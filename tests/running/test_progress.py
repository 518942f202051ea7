"""Sentences that get nowhere end early; those that get on, however slowly, do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running import Ending, LoopSettings, MotionReport, RunResult, run_instruction
from mini_diffuser_ros.running.progress import changed_share

FRUITLESS = LoopSettings().fruitless_keyframes
LIMIT = 40
HERE, THERE = (0.5, 0.1, 0.2), (0.5, -0.1, 0.2)


def block(x: float, y: float, color: int = 200) -> Cloud:
    """The top and a side of a cube of four centimetres, 5 mm a voxel."""
    grid = np.arange(0.0, 0.04, 0.005)
    a, b = (axis.ravel() for axis in np.meshgrid(grid, grid))
    top = np.column_stack([x + a, y + b, np.full(a.size, 0.04)])
    side = np.column_stack([np.full(a.size, x), y + a, b])
    points = np.vstack([top, side]).astype(np.float32)
    return Cloud(points, np.full(points.shape, color, np.uint8), "base")


def together(*clouds: Cloud) -> Cloud:
    return Cloud(np.vstack([cloud.points for cloud in clouds]), np.vstack([cloud.colors for cloud in clouds]), "base")


class Table:
    """A red block that may be pushed, what else lies there, and the fingers, seen with a camera's noise."""

    def __init__(
        self, push: float = 0.0, sees_fingers: bool = True, light_after: int | None = None, frozen: bool = False
    ) -> None:
        self.push, self.sees_fingers, self.light_after, self.frozen = push, sees_fingers, light_after, frozen
        self.first: Cloud | None = None
        self.moves, self.held = 0, [0.0] * LIMIT
        self.hand = np.array([0.3, 0.0, 0.4])
        self.random = np.random.default_rng(1)

    def look(self, settle_time: float) -> Cloud:
        if self.first is None or not self.frozen:
            self.first = self._seen()
        return self.first

    def _seen(self) -> Cloud:
        lit = self.light_after is not None and self.moves >= self.light_after
        parts = [block(0.45 + self.push * self.moves, 0.0), block(0.6, 0.2, 250 if lit else 100), block(0.6, -0.2, 90)]
        if self.sees_fingers:
            finger = block(0.0, 0.0, 30)
            parts.append(replace(finger, points=(finger.points + self.hand).astype(np.float32)))
        seen = together(*parts)
        noise = self.random.normal(0.0, 0.002, seen.points.shape)
        return replace(seen, points=(seen.points + noise).astype(np.float32))

    def move(self, candidates: Sequence[KeyframeMode]) -> MotionReport:
        self.moves += 1
        self.hand = candidates[0].pose[:3]
        return MotionReport(0, "reached", held=self.held[self.moves - 1])


class Plan:
    """Goes through places again and again, with the scatter of a policy; never says that it is done."""

    def __init__(self, *places: tuple[float, float, float], scatter: float = 0.003) -> None:
        self.places, self.scatter, self.asked = places, scatter, 0

    def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> list[KeyframeMode]:
        place = self.places[self.asked % len(self.places)]
        self.asked += 1
        xyz = np.random.default_rng(seed).normal(place, self.scatter)
        return [KeyframeMode(np.array([*xyz, 1.0, 0.0, 0.0, 0.0]), True, False, 1.0, 0.0)]


def obey(world: Table, plan: Plan, fruitless: int = FRUITLESS) -> RunResult:
    return run_instruction(
        world, plan, "press it", LoopSettings(keyframe_limit=LIMIT, fruitless_keyframes=fruitless, settle_time=0.0)
    )


def test_a_scene_that_never_changes_ends_the_sentence_with_the_reason() -> None:
    result = obey(Table(frozen=True), Plan(HERE))
    # The first keyframe leads somewhere, the others to the same place.
    assert (result.ending, result.keyframes) == (Ending.NO_PROGRESS, 1 + FRUITLESS)
    assert f"the last {FRUITLESS} keyframes led to nothing new" in result.message


@pytest.mark.parametrize("sees_fingers", [True, False])
def test_a_world_that_changes_by_the_arm_alone_ends_once_the_arm_comes_back(sees_fingers: bool) -> None:
    places = (HERE, THERE, (0.4, 0.0, 0.3))
    result = obey(Table(sees_fingers=sees_fingers), Plan(*places))
    assert (result.ending, result.keyframes) == (Ending.NO_PROGRESS, len(places) + FRUITLESS)


def test_two_keyframes_in_turn_end_the_sentence() -> None:
    result = obey(Table(), Plan(HERE, THERE))
    assert (result.ending, result.keyframes) == (Ending.NO_PROGRESS, 2 + FRUITLESS)


def test_an_arm_that_looks_elsewhere_each_time_goes_on() -> None:
    places = [(0.35 + 0.05 * (number % 7), -0.2 + 0.05 * (number // 7), 0.3) for number in range(LIMIT)]
    assert obey(Table(), Plan(*places)).ending is Ending.KEYFRAME_LIMIT


def test_slow_progress_is_progress() -> None:
    # A push of a few millimetres is none by itself; several are.
    pushing = obey(Table(push=0.004), Plan(HERE))
    assert (pushing.ending, pushing.keyframes) == (Ending.KEYFRAME_LIMIT, LIMIT)


def test_what_is_held_or_changes_its_colour_is_progress() -> None:
    lit = obey(Table(light_after=FRUITLESS), Plan(HERE))
    assert lit.keyframes == FRUITLESS + FRUITLESS
    world = Table()
    world.held[FRUITLESS - 1] = 0.04
    grasped = obey(world, Plan(HERE))
    # Held once; before and after it the same as ever.
    assert grasped.keyframes == FRUITLESS + FRUITLESS


def test_where_it_is_turned_off_nothing_ends_early() -> None:
    assert obey(Table(), Plan(HERE), fruitless=0).ending is Ending.KEYFRAME_LIMIT
    assert LoopSettings.published_rlbench().fruitless_keyframes == 0


def test_an_empty_cloud_is_another_scene_than_one_with_things() -> None:
    nothing = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "base")
    assert changed_share(nothing, nothing, 0.01) == 0.0
    assert changed_share(nothing, block(0.5, 0.0), 0.01) == changed_share(block(0.5, 0.0), nothing, 0.01) == 1.0


@given(st.integers(0, 2**32 - 1), st.floats(0.03, 0.3), st.integers(1, 3000))
@settings(max_examples=25)
def test_shifts_below_the_distance_are_none_and_shifts_above_are_told(seed: int, step: float, count: int) -> None:
    random = np.random.default_rng(seed)
    scattered = random.uniform(-0.4, 0.4, (count, 3)).astype(np.float32)
    scene = together(Cloud(scattered, np.full(scattered.shape, 60, np.uint8), "base"), block(1.0, 0.0))
    noisy = replace(scene, points=scene.points + random.uniform(-0.009, 0.009, scene.points.shape).astype(np.float32))
    assert changed_share(scene, noisy, 0.01) == 0.0
    pushed = together(Cloud(scattered, np.full(scattered.shape, 60, np.uint8), "base"), block(1.0 + step, 0.0))
    share = changed_share(scene, pushed, 0.01)
    assert share == pytest.approx(changed_share(pushed, scene, 0.01))
    assert share > 0.0
