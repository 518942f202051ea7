"""What the recorder holds: the episode under way, or one that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

import numpy as np

from mini_diffuser_ros.data import DataError, EpisodeStore, UnfinishedEpisode, find_unfinished
from mini_diffuser_ros.data.unfinished import local_time
from mini_diffuser_ros.geometry import quaternion_angle
from mini_diffuser_ros.records import UNSAID, Keyframe, Provenance
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.holding import HeldError, Hold

_LOCK = ".recorder"  # file in the folder, locked while it is recorded into
_SAME_PLACE, _SAME_DIRECTION = 0.003, 0.03  # metres and radians that a resting arm may drift


class RecorderError(UserError, RuntimeError):
    """What was asked for does not fit what the recorder is doing."""


class RecorderState(Enum):
    """What the recorder is doing."""

    IDLE = "idle"
    RECORDING = "recording"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class EpisodeProgress:
    """The episode that the recorder holds; names as in RecorderStatus."""

    state: RecorderState
    task: str = ""
    sentences: tuple[str, ...] = ()
    episode: str = ""
    keyframes: int = 0


class EpisodeRecorder:
    """Records one episode after another into a directory. What another run left unfinished is offered first.

    Every method that changes something returns one line that says what was done, and raises RecorderError or DataError
    with one line that says why it was not. Not thread-safe.

    Args:
        folder: of the episodes.
        robot: name of the robot description.
        source: what episodes say about where they come from.
        provenance: asked at the start of each in which world it is made.
        now: asked at the start of each for date and time, which are part of where it comes from.

    Raises:
        DataError: if the folder cannot be made or written to, or another recorder records into it.
        UnknownRobotError: if there is no such description.
    """

    def __init__(
        self,
        folder: Path,
        robot: str,
        source: str,
        provenance: Callable[[], Provenance] = lambda: UNSAID,
        now: Callable[[], datetime] = local_time,
    ) -> None:
        self._store = EpisodeStore(folder, robot)
        try:
            self._hold = Hold(folder / _LOCK, f"the folder of recordings {folder}")
        except HeldError as error:
            raise DataError(str(error)) from None
        except OSError as error:
            raise DataError(f"cannot write into {folder}: {error.strerror or error}") from error
        self._source, self._provenance, self._now = source, provenance, now
        self._episode: UnfinishedEpisode | None = None
        self._interrupted = False
        self._unusable: set[Path] = set()

    @property
    def folder(self) -> Path:
        """Where episodes go."""
        return self._store.path

    @property
    def progress(self) -> EpisodeProgress:
        """The episode that is held now."""
        if self._episode is None:
            return EpisodeProgress(RecorderState.IDLE)
        return EpisodeProgress(
            RecorderState.UNFINISHED if self._interrupted else RecorderState.RECORDING,
            self._episode.task,
            self._episode.sentences,
            self._episode.name,
            len(self._episode),
        )

    def look_for_unfinished(self) -> str:
        """Hold the oldest episode that was left unfinished, if nothing else is held; empty if there is none."""
        problems = []
        for folder in find_unfinished(self._store) if self._episode is None else ():
            if folder in self._unusable:
                continue
            try:
                self._episode, self._interrupted = UnfinishedEpisode.reopen(self._store, folder), True
            except DataError as error:
                self._unusable.add(folder)
                problems.append(f"left as it is: {error}")
                continue
            return f"found {self._said()}, which was interrupted: resume, end or drop it"
        return "; ".join(problems)

    def count_unfinished(self) -> str:
        """A line about episodes that were left unfinished, empty if there are none; they stay as they are."""
        left = len(find_unfinished(self._store))
        if not left:
            return ""
        return f"{left} unfinished in {self._store.path}: a recorder with mark:=manual resumes, ends or drops them"

    def start(self, task: str, sentences: Sequence[str], variation: int) -> str:
        """Begin an episode."""
        if self._episode is not None:
            remedy = "resume, end or drop it first" if self._interrupted else "end or drop it first"
            raise RecorderError(f"{self._said()} is not finished: {remedy}")
        texts = tuple(sentence.strip() for sentence in sentences)
        self._episode = UnfinishedEpisode.begin(
            self._store, task, texts, variation, self._source, self._provenance(), self._now()
        )
        self._interrupted = False
        return f"recording {task}: '{texts[0]}'"

    def resume(self) -> str:
        """Go on with the episode that was interrupted; looks for one if none is held."""
        problem = self.look_for_unfinished()
        if self._episode is None:
            raise RecorderError(problem or f"there is no unfinished episode in {self._store.path}")
        if not self._interrupted:
            raise RecorderError(f"{self._said()} is being recorded")
        self._interrupted = False
        return f"going on with {self._said()}"

    def last_keyframe(self) -> Keyframe | None:
        """The last one of the episode that is held, None without one."""
        return None if self._episode is None else self._episode.last()

    def check_recording(self) -> None:
        """Refuse a keyframe while there is no episode to add it to."""
        if self._episode is None:
            raise RecorderError("no episode is being recorded: start one first")
        if self._interrupted:
            raise RecorderError(f"{self._said()} was interrupted: resume, end or drop it first")

    def add(self, keyframe: Keyframe) -> str:
        """Add a keyframe; warns of one that is like the last, as a second press of a button makes it."""
        self.check_recording()
        before = self._held().last()
        number = self._held().add(keyframe)
        repeated = before is not None and _is_like(before, keyframe)
        return f"keyframe {number}{' (nothing has changed since the last one: drop it?)' if repeated else ''}"

    def drop_keyframe(self) -> str:
        """Take the last keyframe out of the episode."""
        self.check_recording()
        moved = self._held().drop_last()
        return f"dropped the last keyframe, {len(self._held())} are left; it is kept as {moved}"

    def end(self, failed: bool = False) -> str:
        """Make a file of the episode.

        Args:
            failed: whether it goes into the folder ``failed`` instead, where training does not look.
        """
        episode = self._held()
        count = len(episode)
        folder = self._store.path
        file = episode.finish(EpisodeStore(folder / "failed", self._store.robot, folder) if failed else None)
        self._episode = None
        return f"wrote {file} with {count} keyframes"

    def drop(self) -> str:
        """Put the whole episode aside."""
        said, moved = self._said(), self._held().drop()
        self._episode = None
        return f"dropped {said}" if moved is None else f"dropped {said}; it is kept as {moved}"

    def close(self) -> None:
        """Leave what is unfinished, and the folder, to the next recorder."""
        if self._episode is not None and not len(self._episode):
            self._episode.drop()
        elif self._episode is not None:
            self._episode.close()
        self._hold.release()

    def _held(self) -> UnfinishedEpisode:
        if self._episode is None:
            raise RecorderError("no episode is being recorded")
        return self._episode

    def _said(self) -> str:
        episode = self._held()
        return f"episode {episode.name} with {len(episode)} keyframe{'s' * (len(episode) != 1)}"


def _is_like(one: Keyframe, other: Keyframe) -> bool:
    near = np.linalg.norm(np.subtract(one.pose[:3], other.pose[:3])) < _SAME_PLACE
    turned = quaternion_angle(one.pose[3:], other.pose[3:])
    return bool(near) and turned < _SAME_DIRECTION and one.gripper_open == other.gripper_open
