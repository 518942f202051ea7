"""RLBench: ``<task>/variation<N>/episodes/episode<M>``, as its own data generator writes it, and the PerAct layout."""

from __future__ import annotations

import re
from pathlib import Path

from mini_diffuser_ros.data.episodes import Episodes, below
from mini_diffuser_ros.data.formats.peract import find_peract
from mini_diffuser_ros.data.formats.rlbench_camera import RLBENCH_FUSION
from mini_diffuser_ros.data.formats.rlbench_episode import RlbenchEpisode
from mini_diffuser_ros.perception import FusionConfig

LAYOUT = "raw RLBench (<task>/variation<N>/episodes/episode<M>) or PerAct (<task>/all_variations/episodes/episode<M>)"
_LEVELS = ("", "episode*", "episodes/episode*", "variation*/episodes/episode*", "*/variation*/episodes/episode*")
_FOLDER = re.compile(r"variation(\d+)")


def find_episodes(root: Path, fusion: FusionConfig | None, sentences: Path | None) -> Episodes | None:
    """Raw and PerAct episodes at or below a folder, which may be the root, a task, a variation or one episode.

    Only folders are listed, no file is opened. None if there are none.

    Raises:
        OSError: if a folder cannot be listed.
    """
    chosen = RLBENCH_FUSION if fusion is None else fusion
    episodes = [*_find_raw(root, chosen), *find_peract(root, chosen)]
    return Episodes(episodes, chosen) if episodes else None


def _find_raw(root: Path, fusion: FusionConfig) -> list[RlbenchEpisode]:
    """Raw episodes at or below a folder, which may be the root, a task, a variation or one episode."""
    episodes = []
    for folder in below(root, _LEVELS):
        variation = folder.parent.parent
        match = _FOLDER.fullmatch(variation.name)
        if folder.parent.name == "episodes" and match:
            episodes.append(
                RlbenchEpisode(
                    source=f"{variation.parent.name}/{variation.name}/{folder.name}",
                    folder=folder,
                    task=variation.parent.name,
                    variation=int(match[1]),
                    variation_file=None,
                    sentences_file=variation / "variation_descriptions.pkl",
                    fusion=fusion,
                )
            )
    return episodes
