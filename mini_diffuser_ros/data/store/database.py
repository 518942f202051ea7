"""Many episodes in one LMDB, what ``mini-diffuser convert`` writes. docs/recordings.md describes the format.

Each value is the zip that a recorded episode would be, so one reader serves both. LMDB commits an episode wholly or not
at all, whoever is killed meanwhile, and maps the file into memory for reading.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import lmdb

from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.data.fields import Fields, parse_json
from mini_diffuser_ros.data.formats.episode_file import digest_of_content, pictures_in, read_episode
from mini_diffuser_ros.data.lmdb_file import DATA_FILE, read_keys, read_value, read_values, writing
from mini_diffuser_ros.records import Episode, FusionConfig
from mini_diffuser_ros.support.holding import HeldError, Hold
from mini_diffuser_ros.support.sealing import sealed, unsealed
from mini_diffuser_ros.support.settings import SettingsError, from_mapping

LAYOUT = "a converted set (data.mdb)"
FORMAT = "mini_diffuser_ros episodes"
FORMAT_VERSION = 2
"""The first version does not say of which digests its episodes are. It is read, too."""
ABOUT = "about"
"""The key that holds no episode but what all have in common. No episode is called so: their names contain a ``/`` or a
number."""

_RECORD = "digest:"
"""Begins the key beside an episode's: the digest of what it was made from, then that of its zip, 32 bytes each."""

_KNOWN = {"format", "format_version", "contents", "fusion"}
_LOCK = ".writer"  # file in the folder, locked while it is written into
_DIGEST = 32  # bytes
_FIRST_MAP = 2**26  # bytes; doubled whenever it is full
_PAGES_BESIDE = 2**16  # bytes that a commit may write beside the value
_MAX_KEY = 511  # bytes, LMDB's own limit


class Contents(str, Enum):
    """What is stored of each keyframe: the fused cloud, or the images that it is fused from."""

    CLOUDS = "clouds"
    IMAGES = "images"


@dataclass(frozen=True)
class About:
    """What all episodes of a database have in common.

    Attributes:
        contents: what is stored of each keyframe.
        fusion: how views became (clouds) or become (images) a cloud; None where the source did not say.
    """

    contents: Contents
    fusion: FusionConfig | None


@dataclass(frozen=True)
class DatabaseEpisode:
    """An episode in a database, unread."""

    source: str
    folder: Path
    fusion: FusionConfig | None

    @property
    def place(self) -> Path:
        """What error messages call it."""
        return self.folder / self.source

    def open(self) -> BinaryIO:
        """The bytes of its zip."""
        return BytesIO(read_value(self.folder, self.source))

    def digest(self) -> bytes:
        """The digest of what it was made from; in sets of the first version that of what is stored.

        Raises:
            EpisodeFileError: if it is not what was written into the database.
        """
        values = read_values(self.folder, (self.source, _RECORD + self.source))
        if _RECORD + self.source not in values or self.source not in values:
            return digest_of_content(self)
        digest = _digest_of_intact(values, self.source)
        if digest is None:
            raise EpisodeFileError(self.place, "is not what was converted, it has changed since; convert it again")
        return digest

    def pictures(self) -> frozenset[int]:
        """See :class:`StoredEpisode`."""
        return pictures_in(self)

    def read(self) -> Episode:
        """Read the episode's index; clouds and images are read when asked for.

        Raises:
            EpisodeFileError: naming the database, the episode, the field and what was expected.
        """
        return read_episode(self, self.source, FusionConfig() if self.fusion is None else self.fusion)


def read_about(folder: Path) -> About:
    """What the episodes of a database have in common.

    Raises:
        EpisodeFileError: if this is no database of ours, or of another version.
    """
    fields = _index(folder)
    fields.expect("format", FORMAT)
    if fields.integer("format_version") not in (1, FORMAT_VERSION):
        raise fields.fault("format_version", f"1 or {FORMAT_VERSION}, the versions that this program reads")
    contents = fields.text("contents")
    if contents not in [known.value for known in Contents]:
        raise fields.fault("contents", f"one of {', '.join(known.value for known in Contents)}")
    return About(Contents(contents), _fusion(fields))


def find_episodes(root: Path, fusion: FusionConfig | None, sentences: Path | None) -> Episodes | None:
    """The episodes of a database of ours; None if there is none.

    Raises:
        DataError: if its clouds were fused otherwise than asked for.
    """
    if not (root / DATA_FILE).is_file() or ABOUT not in (keys := read_keys(root)):
        return None
    about = read_about(root)
    if fusion is not None and about.contents is Contents.CLOUDS and fusion != about.fusion:
        raise DataError(f"{root}: its clouds were fused with {about.fusion}; open it without a fusion")
    unknown = [key for key in keys if is_episode(key) and _RECORD + key not in keys]
    if unknown and _index(root).integer("format_version") == FORMAT_VERSION:
        raise EpisodeFileError(
            root / unknown[0],
            f"has no record of what it was made from ({len(unknown)} of the set have none); convert the set again",
        )
    used = about.fusion if fusion is None else fusion
    return Episodes([DatabaseEpisode(key, root, used) for key in keys if is_episode(key)], used)


def read_digests(folder: Path) -> dict[str, bytes]:
    """Names of a database's episodes, and the digests of what they were made from; none for those that do not say it,
    or are not what was written any more.

    Raises:
        EpisodeFileError: if it cannot be read, naming the file.
    """
    digests = {}
    for key in read_keys(folder):
        source = key.removeprefix(_RECORD)
        if source != key and (digest := _digest_of_intact(read_values(folder, (source, key)), source)):
            digests[source] = digest
    return digests


