"""Episodes with every image already fused: the clouds of all keyframes in memory, and in a converted set on disk.

Fusing images takes longer than everything else a sample needs and is the same in each epoch, so it is done once, in
several processes, into the set that ``mini-diffuser convert`` would write. Its folder is named by a digest of the
episodes and of the fusion settings: other data or other settings never meet a stale set, and a run that is killed
while it fuses goes on with the next episode.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.data import DataError, open_episodes
from mini_diffuser_ros.data.checks import index_faults
from mini_diffuser_ros.data.episodes import Episodes, StoredEpisode
from mini_diffuser_ros.data.lmdb_file import DATA_FILE, read_keys
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents, DatabaseEpisode, read_about, read_digests
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Cloud, Episode, Provenance
from mini_diffuser_ros.sentences import MAX_CHARACTERS
from mini_diffuser_ros.support.settings import to_mapping, with_values
from mini_diffuser_ros.training.config import DataConfig
from mini_diffuser_ros.training.errors import DatasetError, all_of

log = logging.getLogger(__name__)

_SHARED = 0.5  # of the images of the shorter one of two episodes, above which they are one


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One episode in memory.

    Attributes:
        task: task name.
        sentences: paraphrases of its instruction.
        source: where it came from, for messages.
        poses: (K, 7) float64 xyz + xyzw of the end effector, base frame.
        gripper_open: (K,) bool.
        clouds: the K fused clouds, base frame.
    """

    task: str
    sentences: tuple[str, ...]
    source: str
    poses: NDArray[np.float64]
    gripper_open: NDArray[np.bool_]
    clouds: tuple[Cloud, ...]

    def __post_init__(self) -> None:
        if len(self.poses) < 2:
            raise DatasetError(f"{self.source}: {len(self.poses)} keyframes, an episode needs at least two")
        if not self.sentences:
            raise DatasetError(f"{self.source}: no sentence, an episode needs at least one")
        if not np.all(np.isfinite(self.poses)):
            raise DatasetError(f"{self.source}: a keyframe's pose is not finite")
        empty = [index for index, cloud in enumerate(self.clouds) if not len(cloud)]
        if empty:
            raise DatasetError(f"{self.source}: the cloud of keyframe {empty[0]} has no points in the workspace")


def fuse_episode(episode: Episode) -> Demonstration:
    """The episode with the clouds of all its keyframes computed.

    Raises:
        DatasetError: if it cannot be trained on.
    """
    return Demonstration(
        task=episode.task,
        sentences=tuple(episode.sentences),
        source=episode.source,
        poses=np.array([keyframe.pose for keyframe in episode.keyframes], dtype=np.float64).reshape(-1, 7),
        gripper_open=np.array([keyframe.gripper_open for keyframe in episode.keyframes], dtype=bool),
        clouds=tuple(keyframe.cloud for keyframe in episode.keyframes),
    )


@dataclass(frozen=True, eq=False)
class Collection:
    """What a data set gave.

    Attributes:
        demonstrations: those that can be trained on, in the order of the data set.
        skipped: one line for each that cannot, naming file and cause.
        fusion: how its images became clouds; None where the source holds clouds of unknown making.
        world: in which worlds they were made.
    """

    demonstrations: list[Demonstration]
    skipped: tuple[str, ...]
    fusion: FusionConfig | None
    world: Provenance


@dataclass(frozen=True)
class SurveyedEpisode:
    """An episode whose index could be read.

    Attributes:
        stored: where it is.
        task: task name.
        sentences: paraphrases of its instruction.
        keyframes: how many.
        digest: of its content, 32 bytes.
        world: in which it was made.
        frame: of its poses; empty where that is not said.
        pictures: what was seen, as ``StoredEpisode.pictures`` tells it.
    """

    stored: StoredEpisode
    task: str
    sentences: tuple[str, ...]
    keyframes: int
    digest: bytes
    world: Provenance
    frame: str
    pictures: frozenset[int]


