"""What is kept of one sentence: times, keyframes, outcome, and the folder they are written to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.support.drawing import draw_cloud, glyphs_of_modes
from mini_diffuser_ros.support.files import write_whole

DRAWN_MODES = 8  # more hide each other


@dataclass(frozen=True)
class Event:
    """Progress of the run: seconds since the sentence, phase, number of the keyframe, text."""

    seconds: float
    phase: str
    keyframe: int
    message: str


@dataclass(frozen=True)
class LoggedMode:
    """A candidate keyframe: pose xyz + xyzw, gripper, end signal, share and spread (metres)."""

    pose: list[float]
    gripper_open: bool
    terminate: bool
    share: float
    spread: float


@dataclass(frozen=True)
class LoggedDecision:
    """One decision: seconds since the sentence, size of the cloud (None if it was not seen here), candidates."""

    seconds: float
    points: int | None
    modes: list[LoggedMode]


@dataclass
class RunReport:
    """One sentence from beginning to end.

    Attributes:
        instruction: the sentence.
        task: name of the task in the simulated world, empty where there is none.
        started: local time, ISO 8601.
        outcome: name of the constant of ExecuteInstruction's result.
        message: what the policy said about the outcome.
        success: the policy ended the task, and the world, where there is one, confirms it.
        confirmed: what the simulated world says, None without one.
        keyframes: reached.
        seconds: from the sentence to the end.
        sentence_to_first_motion_s: until a joint moved, None if none did.
        events: progress.
        decisions: in order of time.
    """

    instruction: str
    task: str = ""
    started: str = field(default_factory=lambda: datetime.now().isoformat(timespec="seconds"))
    outcome: str = "FAILED"
    message: str = "not ended"
    success: bool = False
    confirmed: bool | None = None
    keyframes: int = 0
    seconds: float = 0.0
    sentence_to_first_motion_s: float | None = None
    events: list[Event] = field(default_factory=list)
    decisions: list[LoggedDecision] = field(default_factory=list)

    def conclude(self) -> None:
        """Judge success from the outcome and what the world says, and say why it is none."""
        ended = self.outcome == "TERMINATED"
        self.success = ended and self.confirmed is not False
        if ended and not self.success:
            self.message = "the policy ended its task, but the world does not confirm success"

    def summary(self) -> str:
        """The run in one line."""
        task = f"{self.task} " if self.task else ""
        verdict = "success" if self.success else f"failure ({self.outcome}: {self.message})"
        motion = self.sentence_to_first_motion_s
        first = "no motion" if motion is None else f"first motion after {motion:.1f} s"
        return f"{task}'{self.instruction}': {verdict}, {self.keyframes} keyframes, {self.seconds:.1f} s, {first}"

    def write(self, folder: Path) -> None:
        """Write run.json."""
        document = {key: value for key, value in asdict(self).items() if key not in ("events", "decisions")}
        document["decisions"] = [asdict(decision) for decision in self.decisions]
        document["events"] = [asdict(event) for event in self.events]
        write_whole(folder / "run.json", json.dumps(document, indent=2) + "\n")


def logged(modes: Sequence[KeyframeMode]) -> list[LoggedMode]:
    """Modes in plain types."""
    return [
        LoggedMode(
            [round(float(value), 5) for value in mode.pose],
            bool(mode.gripper_open),
            bool(mode.terminate),
            round(float(mode.share), 4),
            round(float(mode.spread), 5),
        )
        for mode in modes
    ]


def make_run_folder(parent: Path, instruction: str) -> Path:
    """A new folder named after time and sentence.

    Raises:
        OSError: if it cannot be made.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", instruction.lower()).strip("-")[:60] or "run"
    folder = parent / f"{datetime.now():%Y%m%d-%H%M%S}_{slug}"
    folder.mkdir(parents=True)
    return folder


def draw_decision(path: Path, cloud: Cloud, modes: Sequence[KeyframeMode], title: str) -> None:
    """Write a picture of a cloud with the most probable candidate keyframes in it."""
    draw_cloud(cloud, glyphs_of_modes(modes[:DRAWN_MODES]), title=title).save(path)
