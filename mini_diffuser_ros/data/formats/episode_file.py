"""One episode as a plain zip of ``episode.json``, PNG images and clouds. docs/recordings.md describes the format.

Recordings hold images. A converted set holds such zips too, of images or, smaller and quicker to read, of the clouds
made from them.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.checks import check_keyframe, check_sentences
from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.fields import MAX_JSON_BYTES, Fields, parse_json
from mini_diffuser_ros.data.formats.images import (
    DEPTH_UNIT,
    MAX_PIXELS_TOGETHER,
    check_sizes,
    decode_color,
    decode_depth,
    encode_color,
    encode_depth,
)
from mini_diffuser_ros.data.store.cloud_codec import POSITION_UNIT, decode_positions, encode_positions
from mini_diffuser_ros.perception import FusionConfig, PerceptionError, fuse_views
from mini_diffuser_ros.perception.distortion import check_distortion
from mini_diffuser_ros.records import (
    TABLE,
    UNKNOWN,
    CameraCalibration,
    CameraView,
    Cloud,
    Distortion,
    Episode,
    Keyframe,
    Provenance,
)
from mini_diffuser_ros.robots import load_robot, robot_of_data
from mini_diffuser_ros.support.settings import to_mapping

FORMAT = "mini_diffuser_ros episode"
IMAGES, CLOUDS, BENT_IMAGES = 1, 2, 3
"""Versions of the format: of each keyframe the camera images, the cloud that was made from them, or images of lenses
that bend, which a reader of the first version would take for pinholes."""

SIMULATED_SOURCE = re.compile(r"tabletop seed \d+")  # what the simulation calls its episodes

_INDEX = "episode.json"
# A crafted file must not fill the memory. The images of a keyframe have 168 MB where no filter makes them smaller.
_MAX_MEMBERS_BYTES = 192 * 2**20
MAX_KEYFRAMES = 1000
MAX_CAMERAS = 16
"""Of one keyframe."""
_MEMBER_DATE = (1980, 1, 1, 0, 0, 0)  # Constant, so that recording the same thing twice gives the same bytes.


class EpisodeBytes(Protocol):
    """Where the zip of an episode is: a file of its own, or a value of a database."""

    @property
    def place(self) -> Path:
        """What error messages call it."""

    def open(self) -> BinaryIO:
        """Its bytes, to be closed by the caller."""


def write_images(stream: BinaryIO, episode: Episode, robot: str | None, frame: str, least: int = 2) -> None:
    """Write an episode with the images of all its keyframes.

    Args:
        stream: where the zip goes, opened for binary writing.
        episode: its keyframes have camera views.
        robot: name of the robot description whose points are to be taken out of the clouds; None for none.
        frame: frame of poses and views.
        least: keyframes that it must have; 1 for a part of an episode that is still being recorded.

    Raises:
        DataError: if something is missing that a reader would need, naming it.
    """
    _check_episode(episode, least)
    check_sentences(episode.sentences)
    described = None if robot is None else load_robot(robot)
    own = described if described is not None and described.base_frame == frame else None
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        keyframes = []
        for number, keyframe in enumerate(episode.keyframes):
            place = f"episode {episode.source}: keyframe {number}"
            views = keyframe.views
            _check_views(views, place)
            check_keyframe(keyframe, views, own, place)
            cameras = [_write_view(archive, number, view) for view in views]
            keyframes.append({**_keyframe_fields(keyframe, place), "cameras": cameras})
        common = {"robot": robot, "base_frame": frame, "depth_unit_metres": DEPTH_UNIT}
        shown = Provenance((), (Path(robot).name,) if robot else (), (), _names_of_cameras(keyframes))
        about = replace(episode, provenance=episode.provenance | shown)
        _write_index(archive, _version_of_images(keyframes), about, common, keyframes)


def write_clouds(stream: BinaryIO, episode: Episode) -> None:
    """Write an episode with the clouds of all its keyframes, positions rounded to :data:`POSITION_UNIT`.

    Args:
        stream: where the zip goes, opened for binary writing.
        episode: at least two keyframes.

    Raises:
        DataError: if something is missing that a reader would need, or a cloud is longer than 4 m, naming it.
    """
    _check_episode(episode, least=2)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        keyframes = []
        for number, keyframe in enumerate(episode.keyframes):
            place = f"episode {episode.source}: keyframe {number}"
            cloud = keyframe.cloud
            stored = _write_cloud(archive, number, cloud, place)
            keyframes.append({**_keyframe_fields(keyframe, place), "cloud": stored})
        common = {"base_frame": cloud.frame, "position_unit_metres": POSITION_UNIT}
        _write_index(archive, CLOUDS, episode, common, keyframes)


def join_recordings(stream: BinaryIO, parts: Sequence[EpisodeBytes]) -> None:
    """Write the keyframes of several recordings as one episode; images are copied as they are, not encoded anew.

    Args:
        stream: where the zip goes, opened for binary writing.
        parts: recordings of the same demonstration; what is not a keyframe's is taken from the first.

    Raises:
        EpisodeFileError: if a part is no whole recording, naming the file.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        keyframes: list[dict[str, Any]] = []
        for part in parts:
            # Checks every field, so that the plain dictionaries below hold what is expected.
            read_episode(part, part.place.stem, FusionConfig(), least=1)
            for keyframe in _load_index(part)["keyframes"]:
                _copy_images(archive, part, keyframe, len(keyframes))
                keyframes.append(keyframe)
        version = _version_of_images(keyframes)
        index = {**_load_index(parts[0]), "format_version": version, "keyframes": keyframes}
        _add(archive, _INDEX, json.dumps(index, ensure_ascii=False, allow_nan=False).encode())


