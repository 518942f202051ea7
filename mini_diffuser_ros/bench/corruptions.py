"""``mini-diffuser bench corruptions``: damaged files are refused in one line, or give the data that they had."""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, positional
from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.bags.reader import read_bag
from mini_diffuser_ros.data.exchange.incoming import IncomingFolder
from mini_diffuser_ros.data.exchange.lerobot_layout import is_lerobot
from mini_diffuser_ros.data.exchange.lerobot_source import lerobot_episodes
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import read_settings, read_yaml, to_mapping
from mini_diffuser_ros.training.checkpoints import PROGRESS, read_state
from mini_diffuser_ros.training.config import TrainConfig

DESCRIPTION = """Copies each path (demonstrations of any kind, a policy, a checkpoint of a training, a recipe, a cell's
file, a bag), damages one file of the copy at random (bits flipped, cut off, zeros, blocks swapped, bytes appended),
reads all of it and compares with what it was. refused: in one line; same: what it was; other: taken for something else;
crashed: any other end. Use sets of few episodes: each is read from end to end for every damage."""

Reader = Callable[[Path], Iterator[Any]]
Damage = Callable[[bytearray, random.Random], None]


@dataclass(frozen=True, kw_only=True)
class CorruptionSetting:
    """What to damage.

    Attributes:
        paths: demonstrations, policies, checkpoints of a training, recipes, files of cells, bags.
        mapping: YAML file that says what a LeRobotDataset that is not ours does not.
        trials: damages of each path.
        seed: of the damages.
    """

    paths: tuple[Path, ...] = positional(Path)
    mapping: Path | None = None
    trials: int = at_least(1, 300)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class CorruptionRow:
    """What became of the damages of one path."""

    path: str
    trials: int
    refused: int
    same: int
    other: int
    crashed: int
    example: str


def flip(content: bytearray, rng: random.Random) -> None:
    """Turn one to eight bits over."""
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def cut(content: bytearray, rng: random.Random) -> None:
    """Leave out the end."""
    del content[rng.randrange(len(content)) :]


def clear(content: bytearray, rng: random.Random) -> None:
    """Zeros where there was a block."""
    size = min(len(content), rng.choice((16, 512, 4096)))
    start = rng.randrange(len(content) - size + 1)
    content[start : start + size] = bytes(size)


