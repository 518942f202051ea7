"""Demonstrations of exact cameras are fused again as real ones would have seen them, and only those."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.records import LAB, TABLE, Episode, Provenance
from mini_diffuser_ros.support.settings import SettingsError
from mini_diffuser_ros.training.config import AugmentConfig, DataConfig
from mini_diffuser_ros.training.demonstrations import fuse_demonstrations, survey_demonstrations
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.sensor_copies import SensorCopies, check_sensor, fuse_copies

SENSOR = "perfect depth.subpixel=0.05 position=0.003"
EXACT = Provenance((TABLE,))


def record(folder: Path, episodes: list[Episode]) -> DataConfig:
    store = EpisodeStore(folder / "recordings")
    for seed, episode in enumerate(episodes):
        store.write(episode, seed)
    return DataConfig(path=str(store.path), workers=1)


@pytest.fixture
def exact(tmp_path: Path, make_episode: Callable[[int], Episode]) -> DataConfig:
    """Three recordings of the simulated table."""
    return record(tmp_path, [replace(make_episode(seed), provenance=EXACT) for seed in range(3)])


def copies_of(data: DataConfig, cache: Path, copies: int = 2) -> SensorCopies:
    augment = AugmentConfig(sensor=SENSOR, sensor_copies=copies)
    return fuse_copies(survey_demonstrations(data), augment, data, cache, progress=False)


def test_each_demonstration_has_copies_of_its_own_noise(exact: DataConfig, tmp_path: Path) -> None:
    demonstrations = fuse_demonstrations(survey_demonstrations(exact), exact, tmp_path, progress=False).demonstrations
    copies = copies_of(exact, tmp_path)
    together = copies.of(demonstrations)
    assert [one.source.partition("~")[0] for one in together] == [
        one.source for one in demonstrations for _ in range(3)
    ]
    assert copies.world.sensors == (SENSOR,)
    for number, clean in enumerate(demonstrations):
        first, second = together[3 * number + 1 : 3 * number + 3]
        assert first.sentences == clean.sentences
        assert np.array_equal(first.poses, clean.poses)
        clouds = [one.clouds[0].points for one in (clean, first, second)]
        assert all(len(cloud) > 0.8 * len(clouds[0]) for cloud in clouds)
        assert clouds[0].shape != clouds[1].shape or not np.array_equal(clouds[0], clouds[1])
        assert clouds[1].shape != clouds[2].shape or not np.array_equal(clouds[1], clouds[2])
        # Off by the noise and the calibration, not by more.
        heights = [cloud[:, 2].mean() for cloud in clouds]
        assert heights[1:] == pytest.approx([heights[0]] * 2, abs=0.01)


def test_copies_are_the_same_again_from_the_cache_and_without(exact: DataConfig, tmp_path: Path) -> None:
    first, cached, anew = (copies_of(exact, tmp_path / name) for name in ("a", "a", "b"))
    for source, made in first.by_source.items():
        for other in (cached, anew):
            for mine, theirs in zip(made, other.by_source[source], strict=True):
                for one, two in zip(mine.clouds, theirs.clouds, strict=True):
                    assert np.array_equal(one.points, two.points)
                    assert np.array_equal(one.colors, two.colors)


def test_what_cameras_with_errors_saw_gets_no_more_of_them(
    tmp_path: Path, make_episode: Callable[[int], Episode], caplog: pytest.LogCaptureFixture
) -> None:
    worlds = [EXACT, Provenance((LAB,)), Provenance((TABLE,), sensors=("d435",)), Provenance(("unknown",))]
    episodes = [replace(make_episode(seed), provenance=world) for seed, world in enumerate(worlds)]
    data = record(tmp_path, episodes)
    with caplog.at_level(logging.INFO):
        copies = copies_of(data, tmp_path)
    assert list(copies.by_source) == ["stack_blobs-seed00000000"]
    assert "3 demonstrations were seen by cameras with errors of their own" in caplog.text


def test_recordings_of_real_cameras_alone_are_refused(tmp_path: Path, make_episode: Callable[[int], Episode]) -> None:
    data = record(tmp_path, [replace(make_episode(0), provenance=Provenance((LAB,)))])
    with pytest.raises(DatasetError, match=r"none of its episodes is of exact cameras; leave augment\.sensor empty"):
        copies_of(data, tmp_path)


def test_copies_that_show_nothing_are_left_out(exact: DataConfig, tmp_path: Path) -> None:
    blind = AugmentConfig(sensor="perfect depth.nearest=2")
    with pytest.raises(DatasetError, match="none of its episodes can be trained on"):
        fuse_copies(survey_demonstrations(exact), blind, exact, tmp_path, progress=False)


@pytest.mark.parametrize("sensor", ["", "perfect", "d435 scale=0"])
def test_without_errors_there_are_no_copies(exact: DataConfig, tmp_path: Path, sensor: str) -> None:
    augment = AugmentConfig(sensor=sensor)
    copies = fuse_copies(survey_demonstrations(exact), augment, exact, tmp_path / "cache", progress=False)
    assert copies.by_source == {}
    assert not (tmp_path / "cache").exists()


def test_a_sensor_that_there_is_not_is_named() -> None:
    with pytest.raises(SettingsError, match=r"augment: sensor is 'd345'.*did you mean 'd435'"):
        check_sensor(AugmentConfig(sensor="d345"))
    with pytest.raises(SettingsError, match="sensor_copies is 0"):
        AugmentConfig(sensor_copies=0)