class Seen:
    """What was seen in episodes, which tells of which others are copies, in full or in part."""

    def __init__(self, episodes: Iterable[SurveyedEpisode] = ()) -> None:
        self._in: dict[int, list[SurveyedEpisode]] = {}
        for episode in episodes:
            self.add(episode)

    def add(self, episode: SurveyedEpisode) -> None:
        """Another one."""
        for picture in episode.pictures:
            self._in.setdefault(picture, []).append(episode)

    def copied_by(self, episode: SurveyedEpisode, in_part: bool = True) -> SurveyedEpisode | None:
        """The one that an episode is a copy of; None if there is none.

        Args:
            episode: that may be one.
            in_part: to share most of the images of the shorter one is enough; otherwise all of both.
        """
        shared = Counter(id(other) for picture in episode.pictures for other in self._in.get(picture, ()))
        found = {id(other): other for picture in episode.pictures for other in self._in.get(picture, ())}
        for key, count in shared.most_common():
            sizes = len(episode.pictures), len(found[key].pictures)
            if count > _SHARED * min(sizes) if in_part else count == max(sizes):
                return found[key]
        return None


@dataclass(frozen=True)
class Survey:
    """What a data set holds, before anything is fused.

    Attributes:
        episodes: those of the wanted tasks, in the order of the data set.
        unreadable: one line for each that cannot be opened, says what cannot be, or is a copy of another one.
        fusion: how their images become clouds; None where the source holds clouds of unknown making.
    """

    episodes: tuple[SurveyedEpisode, ...]
    unreadable: tuple[str, ...]
    fusion: FusionConfig | None


def load_demonstrations(
    path: str, cache: Path, tasks: Sequence[str] = (), workers: int = 1, progress: bool = True
) -> list[Demonstration]:
    """:func:`collect_demonstrations` of a path with the source's own fusion, nothing skipped and nothing held out."""
    data = DataConfig(path=path, tasks=tuple(tasks), workers=workers, validation_share=0.0)
    return collect_demonstrations(data, cache, progress).demonstrations


def collect_demonstrations(data: DataConfig, cache: Path, progress: bool = True) -> Collection:
    """:func:`survey_demonstrations`, then :func:`fuse_demonstrations`."""
    return fuse_demonstrations(survey_demonstrations(data), data, cache, progress)


def survey_demonstrations(data: DataConfig, seed: int = 0) -> Survey:
    """The episodes of a recipe's data set by the digests of their content, with nothing fused.

    Args:
        data: which data set, what of it, and what to do about episodes that cannot be read.
        seed: draws those of each task where not all are wanted.

    Raises:
        DataError: if there is no data set.
        DatasetError: if there are no episodes, a task is unknown or has too few, or episodes are unreadable and
            ``data.skip_bad`` is off.
    """
    episodes = _open(data)
    # Of episodes that all are trained on, some may be parts of others: shown from halfway on, for one.
    surveyed, unreadable = _survey(episodes, data.skip_bad, parts_are_copies=data.validation_share > 0.0)
    if not surveyed:
        raise DatasetError(_nothing_left(data.path, unreadable))
    known = sorted({episode.task for episode in surveyed})
    for task in data.tasks:
        if task not in known:
            raise DatasetError(f"{data.path}: no task {task!r}; it holds {', '.join(known)}")
    wanted = tuple(episode for episode in surveyed if not data.tasks or episode.task in data.tasks)
    if data.per_task:
        wanted = _drawn(wanted, data, seed)
    return Survey(wanted, tuple(unreadable), episodes.fusion)


