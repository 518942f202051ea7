"""``mini-diffuser bench lerobot``: LeRobot itself reads what export writes, and import reads what LeRobot writes."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, positional
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.exchange.incoming import IncomingFolder
from mini_diffuser_ros.data.exchange.lerobot_export import DatasetKind, export_lerobot, features_of, kind_of, origin_of
from mini_diffuser_ros.data.exchange.lerobot_layout import (
    DEPTH,
    DIGEST,
    EPISODE,
    EXTRINSICS,
    GRIPPER_NAME,
    IMAGES,
    INTRINSICS,
    KEYFRAME,
    LENS,
    STAMP,
    STAMPS,
    STATE,
)
from mini_diffuser_ros.data.exchange.lerobot_source import lerobot_episodes
from mini_diffuser_ros.data.formats.images import DEPTH_UNIT, depth_steps
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.robots import ROBOTS, load_robot
from mini_diffuser_ros.support.errors import one_line

DESCRIPTION = """Takes recordings through LeRobot, which lives in an environment of its own, and compares every number
of every keyframe; a row for each way. Its loader gives float32, so there equal means equal to the number rounded to it;
elsewhere it means equal to the bit. Quantities are the largest differences before any rounding: of poses in metres and
1, joints in radians, stamps in seconds, depth in metres, colours in steps, intrinsics in pixels, extrinsics in metres
and 1; unequal counts numbers, sentences those that are not the same."""

SIDE = Path(__file__).with_name("lerobot_side.py")
TIMEOUT = 1800.0
"""Seconds for one thing that LeRobot is to do."""

QUANTITIES = {
    "pose": "pose",
    "joints": "joint.",
    "gripper": GRIPPER_NAME,
    "stamp": STAMP,
    "depth_m": DEPTH,
    "color": IMAGES,
    "intrinsics": INTRINSICS,
    "extrinsics": EXTRINSICS,
    "lens": LENS,
}
"""Column of the row, and how the names of the numbers begin that it is about."""

Numbers = dict[str, NDArray[Any]]
"""By name one array a keyframe quantity, all keyframes first."""


@dataclass(frozen=True, kw_only=True)
class LeRobotSetting:
    """What goes to LeRobot and back.

    Attributes:
        data: recordings, or another set with images.
        python: interpreter of the environment that LeRobot is installed in.
        episodes: how many of them.
    """

    data: Path = positional(Path)  # noqa: RUF009
    python: Path
    episodes: int = at_least(1, 4)


@dataclass(frozen=True)
class LeRobotRow:
    """How far demonstrations are from what they were, on one way."""

    way: str
    lerobot: str
    episodes: int
    keyframes: int
    numbers: int
    unequal: int
    sentences: int
    pose: float
    joints: float
    gripper: float
    stamp: float
    depth_m: float
    color: float
    intrinsics: float
    extrinsics: float
    lens: float


def measure(settings: Sequence[LeRobotSetting]) -> Iterator[LeRobotRow]:
    """A row for each way.

    Raises:
        BenchError: if the interpreter has no LeRobot, or LeRobot refuses what it is given.
        DataError: if the demonstrations cannot be exported or imported.
    """
    for setting in settings:
        with tempfile.TemporaryDirectory() as folder:
            yield from _ways(setting, Path(folder))


def _ways(setting: LeRobotSetting, folder: Path) -> Iterator[LeRobotRow]:
    lerobot = LeRobot(setting.python, folder)
    chosen = open_episodes(setting.data)[: setting.episodes]
    kind = kind_of(chosen[0], origin_of(chosen.stored[0], chosen[0]))
    before, sentences = [numbers_of(one) for one in chosen], [one.sentences for one in chosen]
    exported = folder / "exported"
    list(export_lerobot(chosen, exported, 1))

    loaded = lerobot.read(exported)
    parts = np.cumsum([len(one[STAMP]) for one in before])[:-1]
    split = {name: np.split(values, parts) for name, values in loaded.items()}
    after = [{name: values[number] for name, values in split.items()} for number in range(len(before))]
    said = [tuple(json.loads(one[EPISODE][0])["sentences"]) for one in after]
    read = [_as_loaded(one, kind) for one in after]
    yield row("export, LeRobot's loader", lerobot.version, before, read, (sentences, said), np.float32)

    back, said = _imported(exported, folder / "back")
    yield row("export, import", lerobot.version, before, back, (sentences, said))

    lerobot.write(before, [one[0] for one in sentences], kind, folder / "theirs")
    back, said = _imported(folder / "theirs", folder / "theirs_back", _mapping(folder, kind))
    # LeRobot has one sentence an episode, and one stamp a frame.
    first = [one[:1] for one in sentences]
    back = [{name: values for name, values in one.items() if not name.startswith(STAMPS)} for one in back]
    yield row("LeRobot's recorder, import by a mapping", lerobot.version, before, back, (first, said))


class LeRobot:
    """LeRobot in its own environment.

    Args:
        python: its interpreter.
        folder: for what passes between it and this process.

    Raises:
        BenchError: if it does not start.

    Attributes:
        version: of LeRobot, once it has done something.
    """

    def __init__(self, python: Path, folder: Path) -> None:
        self._python, self._folder = python, folder
        self.version = ""

    def read(self, root: Path) -> Numbers:
        """All that its loader gives of a dataset."""
        out = self._folder / "read.npz"
        self._do("read", root, out)
        with np.load(out) as columns:
            return dict(columns)

    def write(self, episodes: Sequence[Numbers], tasks: Sequence[str], kind: DatasetKind, root: Path) -> None:
        """Have its recorder write keyframes with all that it has a place for."""
        features = {name: feature for name, feature in features_of(kind).items() if name not in (EPISODE, DIGEST)}
        features = {name: feature for name, feature in features.items() if name != "action"}
        columns: dict[str, Any] = {
            name: np.concatenate([_as_column(one, name, kind) for one in episodes]) for name in features
        }
        counts = [len(one[STAMP]) for one in episodes]
        np.savez(
            self._folder / "write.npz",
            episode=np.repeat(np.arange(len(episodes)), counts),
            task=np.repeat(np.array(tasks), counts),
            **columns,
        )
        (self._folder / "features.json").write_text(json.dumps(features))
        self._do("write", self._folder / "write.npz", self._folder / "features.json", root)

    def _do(self, *words: object) -> None:
        # Isolated, and not as a file: LeRobot's modules are not to be found beside ours.
        command = [str(self._python), "-I", "-c", SIDE.read_text(), *map(str, words)]
        own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(self._folder / "hugging_face")}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env={**os.environ, **own}
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"--python {self._python}: {one_line(error)}") from error
        if done.returncode:
            said = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no word")
            raise BenchError(
                f"--python {self._python}: LeRobot could not {words[0]} ({said.strip():.300}); it has to be installed "
                "in that interpreter's environment: pip install lerobot"
            )
        self.version = done.stdout.split()[-1]


def numbers_of(episode: Episode) -> Numbers:
    """All that is compared of an episode: depth in whole steps, the rest as it is."""
    columns: dict[str, list[Any]] = {}
    for keyframe in episode.keyframes:
        numbers = {"pose": keyframe.pose, GRIPPER_NAME: float(keyframe.gripper_open), STAMP: keyframe.stamp}
        numbers.update({f"joint.{name}": value for name, value in keyframe.joint_positions.items()})
        for view in keyframe.views:
            lens = view.distortion.coefficients if view.distortion.bends else ()
            numbers[IMAGES + view.name] = view.color
            numbers[DEPTH + view.name] = depth_steps(view.depth)
            numbers[INTRINSICS + view.name] = view.intrinsics
            numbers[EXTRINSICS + view.name] = view.base_from_camera
            numbers[LENS + view.name] = np.pad(np.array(lens, np.float64), (0, 14 - len(lens)))
            numbers[STAMPS + view.name] = view.stamp
        for name, value in numbers.items():
            columns.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in columns.items()}


def row(
    way: str,
    version: str,
    before: Sequence[Numbers],
    after: Sequence[Numbers],
    sentences: tuple[Sequence[tuple[str, ...]], Sequence[tuple[str, ...]]],
    precision: Any = np.float64,
) -> LeRobotRow:
    """Compare episodes with what became of them, in their order; what is missing altogether is unequal.

    Args:
        way: that they went.
        version: of LeRobot.
        before, after: their numbers; what only one of them has is not compared, unless it is an episode or keyframe.
        sentences: before and after.
        precision: to which equal numbers agree.
    """
    compared = unequal = 0
    largest = dict.fromkeys(QUANTITIES, 0.0)
    for one, other in zip(before, after, strict=True):
        for name in one.keys() & other.keys():
            was, now = one[name], other[name]
            compared += was.size
            if was.shape != now.shape:
                unequal += was.size
                continue
            exact = was.astype(precision) if np.issubdtype(was.dtype, np.floating) else was
            unequal += int(np.count_nonzero(exact != now))
            quantity = next((column for column, start in QUANTITIES.items() if name.startswith(start)), None)
            if quantity is not None:
                difference = float(np.abs(was.astype(np.float64) - now.astype(np.float64)).max(initial=0.0))
                largest[quantity] = max(largest[quantity], difference * (DEPTH_UNIT if quantity == "depth_m" else 1.0))
    return LeRobotRow(
        way=way,
        lerobot=version,
        episodes=len(after),
        keyframes=sum(len(one[STAMP]) for one in after),
        numbers=compared,
        unequal=unequal,
        sentences=sum(one != other for one, other in zip(*sentences, strict=True)),
        **largest,
    )


def _imported(root: Path, folder: Path, mapping: Path | None = None) -> tuple[list[Numbers], list[tuple[str, ...]]]:
    """Numbers and sentences of a dataset's episodes once they are recordings."""
    into = IncomingFolder(folder)
    files = [into.add(read()) for read in lerobot_episodes(root, None, mapping)]
    episodes = [RecordedEpisode(file, FusionConfig()).read() for file in files if file is not None]
    return [numbers_of(one) for one in episodes], [one.sentences for one in episodes]


