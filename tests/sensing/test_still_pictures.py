"""Parts of pictures, and pictures that come round again: what no sensor does, and what sensors do."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest

from mini_diffuser_ros.sensing.still_pictures import StillPartsWatch, StillPictureWatch
from mini_diffuser_ros.simulation.realtime.sensor_noise import SensorNoise

PERIOD = 1.0 / 15.0
SHAPE = (120, 160)
GENERATOR = np.random.default_rng(0)
RAMP = np.linspace(0.4, 1.2, SHAPE[0] * SHAPE[1]).reshape(SHAPE)


def depth() -> np.ndarray:
    """As a D435 measures: millimetres, noise of two of them at a metre, a corner that it does not see."""
    measured = np.rint(1e3 * (RAMP + GENERATOR.normal(0.0, 0.002, SHAPE) * RAMP**2)) / 1e3
    measured[:30, :60] = 0.0
    return measured.astype(np.float32)


def color() -> np.ndarray:
    """With a window that is overexposed and a part in the dark."""
    shown = np.clip(GENERATOR.normal(120.0, 1.5, (*SHAPE, 3)), 0, 255).astype(np.uint8)
    shown[:40, :80], shown[80:, 100:] = 255, 0
    return shown


def rows(picture: np.ndarray) -> np.ndarray:
    picture[len(picture) // 2 :] = 0.9 if picture.dtype == np.float32 else 90
    return picture


def rectangle(picture: np.ndarray) -> np.ndarray:
    picture[30:90, 40:140] = 0.9 if picture.dtype == np.float32 else 90
    return picture


def shares(make: Callable[[], np.ndarray], after: float = 1.0, seconds: float = 3.0) -> list[float]:
    watch = StillPartsWatch(after)
    return [watch.still_share(make(), number * PERIOD) for number in range(round(seconds / PERIOD))]


@pytest.mark.parametrize("make", [depth, color])
@pytest.mark.parametrize("freeze", [rows, rectangle])
def test_a_part_that_stands_still_is_found(make: Callable[[], np.ndarray], freeze: Callable) -> None:
    told = shares(lambda: freeze(make()))
    assert told[: round(1.0 / PERIOD)] == [0.0] * round(1.0 / PERIOD)
    assert 0.15 < told[-1] < 0.75


@pytest.mark.parametrize("make", [depth, color])
def test_what_measures_nothing_or_is_out_of_range_may_stand_still(make: Callable[[], np.ndarray]) -> None:
    assert set(shares(make, seconds=20.0)) == {0.0}


def test_a_part_that_lives_again_is_believed_again() -> None:
    watch = StillPartsWatch(1.0)
    for number in range(30):
        share = watch.still_share(rows(depth()), number * PERIOD)
    assert share > 0.0
    for number in range(30, 40):
        share = watch.still_share(depth(), number * PERIOD)
    assert share == 0.0


def test_rendered_pictures_may_stand_still_in_parts() -> None:
    """By their setting, and with the little noise that the simulated table has."""
    assert set(shares(lambda: rows(depth()), after=0.0)) == {0.0}
    noise, still = SensorNoise(0), (np.full((*SHAPE, 3), 120, np.uint8), np.full(SHAPE, 0.8, np.float32))
    for kind in (0, 1):
        assert set(shares(lambda kind=kind: noise.add(*still)[kind], seconds=20.0)) == {0.0}

    def flickering() -> np.ndarray:
        picture = np.full(SHAPE, 0.8, np.float32)
        picture[50, 50] += GENERATOR.normal(0.0, 1e-3)
        return picture

    assert set(shares(flickering)) == {0.0}


@pytest.mark.parametrize("ring", [2, 3, 8, 25])
def test_pictures_that_come_round_again_are_found(ring: int) -> None:
    watch = StillPictureWatch(1.0)
    pictures = [GENERATOR.integers(0, 256, 30_000, np.uint8) for _ in range(ring)]
    for number in range(40):
        assert watch.still_for(GENERATOR.integers(0, 256, 30_000, np.uint8), number * PERIOD) == 0.0
        assert watch.is_new == (number > 0)
    told = [watch.still_for(pictures[number % ring].copy(), (40 + number) * PERIOD) for number in range(150)]
    assert not watch.is_new
    assert told[-1] > 1.0
    assert watch.still_for(GENERATOR.integers(0, 256, 30_000, np.uint8), 200 * PERIOD) == 0.0


@pytest.mark.parametrize("ring", [31, 90, 400])
def test_a_recording_that_begins_again_is_found(ring: int) -> None:
    watch = StillPictureWatch(1.0)
    pictures = [GENERATOR.integers(0, 256, 5_000, np.uint8) for _ in range(ring)]
    told = [watch.still_for(pictures[number % ring].copy(), number * PERIOD) for number in range(2 * ring + 40)]
    assert set(told[:ring]) == {0.0}
    assert told[-1] > 1.0


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_stream_that_repeats_pictures_to_fill_its_rate_is_believed(every: int) -> None:
    watch = StillPictureWatch(1.0)
    for number in range(300):
        if number % every == 0:
            picture = GENERATOR.integers(0, 256, 30_000, np.uint8)
        assert watch.still_for(picture.copy(), number * PERIOD) == 0.0


def test_one_picture_that_comes_twice_has_few_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that takes a millisecond each."""
    whole: list[int] = []
    digest = zlib.crc32
    monkeypatch.setattr(zlib, "crc32", lambda data: (whole.append(len(data)), digest(data))[1])
    watch = StillPictureWatch(1.0)
    pictures = [GENERATOR.integers(0, 256, 5_000, np.uint8) for _ in range(900)]
    for number, picture in enumerate([pictures[0], *pictures]):
        assert watch.still_for(picture.copy(), number * PERIOD) == 0.0
    assert 0 < len(whole) <= 300