def _drawn(episodes: Sequence[SurveyedEpisode], data: DataConfig, seed: int) -> tuple[SurveyedEpisode, ...]:
    """``data.per_task`` of each task, in their order."""
    chosen: set[int] = set()
    for task in sorted({episode.task for episode in episodes}):
        mine = [index for index, episode in enumerate(episodes) if episode.task == task]
        if len(mine) < data.per_task:
            raise DatasetError(
                f"{data.path}: task {task!r} has {len(mine)} demonstrations, {data.per_task} are asked for; record "
                "more, or lower per_task"
            )
        order: list[int] = np.random.default_rng(seed).permutation(mine).tolist()
        chosen.update((_goals_in_turn(episodes, order) if data.spread else order)[: data.per_task])
    return tuple(episodes[index] for index in sorted(chosen))


def _goals_in_turn(episodes: Sequence[SurveyedEpisode], order: Sequence[int]) -> list[int]:
    """The order with what says the same as so many before it after all that say so as fewer do."""
    said: Counter[tuple[str, ...]] = Counter()
    repeats = {}
    for index in order:
        sentences = episodes[index].sentences
        repeats[index] = said[sentences]
        said[sentences] += 1
    return sorted(order, key=repeats.__getitem__)


def fuse_demonstrations(survey: Survey, data: DataConfig, cache: Path, progress: bool = True) -> Collection:
    """The surveyed demonstrations, from a converted set where there is one, else fused now into one.

    Args:
        survey: of the data set.
        data: that was surveyed.
        cache: directory of converted sets, made if missing. A data set that holds clouds is read as it is.
        progress: shows a bar.

    Raises:
        DataError, DatasetError: if an episode cannot be read or trained on and ``data.skip_bad`` is off, or none can.
    """
    wanted = survey.episodes
    chosen = Episodes([episode.stored for episode in wanted], survey.fusion)
    faults: list[str] = []
    if not holds_clouds(chosen):
        folder = cache / f"clouds-{_fingerprint(wanted, survey.fusion)}"
        _remove_damaged(folder)
        if not _is_whole(folder, wanted):
            faults = _fuse(chosen, folder, data, progress)
        chosen = open_episodes(folder) if len(faults) < len(wanted) else chosen[:0]
    demonstrations, faulty = _load(chosen, data.skip_bad)
    if not demonstrations:
        raise DatasetError(_nothing_left(data.path, [*faults, *faulty]))
    world = Provenance.of_all(episode.world for episode in wanted)
    return Collection(demonstrations, (*survey.unreadable, *faults, *faulty), survey.fusion, world)


def _open(data: DataConfig) -> Episodes:
    """The data set's episodes, with the recipe's changes to the fusion that the source itself would use."""
    if not data.path:
        raise DatasetError("data.path is empty, expected a directory of episodes")
    episodes = open_episodes(data.path, sentences=data.sentences or None)
    changes = {**_workspace_of(data.cell), **data.fusion}
    if not changes:
        return episodes
    own = FusionConfig() if episodes.fusion is None else episodes.fusion
    return open_episodes(
        data.path, with_values(own, changes, "recipe", "data.fusion"), sentences=data.sentences or None
    )


def _workspace_of(cell: str) -> dict[str, Any]:
    """The fusion's fields that a cell's file decides; none without one."""
    return {"workspace": to_mapping(read_cell(cell).workspace)} if cell else {}


def _survey(episodes: Episodes, skip_bad: bool, parts_are_copies: bool) -> tuple[list[SurveyedEpisode], list[str]]:
    """The episodes that can be opened, hold nothing that cannot be and are no copies, and a line for each other one.

    Raises:
        DatasetError: naming those others, unless they are to be skipped.
    """
    surveyed, unusable, seen = [], [], Seen()
    for stored in episodes.stored:
        try:
            episode = _surveyed(stored)
        except (DataError, DatasetError) as error:
            unusable.append(str(error))
            continue
        # Whatever the file is called, and whatever is said of it: nobody sees the same twice to the last bit.
        if copied := seen.copied_by(episode, parts_are_copies):
            unusable.append(
                f"{stored.source}: a copy of {copied.stored.source}, most of its images are the same to the last bit; "
                "remove one of them"
            )
            continue
        surveyed.append(episode)
        seen.add(episode)
    if unusable and not skip_bad:
        raise DatasetError(all_of(unusable))
    return surveyed, unusable


