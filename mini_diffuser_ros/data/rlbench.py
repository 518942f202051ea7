"""Raw RLBench: ``<task>/variation<N>/episodes/episode<M>``, as its own data generator writes it."""

from __future__ import annotations

import re
from pathlib import Path

from mini_diffuser_ros.data.episodes import below
from mini_diffuser_ros.data.rlbench_episode import RlbenchEpisode
from mini_diffuser_ros.perception import FusionConfig

_LEVELS = ("", "episode*", "episodes/episode*", "variation*/episodes/episode*", "*/variation*/episodes/episode*")
_FOLDER = re.compile(r"variation(\d+)")


def find_rlbench(root: Path, fusion: FusionConfig) -> list[RlbenchEpisode]:
    """Episodes at or below a folder, which may be the root, a task, a variation or one episode; none if there are none.

    Only folders are listed, no file is opened.
    """
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