def _copy_images(archive: zipfile.ZipFile, part: EpisodeBytes, keyframe: dict[str, Any], number: int) -> None:
    """Copy the images of a keyframe's entry of the index and let the entry name the copies."""
    for camera in keyframe["cameras"]:
        for kind, data in zip(
            ("color", "depth"), _members(part, (camera["color"], camera["depth"])).values(), strict=True
        ):
            camera[kind] = f"{number}/{camera['name']}.{kind}.png"
            _add(archive, camera[kind], data)


def read_episode(stored: EpisodeBytes, source: str, fusion: FusionConfig, least: int = 2) -> Episode:
    """Read an episode's index; images and clouds are read when a keyframe is asked for them.

    Args:
        stored: where the zip is.
        source: the episode's name within its data set.
        fusion: how views become clouds.
        least: keyframes that it must have.

    Raises:
        EpisodeFileError: naming the file, the field and what was expected.
    """
    fields = _read_index(stored)
    frame = fields.text("base_frame")
    version = fields.integer("format_version")
    if version in (IMAGES, BENT_IMAGES):
        recording = _Recording(
            stored, fields.length("depth_unit_metres"), fields.optional_text("robot"), replace(fusion, frame=frame)
        )
        read_keyframe = partial(_read_images, recording)
    elif version == CLOUDS:
        read_keyframe = partial(_read_stored_cloud, stored, frame, fields.length("position_unit_metres"))
    else:
        raise fields.fault(
            "format_version", f"{IMAGES}, {CLOUDS} or {BENT_IMAGES}, the versions that this program reads"
        )
    return Episode(
        task=fields.text("task"),
        variation=fields.integer("variation"),
        sentences=fields.texts("sentences"),
        keyframes=tuple(read_keyframe(child) for child in fields.children("keyframes", least, MAX_KEYFRAMES)),
        source=source,
        provenance=_read_provenance(fields),
        frame=frame,
    )


def _read_provenance(fields: Fields) -> Provenance:
    """What an index says of its world; earlier ones say it by their source alone, if at all."""
    if fields.has("world"):
        said = fields.child("world")
        sensors = said.names("sensors") if said.has("sensors") else ()
        worlds, robots, cells, cameras = map(said.names, ("worlds", "robots", "cells", "cameras"))
        return Provenance(worlds, robots, cells, cameras, sensors)
    world = TABLE if SIMULATED_SOURCE.fullmatch(fields.text("source")) else UNKNOWN
    robot = fields.optional_text("robot") if fields.has("robot") else None
    return Provenance((world,), (Path(robot).name,) if robot else ())


