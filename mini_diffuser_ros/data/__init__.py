"""Data: demonstrations on disk, whatever their source, as sequences of episodes."""

from mini_diffuser_ros.data.episode_store import EpisodeStore, check_task
from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.formats.arm_boxes import ArmBox, arm_boxes
from mini_diffuser_ros.data.formats.described_arm import ArmPosture
from mini_diffuser_ros.data.formats.lotus import read_sentences
from mini_diffuser_ros.data.formats.rlbench_camera import RLBENCH_FRAME, RLBENCH_FUSION, camera_view, rlbench_cloud
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.data.store.cloud_codec import POSITION_UNIT
from mini_diffuser_ros.data.unfinished import UnfinishedEpisode, find_unfinished

__all__ = [
    "POSITION_UNIT",
    "RLBENCH_FRAME",
    "RLBENCH_FUSION",
    "ArmBox",
    "ArmPosture",
    "DataError",
    "EpisodeFileError",
    "EpisodeStore",
    "Episodes",
    "UnfinishedEpisode",
    "arm_boxes",
    "camera_view",
    "check_task",
    "find_unfinished",
    "open_episodes",
    "read_sentences",
    "rlbench_cloud",
]