def _as_loaded(columns: Numbers, kind: DatasetKind) -> Numbers:
    """What LeRobot's loader gives, by the names and in the layout of :func:`numbers_of`."""
    state = columns[STATE]
    numbers = {"pose": state[:, :7], GRIPPER_NAME: state[:, 7], STAMP: columns[STAMP].reshape(-1)}
    numbers.update({f"joint.{name}": state[:, 8 + place] for place, name in enumerate(kind.joints)})
    for name, _ in kind.cameras:
        numbers[IMAGES + name] = np.rint(columns[IMAGES + name].transpose(0, 2, 3, 1) * 255.0).astype(np.uint8)
        numbers[STAMPS + name] = columns[STAMPS + name].reshape(-1)
        numbers.update({start + name: columns[start + name] for start in (DEPTH, INTRINSICS, EXTRINSICS, LENS)})
    return numbers


def _as_column(numbers: Numbers, name: str, kind: DatasetKind) -> NDArray[Any]:
    """A feature's values of all keyframes, as LeRobot's recorder takes them."""
    count = len(numbers[STAMP])
    if name == STATE:
        parts = ["pose", GRIPPER_NAME, *(f"joint.{joint}" for joint in kind.joints)]
        return np.column_stack([numbers[part] for part in parts])
    if name == KEYFRAME:
        return np.ones((count, 1), bool)
    return numbers[name].reshape(count, -1) if numbers[name].ndim == 1 else numbers[name]


def _mapping(folder: Path, kind: DatasetKind) -> Path:
    """What a person would say of the dataset that LeRobot's recorder wrote."""
    said: dict[str, Any] = {
        "robot": kind.robot if kind.robot in ROBOTS else "none",
        "tool": {"feature": STATE, "rotation": "xyzw"},
        "gripper": {"feature": STATE, "column": 7, "threshold": 0.5, "open_above": True},
        "keyframes": KEYFRAME,
        "stamps": STAMP,
        "cameras": {name: {"depth_metres": DEPTH_UNIT} for name, _ in kind.cameras},
    }
    if kind.robot in ROBOTS:
        names = load_robot(str(kind.robot)).arm_joint_names
        said["joints"] = {"feature": STATE, "columns": [8 + kind.joints.index(name) for name in names]}
    file = folder / "mapping.yaml"
    file.write_text(yaml.safe_dump(said))
    return file


def _passed(found: LeRobotRow) -> bool:
    return not found.unequal and not found.sentences and found.numbers > 0


BENCHMARK = Benchmark(LeRobotSetting, measure, DESCRIPTION, _passed)