def _names_of_cameras(keyframes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({camera["name"] for keyframe in keyframes for camera in keyframe["cameras"]}))


def digest_of_content(stored: EpisodeBytes, but: Collection[str] = ()) -> bytes:
    """A digest (32 bytes) of all that can be read of an episode, however it is packed: the fields of the index, and the
    bytes of the images or clouds that they name. Nothing is decoded.

    Args:
        stored: where the zip is.
        but: fields of the index that do not count.

    Raises:
        EpisodeFileError: if it is no readable zip, or a member is missing or damaged.
    """
    with _archive(stored) as archive:
        index = parse_json(stored.place, _take(stored.place, archive, (_INDEX,), MAX_JSON_BYTES)[_INDEX], _INDEX)
        keyframes = index.get("keyframes") if isinstance(index, dict) else None
        for keyframe in keyframes if isinstance(keyframes, list) else ():
            for entry, kinds in _entries_of_members(keyframe):
                names = [entry[kind] for kind in kinds if isinstance(entry.get(kind), str)]
                data = _take(stored.place, archive, names)
                entry.update((kind, _hash(data[entry[kind]])) for kind in kinds if entry.get(kind) in data)
    counted = {name: value for name, value in index.items() if name not in but} if isinstance(index, dict) else index
    return hashlib.sha256(b"episode 1\n" + json.dumps(counted, sort_keys=True).encode()).digest()


def pictures_in(stored: EpisodeBytes) -> frozenset[int]:
    """A number for each image with its depth and calibration, or each cloud.

    It is of their bytes: the checksums in the zip would not do, as that of a PNG, which ends its parts with the same
    kind of checksum, follows from its length alone.

    Args:
        stored: where the zip is.

    Raises:
        EpisodeFileError: if it is no readable zip, or a member is missing or damaged.
    """
    with _archive(stored) as archive:
        index = parse_json(stored.place, _take(stored.place, archive, (_INDEX,), MAX_JSON_BYTES)[_INDEX], _INDEX)
        keyframes = index.get("keyframes") if isinstance(index, dict) else None
        found = set()
        for keyframe in keyframes if isinstance(keyframes, list) else ():
            for entry, kinds in _entries_of_members(keyframe):
                names = [entry[kind] for kind in kinds if isinstance(entry.get(kind), str)]
                where = [entry.get(field) for field in ("intrinsics", "base_from_camera", "lowest_step")]
                whole = hashlib.sha256(json.dumps(where).encode())
                for data in _take(stored.place, archive, names).values():
                    whole.update(data)
                found.add(int.from_bytes(whole.digest()[:8], "big"))
    return frozenset(found)


def _entries_of_members(keyframe: Any) -> list[tuple[dict[str, Any], tuple[str, str]]]:
    """The parts of a keyframe's entry of the index that name members, and their fields that do."""
    if not isinstance(keyframe, dict):
        return []
    cameras, cloud = keyframe.get("cameras"), keyframe.get("cloud")
    named = [(camera, ("color", "depth")) for camera in (cameras if isinstance(cameras, list) else ())]
    return [(entry, kinds) for entry, kinds in (*named, (cloud, ("points", "colors"))) if isinstance(entry, dict)]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Origin:
    """What the writer of a recording said about it.

    Attributes:
        source: where it came from, e.g. ``tabletop seed 1012``.
        robot: name of the robot description whose points are taken out of the clouds; None for none.
        frame: of poses and views.
    """

    source: str
    robot: str | None
    frame: str


def read_origin(stored: EpisodeBytes) -> Origin:
    """Where a recording came from.

    Raises:
        EpisodeFileError: naming the file, the field and what was expected.
    """
    fields = _read_index(stored)
    return Origin(fields.text("source"), fields.optional_text("robot"), fields.text("base_frame"))


