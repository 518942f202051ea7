"""Demonstrations of exact cameras as real ones would have seen them: their images with errors, fused again.

Noise on a finished cloud is not what a camera does: errors of a depth image are alike along its rays, its holes have
shapes, a calibration that is off moves all that one camera sees. So the images get the errors, by the model that
records and evaluates with them, and are fused as ever. That takes as long as fusing, so it is done a few times for
each demonstration before training and cached with the other clouds, not anew at each draw.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mini_diffuser_ros.data import EpisodeFileError
from mini_diffuser_ros.data.episodes import StoredEpisode
from mini_diffuser_ros.data.formats.episode_file import read_origin
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.data.store.database import DatabaseEpisode
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.records import RLBENCH, TABLE, Cloud, Episode, Keyframe, Provenance
from mini_diffuser_ros.robots import robot_of_data
from mini_diffuser_ros.training.config import AugmentConfig, DataConfig
from mini_diffuser_ros.training.demonstrations import Demonstration, Survey, SurveyedEpisode, fuse_demonstrations
from mini_diffuser_ros.training.errors import DatasetError

if TYPE_CHECKING:
    from mini_diffuser_ros.simulation.sensor import SensorModel

log = logging.getLogger(__name__)

_EXACT = frozenset({TABLE, RLBENCH})  # worlds whose cameras have no errors of their own
_COPY = "~"  # between the name of an episode and the number of its copy


@dataclass(frozen=True)
class SensedEpisode:
    """An episode seen by other cameras; small, unread.

    Attributes:
        stored: the episode, with images of exact cameras.
        fusion: how images become a cloud.
        sensor: the errors, as ``sensor_of`` reads them.
        number: of the copy; each has errors of its own.
    """

    stored: RecordedEpisode | DatabaseEpisode
    fusion: FusionConfig
    sensor: str
    number: int

    @property
    def source(self) -> str:
        """Its name within the data set."""
        return f"{self.stored.source}{_COPY}{self.number}"

    def digest(self) -> bytes:
        """A digest of what its clouds follow from."""
        return hashlib.sha256(self.stored.digest() + f"{self.sensor}{_COPY}{self.number}".encode()).digest()

    def pictures(self) -> frozenset[int]:
        """Those of the episode."""
        return self.stored.pictures()

    def read(self) -> Episode:
        """The episode; a keyframe's cloud is made when it is asked for, the same each time."""
        episode = self.stored.read()
        robot = read_origin(self.stored).robot
        seed = list(self.digest()[:16])
        keyframes = tuple(
            replace(keyframe, load_cloud=partial(_sensed, self, keyframe, robot, seed, place))
            for place, keyframe in enumerate(episode.keyframes)
        )
        seen_by = replace(episode.provenance, sensors=(self.sensor,))
        return replace(episode, keyframes=keyframes, source=self.source, provenance=seen_by)


def _sensor(line: str) -> SensorModel:
    # Imported by those alone who ask for errors: with the simulation comes its physics engine.
    from mini_diffuser_ros.simulation.sensor import sensor_of

    return sensor_of(line, "augment")


def _sensed(episode: SensedEpisode, keyframe: Keyframe, robot: str | None, seed: Sequence[int], place: int) -> Cloud:
    from mini_diffuser_ros.simulation.sensor import Sensors

    views = keyframe.views
    names = sorted(view.name for view in views)
    drawn, noise = np.random.default_rng([*seed]), np.random.default_rng([*seed, place])
    sensors = Sensors(_sensor(episode.sensor), names, drawn, noise)
    seen = [sensors.measured(view) for view in views if view.name not in sensors.missing]
    try:
        description = None if robot is None else robot_of_data(robot)
        return fuse_views(seen, episode.fusion, description, keyframe.joint_positions)
    except ValueError as error:
        raise EpisodeFileError(episode.stored.place, str(error)) from error


@dataclass(frozen=True, eq=False)
class SensorCopies:
    """Demonstrations as cameras with errors saw them.

    Attributes:
        by_source: name of a demonstration to its copies.
        world: of them; with no copies nothing.
    """

    by_source: Mapping[str, Sequence[Demonstration]]
    world: Provenance

    def of(self, demonstrations: Sequence[Demonstration]) -> list[Demonstration]:
        """The demonstrations, each followed by its copies."""
        return [one for each in demonstrations for one in (each, *self.by_source.get(each.source, ()))]


def check_sensor(augment: AugmentConfig) -> None:
    """Refuse a recipe whose sensor there is not, before anything else is done.

    Raises:
        SettingsError: naming it.
    """
    if augment.sensor:
        _sensor(augment.sensor)


def fuse_copies(survey: Survey, augment: AugmentConfig, data: DataConfig, cache: Path, progress: bool) -> SensorCopies:
    """Fuse the copies that a recipe asks for, or find them in the cache.

    Args:
        survey: of the demonstrations.
        augment: ``sensor`` and ``sensor_copies``.
        data: that was surveyed.
        cache: directory of converted sets.
        progress: shows a bar.

    Raises:
        SettingsError: there is no such sensor.
        DatasetError: the demonstrations have no images, or none is of exact cameras.
    """
    model = _sensor(augment.sensor) if augment.sensor else None
    if model is None or model.exact:
        return SensorCopies({}, Provenance())
    sensor = str(model)
    exact = [episode for episode in survey.episodes if _is_exact(episode.world)]
    if left := len(survey.episodes) - len(exact):
        log.info("%d demonstrations were seen by cameras with errors of their own and get none by augment.sensor", left)
    if not exact:
        raise DatasetError(f"{data.path}: none of its episodes is of exact cameras; leave augment.sensor empty")
    numbers = range(1, augment.sensor_copies + 1)
    copies = tuple(_copied(episode, survey.fusion, sensor, number) for episode in exact for number in numbers)
    # Where cameras are missing, those that are left may see nothing: such a copy teaches nothing, and is no fault.
    collection = fuse_demonstrations(
        replace(survey, episodes=copies, unreadable=()), replace(data, skip_bad=True), cache, progress
    )
    if collection.skipped:
        log.info("%d of %d copies show nothing and are left out", len(collection.skipped), len(copies))
    by_source: dict[str, list[Demonstration]] = {}
    for demonstration in collection.demonstrations:
        by_source.setdefault(demonstration.source.rpartition(_COPY)[0], []).append(demonstration)
    return SensorCopies(by_source, collection.world)


def _is_exact(world: Provenance) -> bool:
    return bool(world.worlds) and _EXACT.issuperset(world.worlds) and not world.sensors


def _copied(episode: SurveyedEpisode, fusion: FusionConfig | None, sensor: str, number: int) -> SurveyedEpisode:
    stored: StoredEpisode = episode.stored
    if fusion is None or not isinstance(stored, (RecordedEpisode, DatabaseEpisode)):
        raise DatasetError(f"{stored.source}: augment.sensor needs images of our own recordings, which it has not")
    sensed = SensedEpisode(stored, fusion, sensor, number)
    return replace(episode, stored=sensed, digest=sensed.digest(), world=replace(episode.world, sensors=(sensor,)))
