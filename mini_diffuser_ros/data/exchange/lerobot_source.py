"""A LeRobotDataset as episodes to import: ours come back as they were, others by a mapping."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.incoming import Reading
from mini_diffuser_ros.data.exchange.lerobot_folder import LeRobotFolder
from mini_diffuser_ros.data.exchange.lerobot_foreign import foreign_episode
from mini_diffuser_ros.data.exchange.lerobot_import import exported_episode, is_ours
from mini_diffuser_ros.data.exchange.lerobot_mapping import LeRobotMapping, complete_mapping
from mini_diffuser_ros.support.settings import read_settings

log = logging.getLogger(__name__)


def lerobot_episodes(path: Path, robot: str | None, mapping: Path | None) -> Iterator[Reading]:
    """The episodes of a dataset, unread.

    Args:
        path: its folder.
        robot: name or folder of a robot description, instead of the one that the data name.
        mapping: YAML file of a :class:`LeRobotMapping`, for data that are not ours.

    Raises:
        DataError: if the dataset cannot be read, or the mapping lacks something: all of it, in one line.
        SettingsError: if the mapping is not as it has to be.
    """
    folder = LeRobotFolder(path)
    places = folder.episodes()
    if is_ours(folder):
        if mapping is not None:
            raise DataError(f"{path} was exported by this program and says all of itself; leave --mapping out")
        return (partial(exported_episode, folder, place, robot) for place in places)
    said = LeRobotMapping() if mapping is None else read_settings(LeRobotMapping, mapping)
    complete = complete_mapping(said if robot is None else replace(said, robot=robot), folder.info)
    videos = [name for name, camera in complete.cameras.items() if folder.feature(str(camera.color)).dtype == "video"]
    if videos:
        log.warning("colours of %s come from video, which is lossy", ", ".join(videos))
    return (partial(foreign_episode, folder, place, complete) for place in places)