@dataclass(frozen=True)
class _Recording:
    """What the images of all keyframes of an episode have in common."""

    stored: EpisodeBytes
    depth_unit: float
    robot: str | None
    fusion: FusionConfig


@dataclass(frozen=True, eq=False)
class _StoredView:
    """A camera view whose images are still in the zip."""

    name: str
    stamp: float
    intrinsics: NDArray[np.float64]
    base_from_camera: NDArray[np.float64]
    color: str
    depth: str
    distortion: Distortion


@dataclass(frozen=True, eq=False)
class _StoredCloud:
    """A cloud whose points are still in the zip."""

    stored: EpisodeBytes
    frame: str
    stamp: float
    unit: float
    lowest_step: NDArray[np.float64]
    points: str
    colors: str

    def load(self) -> Cloud:
        data = _members(self.stored, (self.points, self.colors))
        decode = partial(decode_positions, self.lowest_step, unit=self.unit)
        points = _decoded(self.stored, self.points, decode, data)
        colors = _decoded(self.stored, self.colors, _decode_colors, data)
        try:
            return Cloud(points, colors, self.frame, self.stamp)
        except ValueError as error:
            raise EpisodeFileError(self.stored.place, f"member {self.colors}: {error}") from error


def _load_index(stored: EpisodeBytes) -> Any:
    return parse_json(stored.place, _members(stored, (_INDEX,), MAX_JSON_BYTES)[_INDEX], _INDEX)


def _read_index(stored: EpisodeBytes) -> Fields:
    fields = Fields(stored.place, _load_index(stored))
    fields.expect("format", FORMAT)
    return fields


def _check_episode(episode: Episode, least: int) -> None:
    if len(episode.keyframes) < least:
        raise DataError(f"episode {episode.source}: {len(episode.keyframes)} keyframes, expected at least {least}")
    if len(episode.keyframes) > MAX_KEYFRAMES:
        raise DataError(
            f"episode {episode.source}: {len(episode.keyframes)} keyframes, expected at most {MAX_KEYFRAMES}"
        )
    if not episode.sentences or not all(sentence.strip() for sentence in episode.sentences):
        raise DataError(f"episode {episode.source}: expected at least one sentence and none that is empty")


def _version_of_images(keyframes: Sequence[Mapping[str, Any]]) -> int:
    bends = any("distortion" in camera for keyframe in keyframes for camera in keyframe["cameras"])
    return BENT_IMAGES if bends else IMAGES


def _write_index(
    archive: zipfile.ZipFile,
    version: int,
    episode: Episode,
    common: Mapping[str, object],
    keyframes: list[dict[str, Any]],
) -> None:
    index = {
        "format": FORMAT,
        "format_version": version,
        "task": episode.task,
        "variation": int(episode.variation),
        "sentences": list(episode.sentences),
        "source": episode.source,
        "world": to_mapping(episode.provenance),
        **common,
        "keyframes": keyframes,
    }
    compression = zipfile.ZIP_DEFLATED if version == CLOUDS else zipfile.ZIP_STORED
    _add(archive, _INDEX, json.dumps(index, ensure_ascii=False, allow_nan=False).encode(), compression)


def _keyframe_fields(keyframe: Keyframe, place: str) -> dict[str, Any]:
    if not np.all(np.isfinite(keyframe.pose)):
        raise DataError(f"{place}: pose {np.asarray(keyframe.pose)} is not finite")
    return {
        "stamp": float(keyframe.stamp),
        "pose": np.asarray(keyframe.pose, dtype=np.float64).tolist(),
        "gripper_open": bool(keyframe.gripper_open),
        "joint_positions": {name: float(value) for name, value in keyframe.joint_positions.items()},
    }


