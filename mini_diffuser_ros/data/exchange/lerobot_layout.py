"""What a LeRobotDataset of version 3 consists of: names of files and features, and what meta/info.json says."""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.fields import MAX_JSON_BYTES, Fields, parse_json, read_bounded
from mini_diffuser_ros.support.errors import one_line

VERSION = "v3.0"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
EPISODES_FOLDER = "meta/episodes"
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{_FILE}.parquet"
EPISODES_PATH = f"{EPISODES_FOLDER}/{_FILE}.parquet"
FILES_PER_CHUNK = 1000
FILE_MEGABYTES, VIDEO_MEGABYTES = 100, 200

IMAGES, DEPTH, INTRINSICS, EXTRINSICS, LENS, STAMPS = (
    f"observation.{name}." for name in ("images", "depth", "intrinsics", "extrinsics", "distortion", "stamps")
)
"""Beginnings of the features of a camera, whose name follows."""

STATE, ACTION, STAMP, KEYFRAME = "observation.state", "action", "observation.stamp", "keyframe"
EPISODE = "mini_diffuser.episode"
"""A text that each frame carries, JSON: what LeRobot has no place for. As a declared feature it stays with its frames
in whatever copies them; files beside theirs do not."""

EPISODE_VERSION = 1
"""Of what that text says."""

DIGEST = "mini_diffuser.digest"
"""A text that each frame carries: digest of its episode's content up to and with this frame."""

POSE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw")
GRIPPER_NAME, TERMINATE_NAME = "gripper_open", "terminate"
LENS_VALUES = 14
"""Coefficients of a lens in OpenCV's order, which those of CameraInfo's models begin, filled up with zeros."""

COUNTERS = ("frame_index", "episode_index", "index", "task_index")
"""Whole numbers that every frame has, besides its float32 ``timestamp``."""

MAX_FEATURES, MAX_SIDE = 1000, 2**16
_DIGITS = re.compile(r"(0?[1-9]d?)?")


@dataclass(frozen=True)
class Feature:
    """What info.json says of a column.

    Attributes:
        name: of the column.
        dtype: ``image``, ``video``, ``string`` or a type of numpy.
        shape: of one frame's value.
        names: of its entries, None where there are none.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None

    def __str__(self) -> str:
        return f"{self.name} ({self.dtype} {'x'.join(map(str, self.shape))})"


@dataclass(frozen=True)
class Info:
    """What info.json says of a dataset.

    Attributes:
        root: folder of the dataset.
        robot: its robot, None where it does not say.
        fps: frames a second.
        episodes, frames: how many.
        data_path, video_path: templates of paths below the root; no video_path where there are none.
        features: by name.
    """

    root: Path
    robot: str | None
    fps: float
    episodes: int
    frames: int
    data_path: str
    video_path: str | None
    features: dict[str, Feature]

    def data_file(self, chunk: int, file: int) -> Path:
        """A file of frames."""
        return _inside(self.root, self.data_path, chunk_index=chunk, file_index=file)

    def inside(self, file: Path) -> Path:
        """A file that was found below the root, unless a symbolic link leads out of it."""
        return _inside(self.root, str(file.relative_to(self.root)).replace("{", "{{").replace("}", "}}"))

    def video_file(self, feature: str, chunk: int, file: int) -> Path:
        """A file of a camera's video.

        Raises:
            EpisodeFileError: if the dataset does not say where its videos are.
        """
        if self.video_path is None:
            raise EpisodeFileError(self.root / INFO, f"video_path is missing, but {feature} is a video")
        return _inside(self.root, self.video_path, video_key=feature, chunk_index=chunk, file_index=file)


def is_lerobot(path: Path) -> bool:
    """Whether a LeRobotDataset of any version lies at a path."""
    return (path / INFO).is_file()


def read_info(root: Path) -> Info:
    """What a dataset says of itself.

    Raises:
        EpisodeFileError: naming the field and what was expected, also for another version.
    """
    file = root / INFO
    fields = Fields(file, parse_json(file, read_bounded(file, MAX_JSON_BYTES)), whole="info.json")
    version = fields.text("codebase_version")
    if not re.fullmatch(r"v3\.\d+", version):
        raise fields.fault("codebase_version", f"{VERSION}: bring it over with LeRobot's own conversion first")
    fps = fields.length("fps")
    templates = [fields.text("data_path"), fields.optional_text("video_path") if fields.has("video_path") else None]
    for name, template in zip(("data_path", "video_path"), templates, strict=True):
        if template is not None and not _is_safe(template):
            raise fields.fault(name, "a path below the dataset of chunk_index, file_index and video_key")
    features = fields.optional_object("features")
    if not features or len(features) > MAX_FEATURES:
        raise fields.fault("features", f"an object of 1 to {MAX_FEATURES} features")
    return Info(
        root=root,
        robot=fields.optional_text("robot_type") if fields.has("robot_type") else None,
        fps=fps,
        episodes=fields.integer("total_episodes"),
        frames=fields.integer("total_frames"),
        data_path=str(templates[0]),
        video_path=templates[1],
        features={name: _feature(file, name, value) for name, value in features.items()},
    )


def _feature(file: Path, name: str, value: Any) -> Feature:
    fields = Fields(file, value, f"features.{name}")
    shape = tuple(map(int, fields.list_of_numbers("shape")))
    if len(shape) > 5 or not all(0 < side <= MAX_SIDE for side in shape) or math.prod(shape) > 2**26:
        raise fields.fault("shape", f"at most 5 sides of 1 to {MAX_SIDE}")
    names = value.get("names")
    # Names are a list, or an object of lists, as LeRobot's older recorders wrote them.
    listed = next(iter(names.values()), None) if isinstance(names, dict) and len(names) == 1 else names
    flat = isinstance(listed, list) and all(isinstance(one, str) for one in listed)
    return Feature(name, fields.text("dtype"), shape, tuple(listed) if flat and listed else None)


def _is_safe(template: str) -> bool:
    """Whether a template makes paths below the dataset, of small numbers and names of features alone."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return False
    for _, name, digits, conversion in parts:
        allowed = ("video_key",) if not digits else ("chunk_index", "file_index")
        plain = name is None or name in allowed or (not digits and name in ("chunk_index", "file_index"))
        if not plain or conversion or not _DIGITS.fullmatch(digits or ""):
            return False
    path = Path(template)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in template


def _inside(root: Path, template: str, **values: str | int) -> Path:
    """The path that a template names, which also by symbolic links does not leave the dataset."""
    file = root / template.format(**values)
    try:
        inside = file.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # links that lead to one another; a name that is too long
        raise EpisodeFileError(file, f"cannot be read ({one_line(error):.200})") from error
    if not inside:
        raise EpisodeFileError(file, f"lies outside of the dataset {root}")
    return file