def _surveyed(stored: StoredEpisode) -> SurveyedEpisode:
    """What the survey tells of an episode.

    Raises:
        DataError: it cannot be read.
        DatasetError: it says what cannot be.
    """
    episode = stored.read()
    # How many tokens there may be the recipe says, which is asked elsewhere.
    if faults := [fault for fault in index_faults(episode, max_tokens=MAX_CHARACTERS + 2) if fault.is_error]:
        others = f" ({len(faults) - 1} more, see 'mini-diffuser check')" if faults[1:] else ""
        raise DatasetError(f"{stored.source}: {faults[0].problem}{others}")
    return SurveyedEpisode(
        stored=stored,
        task=episode.task,
        sentences=tuple(episode.sentences),
        keyframes=len(episode.keyframes),
        digest=stored.digest(),
        world=episode.provenance,
        frame=episode.frame,
        pictures=stored.pictures(),
    )


def holds_clouds(episodes: Episodes) -> bool:
    """Whether the data set has its clouds stored, which are then read as they are."""
    first = episodes.stored[0]
    return isinstance(first, DatabaseEpisode) and read_about(first.folder).contents is Contents.CLOUDS


def _fuse(episodes: Episodes, folder: Path, data: DataConfig, progress: bool) -> list[str]:
    """Fuse what a converted set lacks into it; returns what is wrong with those that cannot be fused.

    Raises:
        DatasetError: at the first that cannot, unless those are to be skipped.
    """
    faults = []
    done = convert(episodes, folder, Contents.CLOUDS, data.workers)
    for one in tqdm(done, total=len(episodes), desc="fusing clouds", unit="episode", disable=not progress):
        if one.fault:
            if not data.skip_bad:
                raise DatasetError(one.fault)
            faults.append(one.fault)
    return faults


def _load(episodes: Episodes, skip_bad: bool) -> tuple[list[Demonstration], list[str]]:
    """The episodes of stored clouds in memory, and what is wrong with others.

    Raises:
        DatasetError: at the first that cannot be trained on, unless those are to be skipped.
    """
    demonstrations: list[Demonstration] = []
    faulty: list[str] = []
    for stored in episodes.stored:
        try:
            demonstrations.append(fuse_episode(stored.read()))
        except (DataError, DatasetError) as error:
            if not skip_bad:
                raise
            faulty.append(str(error))
    return demonstrations, faulty


def _remove_damaged(folder: Path) -> None:
    """Remove a converted set that is cut off or no database; it is made again."""
    if not (folder / DATA_FILE).exists():
        return
    try:
        read_keys(folder)
    except DataError as error:
        log.warning("%s; fusing again", error)
        shutil.rmtree(folder)


def _is_whole(folder: Path, wanted: Sequence[SurveyedEpisode]) -> bool:
    """Whether a converted set has all episodes: then another training may read it at the same time."""
    if not (folder / DATA_FILE).exists():
        return False
    digests = read_digests(folder)
    return all(digests.get(episode.stored.source) == episode.digest for episode in wanted)


def _nothing_left(path: str, faults: Sequence[str]) -> str:
    return f"{path}: none of its episodes can be trained on; the first: {faults[0]}" if faults else f"{path}: empty"


def _fingerprint(episodes: Sequence[SurveyedEpisode], fusion: FusionConfig | None) -> str:
    """Name of a converted set: the episodes in it and how their clouds are fused."""
    # Named as ever where nothing is said by fields that were added since.
    said = None if fusion is None else {k: v for k, v in asdict(fusion).items() if k in to_mapping(fusion)}
    whole = hashlib.sha256(f"{said}".encode())
    for episode in episodes:
        whole.update(f"{episode.stored.source}\n".encode() + episode.digest)
    return whole.hexdigest()[:16]
