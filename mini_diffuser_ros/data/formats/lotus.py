"""3D-LOTUS keysteps: one LMDB for each task and variation, clouds of 1 cm voxels, sentences in a JSON file."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.fields import MAX_JSON_BYTES, parse_json, read_bounded
from mini_diffuser_ros.data.formats.arm_boxes import arm_boxes, without_arm
from mini_diffuser_ros.data.formats.rlbench_camera import RLBENCH_FRAME
from mini_diffuser_ros.data.formats.rlbench_episode import SECONDS_PER_FRAME
from mini_diffuser_ros.data.lmdb_file import DATA_FILE, read_keys, read_value
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import RLBENCH, Cloud, Episode, Keyframe, Provenance

LAYOUT = "3D-LOTUS keysteps (<task>+<N>/data.mdb)"
_TASK_VARIATION = re.compile(r"(?P<task>.+?)(_peract)?\+(?P<variation>\d+)")
_SENTENCE_FILES = "*instr*.json"
_LEVELS_UP = 4  # <set>/keysteps_bbox_pcd/seed<N>/voxel1cm/<task>+<variation>: the file may lie beside any of them.
_NUMBERS = "biuf"
_MAX_ENTRIES = 10_000  # A thousand keyframes; lists claim their memory before they are filled, however deep they nest.


@dataclass(frozen=True)
class LotusEpisode:
    """An episode in a keystep LMDB, unread.

    Attributes:
        source: e.g. ``close_jar_peract+3/episode12``.
        folder: of the LMDB.
        key: of the episode in it.
        task, variation: taken from the folder's name.
        sentences: of the task and variation; none if the sentence file lacks them.
        sentences_file: where they come from.
    """

    source: str
    folder: Path
    key: str
    task: str
    variation: int
    sentences: tuple[str, ...]
    sentences_file: Path

    def digest(self) -> bytes:
        """A digest of task, variation, sentences and value."""
        about = json.dumps(["keysteps 1", self.task, self.variation, self.sentences])
        return hashlib.sha256(about.encode() + read_value(self.folder, self.key)).digest()

    def pictures(self) -> frozenset[int]:
        """See :class:`StoredEpisode`."""
        values = _Values(self)
        points, colors = (values.entry(name, list) for name in ("xyz", "rgb"))
        return frozenset(
            zlib.crc32(np.asarray(mine).tobytes(), zlib.crc32(np.asarray(its).tobytes()))
            for mine, its in zip(points, colors, strict=False)
        )

    def read(self) -> Episode:
        """Read the episode's poses; its clouds are read when a keyframe is asked for them.

        Raises:
            EpisodeFileError: naming the file, the key and what is wrong.
        """
        if not self.sentences:
            raise EpisodeFileError(self.sentences_file, f"has no sentences for {self.folder.name}")
        values = _Values(self)
        actions = values.array("action")
        clouds = values.entry("xyz", list)
        if actions.ndim != 2 or actions.shape[1] != 8 or len(actions) < 2 or not np.isfinite(actions).all():
            raise values.fault(f"action of shape {actions.shape}, expected at least two rows of eight finite numbers")
        if len(clouds) != len(actions):
            raise values.fault(f"{len(clouds)} clouds for {len(actions)} actions")
        frames = np.asarray(values.entry("key_frameids", (list, np.ndarray)))
        if frames.shape != (len(actions),) or frames.dtype.kind not in "iu":
            raise values.fault(f"key_frameids {frames!r:.40}, expected {len(actions)} whole numbers")
        return Episode(
            task=self.task,
            variation=self.variation,
            sentences=self.sentences,
            keyframes=tuple(
                Keyframe(
                    pose=action[:7].astype(np.float64),
                    gripper_open=bool(action[7] > 0.5),
                    stamp=float(frame) * SECONDS_PER_FRAME,
                    load_cloud=partial(_load_cloud, self, number, float(frame) * SECONDS_PER_FRAME),
                )
                for number, (action, frame) in enumerate(zip(actions, frames, strict=True))
            ),
            source=self.source,
            provenance=Provenance((RLBENCH,), ("panda",)),
        )


def find_episodes(root: Path, fusion: FusionConfig | None, sentences: Path | None) -> Episodes | None:
    """The keysteps at or below a folder; None if there are none.

    Raises:
        DataError: if the sentences cannot be found, or there are sentences without keysteps or a fusion with them.
    """
    keysteps = _find_keysteps(root, sentences) if root.is_dir() else []
    if keysteps and fusion is not None:
        raise DataError(f"{root}: its clouds are stored as they are; open it without a fusion")
    if sentences is not None and not keysteps:
        raise DataError(f"{root}: holds no 3D-LOTUS keysteps, but a file of sentences for such is given: {sentences}")
    return Episodes(keysteps, None) if keysteps else None


def _find_keysteps(root: Path, sentences: Path | None) -> list[LotusEpisode]:
    """Episodes of one keystep LMDB or of a directory of them; none if there are none.

    Args:
        root: the directory.
        sentences: JSON {task+variation: [sentences]}; None looks for one beside the LMDBs and up to four levels above.

    Raises:
        DataError: if there is no sentence file, naming where it was looked for, or an LMDB cannot be read.
    """
    folders = [folder for folder in (root, *sorted(root.glob("*+*"))) if (folder / DATA_FILE).is_file()]
    matches = [(folder, _TASK_VARIATION.fullmatch(folder.absolute().name)) for folder in folders]
    found = [(folder, match) for folder, match in matches if match]
    if not found:
        return []
    files = _sentence_files(root) if sentences is None else [sentences]
    tables = [(file, read_sentences(file)) for file in files]
    episodes = []
    for folder, match in found:
        name = folder.absolute().name
        file, table = next(((file, table) for file, table in tables if name in table), tables[0])
        for key in read_keys(folder):
            episodes.append(
                LotusEpisode(
                    source=f"{name}/{key}",
                    folder=folder,
                    key=key,
                    task=match["task"],
                    variation=int(match["variation"]),
                    sentences=table.get(name, ()),
                    sentences_file=file,
                )
            )
    return episodes


def _sentence_files(root: Path) -> list[Path]:
    absolute = root.absolute()
    folders = [absolute, *absolute.parents][: _LEVELS_UP + 1]
    files = [file for folder in folders for file in sorted(folder.glob(_SENTENCE_FILES))]
    if not files:
        raise DataError(
            f"{root}: no sentences, looked for {_SENTENCE_FILES} in {', '.join(map(str, folders))}; name the file"
            " with --sentences"
        )
    return files


def read_sentences(file: Path) -> dict[str, tuple[str, ...]]:
    """Task+variation to its sentences, from a JSON file.

    Raises:
        EpisodeFileError: if it cannot be read, or holds anything else.
    """
    table = parse_json(file, read_bounded(file, MAX_JSON_BYTES))
    if not isinstance(table, dict):
        raise EpisodeFileError(file, f"holds {table!r:.40}, expected an object of lists of sentences")
    for name, sentences in table.items():
        if not isinstance(sentences, list) or not all(isinstance(s, str) and s.strip() for s in sentences):
            raise EpisodeFileError(file, f"{name} is {sentences!r:.40}, expected a list of sentences")
    return {name: tuple(sentences) for name, sentences in table.items()}


class _Values:
    """The dictionary of one episode; complaints name its file and key."""

    def __init__(self, episode: LotusEpisode) -> None:
        self._place = (episode.folder / DATA_FILE, episode.key)
        data = read_value(episode.folder, episode.key)
        try:
            self._values = msgpack.unpackb(
                data, object_hook=_as_array, strict_map_key=False, max_array_len=_MAX_ENTRIES, max_map_len=_MAX_ENTRIES
            )
        # msgpack has a dozen errors for damaged data, some of them bare ValueErrors, and numpy others for types.
        except Exception as error:
            raise self.fault(f"not msgpack of arrays ({error or type(error).__name__})") from error
        if not isinstance(self._values, dict):
            raise self.fault(f"holds {self._values!r:.40}, expected a map")

    def entry(self, name: str, kind: type | tuple[type, ...]) -> Any:
        if name not in self._values:
            raise self.fault(f"has no {name}")
        value = self._values[name]
        if not isinstance(value, kind):
            raise self.fault(f"{name} is {value!r:.40}")
        return value

    def array(self, name: str) -> NDArray[Any]:
        return np.asarray(self.entry(name, np.ndarray))

    def optional(self, name: str) -> Mapping[str, Any]:
        return self.entry(name, dict) if name in self._values else {}

    def fault(self, problem: str) -> EpisodeFileError:
        file, key = self._place
        return EpisodeFileError(file, f"{key}: {problem}")


def _as_array(entry: dict[Any, Any]) -> Any:
    """An array or number as msgpack-numpy writes it; other maps stay what they are."""
    if b"nd" not in entry:
        return entry
    element = np.dtype(entry[b"type"])
    if element.kind not in _NUMBERS:
        raise ValueError(f"array of type {element}, expected numbers")
    array = np.frombuffer(entry[b"data"], element)
    return array.reshape(entry[b"shape"]) if entry[b"nd"] else array[0]


def _load_cloud(episode: LotusEpisode, number: int, stamp: float) -> Cloud:
    """The stored cloud without the points inside of the boxes around the arm's links, where they are stored too."""
    values = _Values(episode)
    points = np.asarray(values.entry("xyz", list)[number])
    colors = values.entry("rgb", list)
    color: NDArray[Any] = np.asarray(colors[number]) if number < len(colors) else np.empty((0, 3))
    if points.dtype.kind != "f" or points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise values.fault(f"cloud {number} is {points.dtype} of shape {points.shape}, expected finite (N, 3)")
    if color.shape != points.shape or color.dtype != np.uint8:
        raise values.fault(f"colours {number} are {color.dtype} of shape {color.shape}, expected uint8 {points.shape}")
    information = {**values.optional("bbox_info"), **values.optional("pose_info")}
    try:
        boxes = arm_boxes({name: np.asarray(track)[number] for name, track in information.items()})
    except (ValueError, IndexError) as error:
        raise values.fault(f"arm boxes of keyframe {number}: {error}") from error
    return without_arm(Cloud(points.astype(np.float32), color, RLBENCH_FRAME, stamp), boxes)
