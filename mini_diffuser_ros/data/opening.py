"""Demonstrations of any kind, opened as a sequence of episodes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.formats import lotus, recordings, rlbench
from mini_diffuser_ros.data.store import database
from mini_diffuser_ros.perception import FusionConfig

FORMATS: tuple[ModuleType, ...] = (database, lotus, rlbench, recordings)
"""Modules that are asked in turn. Each has ``LAYOUT``, the files that it looks for, and ``find_episodes(root, fusion,
sentences)``, which returns None where there are none of them and opens no episode."""


def open_episodes(
    path: str | Path, fusion: FusionConfig | None = None, sentences: str | Path | None = None
) -> Episodes:
    """Open demonstrations; only names and keys are read until an episode is asked for.

    What kind they are is seen from the names of the files: our recordings, a set that ``mini-diffuser convert`` wrote,
    raw RLBench, the PerAct layout, or 3D-LOTUS keystep LMDBs. Poses and clouds of the first two are in the robot's base
    frame unless they were converted from RLBench, whose frame is its simulator's ``world``.

    Args:
        path: the directory, or one recorded file.
        fusion: how the views of a keyframe become its cloud; by default what fits the source: :class:`FusionConfig`
            for recordings, ``RLBENCH_FUSION`` for RLBench, what it was converted from for a converted set.
        sentences: file of the sentences of 3D-LOTUS keysteps; by default one is looked for beside them.

    Returns:
        the episodes in the natural order of their names, which is by task and then by number.

    Raises:
        DataError: if there is nothing of the kind at the path, its clouds are stored and were fused otherwise, or it is
            a converted set among recordings.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root}: no such file or directory")
    file = None if sentences is None else Path(sentences)
    try:
        for one in FORMATS:
            episodes: Episodes | None = one.find_episodes(root, fusion, file)
            if episodes:
                if one is database and recordings.find_episodes(root, fusion, file):
                    raise DataError(
                        f"{root}: holds {database.LAYOUT} and {recordings.LAYOUT}, which are not read together; move"
                        " one of them to a folder of its own"
                    )
                return episodes
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror or error})") from error
    raise DataError(f"{root}: holds no episodes, expected " + ", ".join(one.LAYOUT for one in reversed(FORMATS)))