def _check_views(views: Sequence[CameraView], place: str) -> None:
    """Refuse a keyframe without images, or one with more than a reader takes."""
    if not views:
        raise DataError(f"{place}: has no camera views")
    if len({view.name for view in views}) != len(views):
        raise DataError(f"{place}: camera names {[view.name for view in views]} are not unique")
    for view in views:
        # They name members, which others unpack to files.
        if not view.name.isprintable() or not {"", ".", ".."}.isdisjoint(re.split(r"[/\\]", view.name)):
            raise DataError(f"{place}: camera {view.name!r:.60} cannot name a file, expected letters and digits")
    pixels = sum(view.depth.size for view in views)
    if len(views) > MAX_CAMERAS or pixels > MAX_PIXELS_TOGETHER:
        raise DataError(
            f"{place}: {len(views)} cameras with {pixels} pixels, expected at most {MAX_CAMERAS} with"
            f" {MAX_PIXELS_TOGETHER} together"
        )


def _write_view(archive: zipfile.ZipFile, number: int, view: CameraView) -> dict[str, Any]:
    """Add the images of a view to the archive; returns its entry of the index."""
    color, depth = f"{number}/{view.name}.color.png", f"{number}/{view.name}.depth.png"
    _add(archive, color, encode_color(view.color))
    _add(archive, depth, encode_depth(view.depth))
    lens = view.distortion
    bent = {"distortion": {"model": lens.model, "coefficients": list(lens.coefficients)}} if lens.bends else {}
    return {
        "name": view.name,
        "stamp": float(view.stamp),
        "intrinsics": np.asarray(view.intrinsics, dtype=np.float64).tolist(),
        "base_from_camera": np.asarray(view.base_from_camera, dtype=np.float64).tolist(),
        "color": color,
        "depth": depth,
        **bent,
    }


def _write_cloud(archive: zipfile.ZipFile, number: int, cloud: Cloud, place: str) -> dict[str, Any]:
    """Add a keyframe's cloud to the archive; returns its entry of the index."""
    try:
        lowest_step, positions = encode_positions(cloud.points)
    except ValueError as error:
        raise DataError(f"{place}: {error}") from error
    points, colors = f"{number}/points", f"{number}/colors"
    _add(archive, points, positions, zipfile.ZIP_DEFLATED)
    _add(archive, colors, np.ascontiguousarray(cloud.colors, np.uint8).tobytes(), zipfile.ZIP_DEFLATED)
    return {"stamp": float(cloud.stamp), "lowest_step": lowest_step, "points": points, "colors": colors}


