"""Data: demonstrations on disk, whatever their source, as sequences of episodes."""

from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.recordings import Recordings, open_episodes
from mini_diffuser_ros.data.store import EpisodeStore

__all__ = ["DataError", "EpisodeFileError", "EpisodeStore", "Recordings", "open_episodes"]
