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
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Cloud, Episode
from mini_diffuser_ros.training.errors import DatasetError

log = logging.getLogger(__name__)

FORMAT = 1
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
        clouds=tuple(keyframe.cloud for keyframe in episode.keyframes),
    )


def load_demonstrations(
    path: str, cache: Path, tasks: Sequence[str] = (), workers: int = 1, progress: bool = True
) -> list[Demonstration]:
    """The demonstrations below ``path``, from the cache where it has them, else fused now and cached.

    Args:
        path: what ``open_episodes`` opens.
        cache: directory of cache files, made if missing.
        tasks: only these tasks, all where empty.
        workers: processes that fuse.
        progress: shows a bar.

    Raises:
        DatasetError: if there are no episodes, a task is unknown, or an episode cannot be trained on.
    """
    surveyed = [(episode.task, _digest(episode)) for episode in open_episodes(path)]
    if not surveyed:
        raise DatasetError(f"{path}: holds no episodes")
    known = sorted({task for task, _ in surveyed})
    for task in tasks:
        if task not in known:
            raise DatasetError(f"{path}: no task {task!r}; it holds {', '.join(known)}")
    wanted = [index for index, (task, _) in enumerate(surveyed) if not tasks or task in tasks]
    file = cache / f"clouds-{_fingerprint(surveyed[index][1] for index in wanted)}.safetensors"
    if file.exists():
        try:
            return read_cache(file)
        except DatasetError as error:
            log.warning("%s; fusing again", error)
    fused = _fuse_all(path, wanted, workers)
    bar = tqdm(fused, total=len(wanted), desc="fusing clouds", unit="episode", disable=not progress)
    demonstrations = list(bar)
    write_cache(demonstrations, file)
    return demonstrations


def write_cache(demonstrations: Sequence[Demonstration], file: Path) -> None:
    """Write the demonstrations into one file, which appears whole or not at all."""
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
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    save_file(arrays, part, metadata={"episodes": json.dumps(about), "frame": clouds[0].frame})
    os.replace(part, file)


def read_cache(file: Path) -> list[Demonstration]:
    """The demonstrations of a cache file.

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
        return [
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
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DatasetError(f"{file}: damaged cache of fused clouds ({error})") from error


def _digest(episode: Episode) -> bytes:
    """A digest of what identifies an episode without its images."""
    digest = hashlib.sha256(json.dumps([episode.task, episode.source, episode.sentences]).encode())
    for keyframe in episode.keyframes:
        digest.update(np.asarray(keyframe.pose, dtype=np.float64).tobytes())
        digest.update(bytes([keyframe.gripper_open]))
    return digest.digest()


def _fingerprint(digests: Iterable[bytes]) -> str:
    """Name of a cache: the episodes in it and how their clouds are fused."""
    whole = hashlib.sha256(f"{FORMAT} {asdict(FusionConfig())}".encode())
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()[:16]


def _fuse_all(path: str, wanted: Sequence[int], workers: int) -> Iterator[Demonstration]:
    """Each wanted episode fused, in order; the processes open the path themselves, so nothing large is sent twice."""
    if workers <= 1:
        episodes = open_episodes(path)
        yield from (fuse_episode(episodes[index]) for index in wanted)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        chunks = [wanted[start : start + 8] for start in range(0, len(wanted), 8)]
        for fused in pool.map(_fuse_chunk, [path] * len(chunks), chunks):
            yield from fused


def _fuse_chunk(path: str, indices: Sequence[int]) -> list[Demonstration]:
    episodes = open_episodes(path)
    return [fuse_episode(episodes[index]) for index in indices]