def _add(archive: zipfile.ZipFile, name: str, data: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    archive.writestr(zipfile.ZipInfo(name, _MEMBER_DATE), data, compression)


def _read_images(recording: _Recording, fields: Fields) -> Keyframe:
    cameras = tuple(_read_camera(camera) for camera in fields.children("cameras", 1, MAX_CAMERAS))
    joint_positions = fields.numbers("joint_positions")
    # Partials of module functions rather than closures: they can be sent to worker processes.
    load_cloud = partial(_load_cloud, recording, cameras, joint_positions)
    calibrations = tuple(CameraCalibration(c.name, c.intrinsics, c.base_from_camera, c.stamp) for c in cameras)
    load_views = partial(_load_views, recording, cameras)
    return replace(_read_keyframe(fields, load_cloud), load_views=load_views, calibrations=calibrations)


def _read_stored_cloud(stored: EpisodeBytes, frame: str, unit: float, fields: Fields) -> Keyframe:
    entry = fields.child("cloud")
    cloud = _StoredCloud(
        stored=stored,
        frame=frame,
        stamp=entry.number("stamp"),
        unit=unit,
        lowest_step=entry.array("lowest_step", (3,)),
        points=entry.text("points"),
        colors=entry.text("colors"),
    )
    return _read_keyframe(fields, cloud.load)


def _read_keyframe(fields: Fields, load_cloud: Callable[[], Cloud]) -> Keyframe:
    return Keyframe(
        pose=fields.array("pose", (7,)),
        gripper_open=fields.flag("gripper_open"),
        stamp=fields.number("stamp"),
        load_cloud=load_cloud,
        joint_positions=fields.numbers("joint_positions"),
    )


def _read_camera(fields: Fields) -> _StoredView:
    return _StoredView(
        name=fields.text("name"),
        stamp=fields.number("stamp"),
        intrinsics=fields.array("intrinsics", (3, 3)),
        base_from_camera=fields.array("base_from_camera", (4, 4)),
        color=fields.text("color"),
        depth=fields.text("depth"),
        distortion=_read_distortion(fields.child("distortion")) if fields.has("distortion") else Distortion(),
    )


def _read_distortion(fields: Fields) -> Distortion:
    lens = Distortion(fields.text("model"), fields.list_of_numbers("coefficients"))
    try:
        check_distortion(lens)
    except PerceptionError as error:
        raise fields.fault("model", str(error)) from error
    return lens


def _load_views(recording: _Recording, cameras: tuple[_StoredView, ...]) -> tuple[CameraView, ...]:
    names = [name for camera in cameras for name in (camera.color, camera.depth)]
    data = _members(recording.stored, names)
    try:
        check_sizes(data.values())
    except ValueError as error:
        raise EpisodeFileError(recording.stored.place, f"{cameras[0].color} and others: {error}") from error
    return tuple(
        CameraView(
            name=camera.name,
            color=_decoded(recording.stored, camera.color, decode_color, data),
            depth=_decoded(recording.stored, camera.depth, partial(decode_depth, unit=recording.depth_unit), data),
            intrinsics=camera.intrinsics,
            base_from_camera=camera.base_from_camera,
            stamp=camera.stamp,
            distortion=camera.distortion,
        )
        for camera in cameras
    )


def _load_cloud(recording: _Recording, cameras: tuple[_StoredView, ...], joint_positions: Mapping[str, float]) -> Cloud:
    views = _load_views(recording, cameras)
    try:
        robot = None if recording.robot is None else robot_of_data(recording.robot)
        return fuse_views(views, recording.fusion, robot, joint_positions)
    except ValueError as error:
        raise EpisodeFileError(recording.stored.place, str(error)) from error


def _decode_colors(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(-1, 3)


def _decoded(
    stored: EpisodeBytes, name: str, decode: Callable[[bytes], NDArray[Any]], data: Mapping[str, bytes]
) -> NDArray[Any]:
    try:
        return decode(data[name])
    except ValueError as error:
        raise EpisodeFileError(stored.place, f"member {name}: {error}") from error


def _members(stored: EpisodeBytes, names: Sequence[str], most: int = _MAX_MEMBERS_BYTES) -> dict[str, bytes]:
    """The bytes of some members; their checksums are verified.

    Args:
        most: bytes that they may have together.
    """
    with _archive(stored) as archive:
        return _take(stored.place, archive, names, most)


@contextmanager
def _archive(stored: EpisodeBytes) -> Iterator[zipfile.ZipFile]:
    """The zip of an episode; what is wrong with it in the block becomes an EpisodeFileError."""
    try:
        with stored.open() as stream, zipfile.ZipFile(stream) as archive:
            yield archive
    except EpisodeFileError:
        raise
    # zipfile has no common base for what damaged archives raise.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise EpisodeFileError(stored.place, f"not a complete zip archive ({error})") from error
    except OSError as error:
        raise EpisodeFileError(stored.place, f"cannot be read ({error.strerror or error})") from error


def _take(
    place: Path, archive: zipfile.ZipFile, names: Sequence[str], most: int = _MAX_MEMBERS_BYTES
) -> dict[str, bytes]:
    present = archive.NameToInfo
    for name in names:
        if name not in present:
            raise EpisodeFileError(place, f"member {name} is missing")
        if present[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The others take what memory they like, whatever size they claim.
            raise EpisodeFileError(place, f"member {name} is neither stored nor deflated")
    claimed = sum(present[name].file_size for name in dict.fromkeys(names))
    if claimed > most:
        raise EpisodeFileError(place, f"{', '.join(names):.60} claim {claimed} bytes, expected at most {most}")
    return {name: _read_member(archive, present[name]) for name in names}


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member no longer than it claims; read without a length, it would fill the memory before it is refused."""
    with archive.open(info) as member:
        data = member.read(info.file_size)
    if len(data) != info.file_size:
        raise zipfile.BadZipFile(f"member {info.filename} has {len(data)} of {info.file_size} bytes")
    return data