def _digest_of_intact(values: dict[str, bytes], source: str) -> bytes | None:
    """The digest of what an episode was made from, if its value is that which was written."""
    record = values.get(_RECORD + source)
    if record is None or source not in values or hashlib.sha256(values[source]).digest() != record[_DIGEST:]:
        return None
    return record[:_DIGEST]


def is_episode(key: str) -> bool:
    """Whether a key of a database is an episode's name."""
    return key != ABOUT and not key.startswith(_RECORD)


class EpisodeDatabase:
    """Appends episodes to a database, one process at a time; use it in a ``with`` statement.

    Args:
        folder: made if missing. An existing database is added to; one of the first version becomes one of the second.
        about: what the episodes have in common.

    Raises:
        DataError: if it cannot be made or written, another process writes it, or its episodes are of another kind.
    """

    def __init__(self, folder: Path, about: About) -> None:
        self.folder = folder
        if next(folder.glob("*.zip"), None) is not None:
            raise DataError(
                f"{folder} holds recordings (*.zip), which would not be read beside it; choose another folder"
            )
        with ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(Hold(folder / _LOCK, f"the converted set {folder}"))
                self._writer = stack.enter_context(writing(folder, _FIRST_MAP))
            except (OSError, lmdb.Error) as error:
                raise DataError(f"cannot make the database {folder}: {_cause(error)}") from error
            except HeldError as error:
                raise DataError(str(error)) from None
            first, second = (
                {"format": FORMAT, "format_version": version, **asdict(about)} for version in (1, FORMAT_VERSION)
            )
            index = json.dumps(sealed(second)).encode()
            with self._writer.environment.begin() as transaction:
                existing = transaction.get(ABOUT.encode())
            if existing not in (None, json.dumps(first).encode(), json.dumps(second).encode(), index):
                raise DataError(f"{folder} holds episodes of another kind; choose another destination")
            self._put({**self._records(about.fusion), ABOUT: index})
            self._open = stack.pop_all()

    def _records(self, fusion: FusionConfig | None) -> dict[str, bytes]:
        """Records of the episodes that have none, as in a set of the first version: of what is stored."""
        keys = read_keys(self.folder)
        records: dict[str, bytes] = {}
        for key in keys:
            if is_episode(key) and _RECORD + key not in keys:
                stored = DatabaseEpisode(key, self.folder, fusion)
                with suppress(EpisodeFileError):  # a damaged one is made anew, or stays refused
                    digest = hashlib.sha256(read_value(self.folder, key)).digest()
                    records[_RECORD + key] = digest_of_content(stored) + digest
        return records

    def sources(self) -> frozenset[str]:
        """Names of the episodes that are committed."""
        return frozenset(key for key in read_keys(self.folder) if is_episode(key))

    def add(self, source: str, episode: bytes, digest: bytes) -> None:
        """Commit an episode, in place of one of the same name; it is on the disk before this returns.

        Args:
            source: its name.
            episode: the bytes of its zip.
            digest: of what it was made from.

        Raises:
            DataError: if it cannot be written.
        """
        longest = _MAX_KEY - len(_RECORD)
        if not 0 < len(source.encode()) <= longest or not is_episode(source):
            raise DataError(f"episode {source!r} cannot be a key of {self.folder}, expected at most {longest} bytes")
        self._put({source: episode, _RECORD + source: digest + hashlib.sha256(episode).digest()})

    def remove(self, source: str) -> None:
        """Remove an episode; that is on the disk before this returns.

        Raises:
            DataError: if it cannot be written.
        """
        self._put({source: None, _RECORD + source: None})

    def _put(self, values: Mapping[str, bytes | None]) -> None:
        """Commit values, None for those that are to be gone, together."""
        while True:
            try:
                with self._writer.environment.begin(write=True) as transaction:
                    for key, value in values.items():
                        if value is None:
                            transaction.delete(key.encode())
                        else:
                            transaction.put(key.encode(), value)
                return
            except lmdb.MapFullError:
                self._writer.enlarge()
            except lmdb.Error as error:
                # LMDB calls what a full disk does to it an input/output error.
                needed = sum(len(value) for value in values.values() if value is not None) + _PAGES_BESIDE
                full = shutil.disk_usage(self.folder).free < needed
                cause = os.strerror(errno.ENOSPC) if full else _cause(error)
                raise DataError(f"cannot write into {self.folder}: {cause}") from error

    def __enter__(self) -> EpisodeDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def _index(folder: Path) -> Fields:
    """What a database says of itself, if that is what was written."""
    file = folder / DATA_FILE
    values = parse_json(file, read_value(folder, ABOUT), ABOUT)
    Fields(file, values, "", ABOUT)
    try:
        rest = unsealed(values)
    except ValueError:
        raise EpisodeFileError(file, f"{ABOUT} has changed since it was written; convert the set again") from None
    if strange := sorted(rest.keys() - _KNOWN):
        raise EpisodeFileError(file, f"{ABOUT} has the field {strange[0]!r}, which is unknown; convert the set again")
    return Fields(file, rest, "", ABOUT)


def _fusion(fields: Fields) -> FusionConfig | None:
    settings = fields.optional_object("fusion")
    try:
        return None if settings is None else from_mapping(FusionConfig, settings, "", "fusion")
    except SettingsError as error:
        raise EpisodeFileError(fields.file, str(error)) from error


def _cause(error: Exception) -> str:
    """The system's own words at the end of LMDB's message, which begins with the name of a C function."""
    return str(getattr(error, "strerror", None) or str(error).rsplit(": ", 1)[-1])
