"""The PerAct layout of RLBench: ``<task>/all_variations/episodes/episode<M>``, each with its own variation inside."""

from __future__ import annotations

from pathlib import Path

from mini_diffuser_ros.data.episodes import below
from mini_diffuser_ros.data.formats.rlbench_episode import RlbenchEpisode
from mini_diffuser_ros.perception import FusionConfig

_VARIATIONS = "all_variations"
_LEVELS = (
    "",
    "episode*",
    "episodes/episode*",
    f"{_VARIATIONS}/episodes/episode*",
    f"*/{_VARIATIONS}/episodes/episode*",
)


def find_peract(root: Path, fusion: FusionConfig) -> list[RlbenchEpisode]:
    """Episodes at or below a folder, which may be the root, a task or one episode; none if there are none.

    Only folders are listed, no file is opened.
    """
    return [
        RlbenchEpisode(
            source=f"{folder.parents[2].name}/{_VARIATIONS}/{folder.name}",
            folder=folder,
            task=folder.parents[2].name,
            variation=0,
            variation_file=folder / "variation_number.pkl",
            sentences_file=folder / "variation_descriptions.pkl",
            fusion=fusion,
        )
        for folder in below(root, _LEVELS)
        if folder.parent.name == "episodes" and folder.parents[1].name == _VARIATIONS
    ]