def swap(content: bytearray, rng: random.Random) -> None:
    """Two blocks in each other's place."""
    size = max(1, min(len(content) // 4, rng.choice((16, 512, 4096))))
    one, other = (rng.randrange(len(content) // size) * size for _ in range(2))
    block = content[one : one + size]
    content[one : one + size] = content[other : other + size]
    content[other : other + size] = block


def append(content: bytearray, rng: random.Random) -> None:
    """Bytes at the end."""
    content += rng.randbytes(rng.randint(1, 5000))


DAMAGES: tuple[Damage, ...] = (flip, cut, clear, swap, append)


def reader_of(path: Path, mapping: Path | None = None) -> Reader:
    """What reads a path, by what lies there while it is whole.

    Args:
        path: demonstrations, a policy or a training's checkpoint, a recipe or a cell's file.
        mapping: what a LeRobotDataset that is not ours does not say of itself.
    """
    if path.suffix in (".yaml", ".yml"):
        recipe = not read_yaml(path).keys() - {entry.name for entry in fields(TrainConfig)}
        return _recipe if recipe else _cell
    if path.suffix == ".mcap":
        return _bag
    if (path / CONFIG_FILE).exists():
        return _policy
    if (path / PROGRESS).exists():
        return _checkpoint
    return partial(_lerobot, mapping=mapping) if is_lerobot(path) else _episodes


def digest_of(path: Path, read: Reader) -> str:
    """A digest of all that reading gives.

    Raises:
        UserError: if it is refused.
    """
    digest = hashlib.sha256()
    for part in read(path):
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()


def damage_one(path: Path, read: Reader, original: str, rng: random.Random) -> tuple[str, str]:
    """Damage a file at or below a path, read everything and put it back.

    Args:
        path: of a copy that may be written to.
        read: gives all that lies there.
        original: its digest.
        rng: chooses file and damage.

    Returns:
        ``refused``, ``same``, ``other`` or ``crashed``, and which damage it was or what was said.
    """
    file = rng.choice(_files(path))
    damage = rng.choice(DAMAGES)
    content = file.read_bytes()
    changed = bytearray(content)
    damage(changed, rng)
    file.write_bytes(changed)
    try:
        outcome = "same" if digest_of(path, read) == original else "other"
        return outcome, f"{damage.__name__} of {file.name}"
    except UserError as error:
        said = str(error)
        return "crashed" if "\n" in said else "refused", said
    except Exception as error:  # whatever it is, it is what this looks for
        return "crashed", f"{damage.__name__} of {file.name}: {type(error).__name__}: {error}"
    finally:
        file.write_bytes(content)


def measure(settings: Sequence[CorruptionSetting]) -> Iterator[CorruptionRow]:
    """A row for each path."""
    for setting in settings:
        for path in setting.paths:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / path.name
                if path.is_dir():
                    shutil.copytree(path, copy)
                else:
                    shutil.copy(path, copy)
                yield _row(path, copy, setting)


def _row(path: Path, copy: Path, setting: CorruptionSetting) -> CorruptionRow:
    rng, read = random.Random(setting.seed), reader_of(copy, setting.mapping)
    original = digest_of(copy, read)
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for _ in range(setting.trials):
        outcome, said = damage_one(copy, read, original, rng)
        counts[outcome] += 1
        examples.setdefault(outcome, said)
    worst = next((examples[kind] for kind in ("crashed", "other") if kind in examples), "")
    return CorruptionRow(
        path=path.name,
        trials=setting.trials,
        refused=counts["refused"],
        same=counts["same"],
        other=counts["other"],
        crashed=counts["crashed"],
        example=worst.replace("\n", " "),
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    return sorted(file for file in found if file.suffix != ".md" and file.name != "lock.mdb" and file.name[0] != ".")


def _cell(path: Path) -> Iterator[Any]:
    yield to_mapping(read_cell(path))


def _recipe(path: Path) -> Iterator[Any]:
    yield to_mapping(read_settings(TrainConfig, path))


def _bag(path: Path) -> Iterator[Any]:
    yield from ((message.channel, message.stamp, message.data) for message in read_bag(path))


def _policy(path: Path) -> Iterator[Any]:
    policy = load_policy(path)
    yield (policy.config, policy.fusion, policy.tasks)
    for name, value in policy.model.state_dict().items():
        yield name
        yield value.numpy()


def _checkpoint(path: Path) -> Iterator[Any]:
    progress, state = read_state(path)
    yield progress
    for name, value in sorted(state.items()):
        yield name
        yield value.numpy()


def _lerobot(path: Path, mapping: Path | None) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        into = IncomingFolder(Path(folder))
        for read in lerobot_episodes(path, None, mapping):
            into.add(read())
        yield from _episodes(Path(folder))


def _episodes(path: Path) -> Iterator[Any]:
    episodes = open_episodes(path)
    yield episodes.fusion
    for episode in episodes:
        yield (episode.source, episode.task, episode.variation, episode.sentences, episode.provenance)
        for keyframe in episode.keyframes:
            yield keyframe.pose
            yield (keyframe.gripper_open, keyframe.stamp, sorted(keyframe.joint_positions.items()))
            for view in keyframe.views:
                yield (view.name, view.stamp, view.distortion)
                yield from (view.color, view.depth, view.intrinsics, view.base_from_camera)
            cloud = keyframe.cloud
            yield from (cloud.points, cloud.colors, cloud.frame)


def _passed(row: CorruptionRow) -> bool:
    return not row.other and not row.crashed


BENCHMARK = Benchmark(CorruptionSetting, measure, DESCRIPTION, _passed)
