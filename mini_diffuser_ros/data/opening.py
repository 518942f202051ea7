"""Demonstrations of any kind, opened as a sequence of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mini_diffuser_ros.data.database import ABOUT, find_database
from mini_diffuser_ros.data.episodes import Episodes, StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.lmdb_file import DATA_FILE, read_keys
from mini_diffuser_ros.data.lotus import find_lotus
from mini_diffuser_ros.data.peract import find_peract
from mini_diffuser_ros.data.recordings import find_recordings
from mini_diffuser_ros.data.rlbench import find_rlbench
from mini_diffuser_ros.data.rlbench_camera import RLBENCH_FUSION
from mini_diffuser_ros.perception import FusionConfig

_KINDS = (
    "recordings (*.zip), a converted set (data.mdb), raw RLBench (<task>/variation<N>/episodes/episode<M>), "
    "PerAct (<task>/all_variations/episodes/episode<M>) or 3D-LOTUS keysteps (<task>+<N>/data.mdb)"
)


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
        DataError: if there is nothing of the kind at the path, or its clouds are stored and were fused otherwise.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root}: no such file or directory")
    try:
        episodes = _find(root, fusion, None if sentences is None else Path(sentences))
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror or error})") from error
    if not len(episodes):
        raise DataError(f"{root}: holds no episodes, expected {_KINDS}")
    return episodes


def _find(root: Path, fusion: FusionConfig | None, sentences: Path | None) -> Episodes:
    if (root / DATA_FILE).is_file() and ABOUT in read_keys(root):
        return Episodes(*find_database(root, fusion))
    keysteps = find_lotus(root, sentences) if root.is_dir() else []
    if keysteps:
        if fusion is not None:
            raise DataError(f"{root}: its clouds are stored as they are; open it without a fusion")
        return Episodes(keysteps, None)
    if sentences is not None:
        raise DataError(f"{root}: holds no 3D-LOTUS keysteps, but a file of sentences for such is given: {sentences}")
    recorded = find_recordings(root, FusionConfig() if fusion is None else fusion)
    if recorded:
        return Episodes(recorded, FusionConfig() if fusion is None else fusion)
    chosen = RLBENCH_FUSION if fusion is None else fusion
    demonstrations: Sequence[StoredEpisode] = [*find_rlbench(root, chosen), *find_peract(root, chosen)]
    return Episodes(demonstrations, chosen)
