"""Episodes with every image already fused: the clouds of all keyframes in memory, and in one cache file.

Fusing images takes longer than everything else a sample needs and is the same in each epoch, so it is done once, in
several processes. The cache file is named by a fingerprint of the episodes and of the fusion settings: another data set
or another setting never meets a stale cache.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from mini_diffuser_ros.data import DataError, open_episodes
from mini_diffuser_ros.data.cloud_codec import POSITION_UNIT, to_steps
from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Cloud, Episode
from mini_diffuser_ros.support.settings import with_values
from mini_diffuser_ros.training.config import DataConfig
from mini_diffuser_ros.training.errors import DatasetError

log = logging.getLogger(__name__)

FORMAT = 2
"""Version of the cache file; a file of another one is not found and built anew."""


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
        clouds=tuple(_on_lattice(keyframe.cloud) for keyframe in episode.keyframes),
    )


def _on_lattice(cloud: Cloud) -> Cloud:
    """The cloud at the positions that ``mini-diffuser convert`` would store: training cannot tell the two apart."""
    return replace(cloud, points=(to_steps(cloud.points) * POSITION_UNIT).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Collection:
    """What a data set gave.

    Attributes:
        demonstrations: those that can be trained on, in the order of the data set.
        skipped: one line for each that cannot, naming file and cause.
        fusion: how its images became clouds; None where the source holds clouds of unknown making.
    """

    demonstrations: list[Demonstration]
    skipped: tuple[str, ...]
    fusion: FusionConfig | None


def load_demonstrations(
    path: str, cache: Path, tasks: Sequence[str] = (), workers: int = 1, progress: bool = True
) -> list[Demonstration]:
    """:func:`collect_demonstrations` of a path with the source's own fusion, nothing skipped."""
    return collect_demonstrations(
        DataConfig(path=path, tasks=tuple(tasks), workers=workers), cache, progress
    ).demonstrations


def collect_demonstrations(data: DataConfig, cache: Path, progress: bool = True) -> Collection:
    """The demonstrations of a recipe's data set, from the cache where it has them, else fused now and cached.

    Args:
        data: which data set, what of it, and what to do about episodes that cannot be read.
        cache: directory of cache files, made if missing.
        progress: shows a bar.

    Raises:
        DataError: if there is no data set, or one of its episodes is unreadable and ``data.skip_bad`` is off.
        DatasetError: if there are no episodes, a task is unknown, or an episode cannot be trained on.
    """
    episodes = _open(data)
    surveyed, unreadable = _survey(episodes, data.skip_bad)
    if not surveyed:
        raise DatasetError(_nothing_left(data.path, unreadable))
    known = sorted({episode.task for episode in surveyed})
    for task in data.tasks:
        if task not in known:
            raise DatasetError(f"{data.path}: no task {task!r}; it holds {', '.join(known)}")
    wanted = [episode for episode in surveyed if not data.tasks or episode.task in data.tasks]
    file = cache / f"clouds-{_fingerprint(wanted, episodes.fusion)}.safetensors"
    stored = _stored(file)
    if stored is None:
        fused = _fuse_all(data, [episode.index for episode in wanted])
        bar = tqdm(fused, total=len(wanted), desc="fusing clouds", unit="episode", disable=not progress)
        stored = _sorted_out(bar, data)
        write_cache(*stored, file)
    demonstrations, faulty = stored
    if faulty and not data.skip_bad:
        raise DatasetError(faulty[0])
    return Collection(demonstrations, (*unreadable, *faulty), episodes.fusion)


def _open(data: DataConfig) -> Episodes:
    """The data set's episodes, with the recipe's changes to the fusion that the source itself would use."""
    episodes = open_episodes(data.path, sentences=data.sentences or None)
    if not data.fusion:
        return episodes
    own = FusionConfig() if episodes.fusion is None else episodes.fusion
    return open_episodes(
        data.path, with_values(own, data.fusion, "recipe", "data.fusion"), sentences=data.sentences or None
    )


@dataclass(frozen=True)
class _Surveyed:
    """An episode whose index could be read."""

    index: int
    task: str
    digest: bytes


def _survey(episodes: Episodes, skip_bad: bool) -> tuple[list[_Surveyed], list[str]]:
    """The episodes that can be opened, and one line for each that cannot.

    Raises:
        DataError: at the first that cannot, unless those are to be skipped.
    """
    surveyed, unreadable = [], []
    for index in range(len(episodes)):
        try:
            episode = episodes[index]
        except DataError as error:
            if not skip_bad:
                raise
            unreadable.append(str(error))
        else:
            surveyed.append(_Surveyed(index, episode.task, _digest(episode)))
    return surveyed, unreadable


def _sorted_out(fused: Iterable[Demonstration | str], data: DataConfig) -> tuple[list[Demonstration], list[str]]:
    """Demonstrations apart from the faults of those that are none.

    Raises:
        DatasetError: if nothing is left, or at the first fault unless such are to be skipped.
    """
    demonstrations: list[Demonstration] = []
    faulty: list[str] = []
    for one in fused:
        if isinstance(one, Demonstration):
            demonstrations.append(one)
        elif data.skip_bad:
            faulty.append(one)
        else:
            raise DatasetError(one)
    if not demonstrations:
        raise DatasetError(_nothing_left(data.path, faulty))
    return demonstrations, faulty


def _nothing_left(path: str, faults: Sequence[str]) -> str:
    return f"{path}: none of its episodes can be trained on; the first: {faults[0]}" if faults else f"{path}: empty"


def _stored(file: Path) -> tuple[list[Demonstration], list[str]] | None:
    if not file.exists():
        return None
    try:
        return read_cache(file)
    except DatasetError as error:
        log.warning("%s; fusing again", error)
        return None


def write_cache(demonstrations: Sequence[Demonstration], faulty: Sequence[str], file: Path) -> None:
    """Write the demonstrations, and what was wrong with others, into one file, which appears whole or not at all.

    Raises:
        DatasetError: if it cannot be written.
    """
    clouds = [cloud for demonstration in demonstrations for cloud in demonstration.clouds]
    arrays = {
        "points": np.concatenate([cloud.points for cloud in clouds]).astype(np.float32),
        "colors": np.concatenate([cloud.colors for cloud in clouds]),
        "cloud_starts": np.cumsum([0, *map(len, clouds)], dtype=np.int64),
        "stamps": np.array([cloud.stamp for cloud in clouds], dtype=np.float64),
        "poses": np.concatenate([demonstration.poses for demonstration in demonstrations]),
        "gripper_open": np.concatenate([demonstration.gripper_open for demonstration in demonstrations]),
        "episode_starts": np.cumsum([0, *(len(d.poses) for d in demonstrations)], dtype=np.int64),
    }
    about = [{"task": d.task, "sentences": d.sentences, "source": d.source} for d in demonstrations]
    metadata = {"episodes": json.dumps(about), "faulty": json.dumps(list(faulty)), "frame": clouds[0].frame}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        save_file(arrays, part, metadata=metadata)
    except SafetensorError as error:
        part.unlink(missing_ok=True)
        raise DatasetError(f"{file}: the fused clouds cannot be written ({error})") from error
    os.replace(part, file)


def read_cache(file: Path) -> tuple[list[Demonstration], list[str]]:
    """The demonstrations of a cache file, and what was wrong with others.

    Raises:
        DatasetError: if the file is damaged.
    """
    try:
        with safe_open(file, framework="numpy") as stored:
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            metadata = stored.metadata() or {}
        about = json.loads(metadata["episodes"])
        clouds = [
            Cloud(arrays["points"][a:b], arrays["colors"][a:b], metadata["frame"], float(stamp))
            for (a, b), stamp in zip(pairwise(arrays["cloud_starts"]), arrays["stamps"], strict=True)
        ]
        demonstrations = [
            Demonstration(
                task=episode["task"],
                sentences=tuple(episode["sentences"]),
                source=episode["source"],
                poses=arrays["poses"][a:b],
                gripper_open=arrays["gripper_open"][a:b],
                clouds=tuple(clouds[a:b]),
            )
            for (a, b), episode in zip(pairwise(arrays["episode_starts"]), about, strict=True)
        ]
        return demonstrations, json.loads(metadata["faulty"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DatasetError(f"{file}: damaged cache of fused clouds ({error})") from error


def _digest(episode: Episode) -> bytes:
    """A digest of what identifies an episode without its images."""
    digest = hashlib.sha256(json.dumps([episode.task, episode.source, episode.sentences]).encode())
    for keyframe in episode.keyframes:
        digest.update(np.asarray(keyframe.pose, dtype=np.float64).tobytes())
        digest.update(bytes([keyframe.gripper_open]))
    return digest.digest()


def _fingerprint(episodes: Iterable[_Surveyed], fusion: FusionConfig | None) -> str:
    """Name of a cache: the episodes in it and how their clouds are fused."""
    whole = hashlib.sha256(f"{FORMAT} {fusion and asdict(fusion)}".encode())
    for episode in episodes:
        whole.update(episode.digest)
    return whole.hexdigest()[:16]


def _fuse_all(data: DataConfig, wanted: Sequence[int]) -> Iterator[Demonstration | str]:
    """Each wanted episode fused, in order, or what is wrong with it.

    The processes open the path themselves, so nothing large is sent twice.
    """
    chunks = [wanted[start : start + 8] for start in range(0, len(wanted), 8)]
    if data.workers <= 1:
        for chunk in chunks:
            yield from _fuse_chunk(data, chunk)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(data.workers, mp_context=context) as pool:
        for fused in pool.map(_fuse_chunk, [data] * len(chunks), chunks):
            yield from fused


def _fuse_chunk(data: DataConfig, indices: Sequence[int]) -> list[Demonstration | str]:
    episodes = _open(data)
    return [_fuse_or_fault(episodes, index) for index in indices]


def _fuse_or_fault(episodes: Episodes, index: int) -> Demonstration | str:
    try:
        return fuse_episode(episodes[index])
    except (DataError, DatasetError) as error:
        return str(error)
