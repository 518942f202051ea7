"""What is kept of one sentence: times, keyframes, outcome, and the folder they are written to."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.support.drawing import draw_cloud, glyphs_of_modes
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.health import HealthLevel
from mini_diffuser_ros.support.settings import from_mapping
from mini_diffuser_ros.support.versions import software_versions
from mini_diffuser_ros.viewing.joint_speeds import JointPeak

UNFINISHED = "UNFINISHED"
"""Outcome of a run that goes on, or was killed: what it left is what it wrote when it began."""
RUN_FILE, PICTURE = "run.json", "cloud.png"
"""Of a run folder: this report, and the cloud of the first decision with its candidates."""

DRAWN_MODES = 8  # more hide each other
_MOST_OF_A_SECOND = 1000  # run folders
_MOST_TOLD = 300  # characters of what is wrong with a file
_POSE = 7  # numbers
_WELL = HealthLevel.OK.name
_MOST_FINDINGS = 400  # of diagnostics; parts that come and go would fill the file
_MOST_OF_A_PART = 20  # of these
_FIRST_OF_A_PART = 8  # that are kept, besides those at its end
_LONGEST = 1000  # characters of what a part says; others may say anything


@dataclass(frozen=True)
class Event:
    """Progress of the run: seconds since the sentence, phase, number of the keyframe, text."""

    seconds: float
    phase: str
    keyframe: int
    message: str


@dataclass(frozen=True)
class LoggedMode:
    """A candidate keyframe: pose xyz + xyzw, gripper, end signal, share and spread (metres); None is no number."""

    pose: list[float | None]
    gripper_open: bool
    terminate: bool
    share: float | None
    spread: float | None


@dataclass(frozen=True)
class LoggedDecision:
    """One decision, and what motion made of it.

    Attributes:
        seconds: since the sentence.
        points: size of the cloud, None if it was not seen here.
        modes: candidates, the most probable first.
        keyframe: number that it was made for, 0 if that is not known.
        seed: of its noise.
        familiarity: of the sentence, 0 to 1; None where the policy does not know, as for the next two.
        presence: probability that everything the sentence names is there.
        completion: probability that the task was done already.
        sureness: of each mode, in their order: probability that all of it is right; none where that is not known.
        chosen: index of the mode that was executed, None if none was.
        refusals: one line for each candidate that motion refused.
    """

    seconds: float
    points: int | None
    modes: list[LoggedMode]
    keyframe: int = 0
    seed: int = 0
    familiarity: float | None = None
    presence: float | None = None
    completion: float | None = None
    sureness: list[float | None] = field(default_factory=list)
    chosen: int | None = None
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HealthChange:
    """What a part of a node said about itself, when it changed: seconds since the sentence, part, level, text."""

    seconds: float
    name: str
    level: str
    message: str


@dataclass
class RunReport:
    """One sentence from beginning to end.

    Attributes:
        instruction: the sentence.
        namespace: of the arm that was told, empty where it has none.
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
        findings: what diagnostics said, each time that a part's level changed, or its words where not all is well; of
            each part the latest and the first ERROR at least.
        findings_left_out: of each part, how many others there were.
        joint_peaks: the fastest of each joint.
        missing: parts of the record that could not be kept, as the film, each with why.
        checkpoint: digest of the policy that decided, empty if none did.
        computed_on: what the policy ran on.
        versions: of the software of this machine.
    """

    instruction: str
    namespace: str = ""
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
    findings: list[HealthChange] = field(default_factory=list)
    findings_left_out: dict[str, int] = field(default_factory=dict)
    joint_peaks: list[JointPeak] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    checkpoint: str = ""
    computed_on: str = ""
    versions: dict[str, str] = field(default_factory=software_versions)

    def moved(self, chosen: int | None, refusals: Sequence[str]) -> None:
        """Motion has ended with the candidates of the newest decision, or of one not heard of if that has fewer."""
        if self.decisions:
            last = self.decisions[-1]
            known = chosen if chosen is None or chosen < len(last.modes) else None
            self.decisions[-1] = replace(last, chosen=known, refusals=list(refusals))

    def diagnosed(self, seconds: float, name: str, level: int, message: str) -> None:
        """A part of a node says how it is; kept if that has changed, and be it in more than its numbers.

        Of the time before the sentence, seconds 0, the last state alone is kept: nodes that start miss each other.
        """
        said = HealthLevel(level).name if level in tuple(HealthLevel) else f"level {level}"
        told = "" if level == HealthLevel.OK else message
        name = name[:_LONGEST]
        change = HealthChange(round(seconds, 3), name, said, told[:_LONGEST])
        if seconds == 0.0:
            self.findings = [each for each in self.findings if each.name != name]
        last = next((each for each in reversed(self.findings) if each.name == name), None)
        if last is None or _saying(last) != _saying(change):
            self.findings.append(change)
            self._limit_findings(name)

    def _limit_findings(self, newest: str) -> None:
        """Leave out what can be spared: of the part that has just spoken, if it says much, else of who says most."""
        counts = Counter(each.name for each in self.findings)
        if counts[newest] > _MOST_OF_A_PART:
            part = newest
        elif len(self.findings) > _MOST_FINDINGS:
            part = max(counts, key=lambda name: counts[name])
        else:
            return
        own = [each for each in self.findings if each.name == part]
        spared = _spared(own)
        # Of more parts than any stack has, those that were well all the time.
        spared = spared or next(
            (each for each in self.findings if counts[each.name] == 1 and each.level == _WELL), own[0]
        )
        # By identity: the same may be said twice at a time.
        del self.findings[next(place for place, each in enumerate(self.findings) if each is spared)]
        left_out = self.findings_left_out
        of = spared.name if spared.name in left_out or len(left_out) < _MOST_FINDINGS else "other parts"
        left_out[of] = left_out.get(of, 0) + 1

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
        verdict = f"no end: {self.message}" if self.outcome == UNFINISHED else verdict
        motion = self.sentence_to_first_motion_s
        first = "no motion" if motion is None else f"first motion after {motion:.1f} s"
        return f"{task}'{self.instruction}': {verdict}, {self.keyframes} keyframes, {self.seconds:.1f} s, {first}"

    def begun(self) -> RunReport:
        """What is to be said of the run while it goes on, and is left of it if it is killed; it changes no more."""
        said = replace(self, outcome=UNFINISHED, message="it goes on, or was ended before it could say how")
        return deepcopy(said)

    def write(self, folder: Path) -> None:
        """Write run.json.

        Raises:
            OSError: if it cannot be written.
        """
        document = asdict(self)
        for name in ("findings", "decisions", "events"):  # the long ones last
            document[name] = document.pop(name)
        write_whole(folder / RUN_FILE, json.dumps(document, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunReport:
        """That of a run folder; what an earlier version did not write stays empty.

        Raises:
            UserError: if the folder holds none.
        """
        path = folder / RUN_FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(document, Mapping):
                raise TypeError(f"it holds {document!r}, no mapping")
            known = {each.name for each in fields(cls)}
            values = {"versions": {}, **{key: value for key, value in document.items() if key in known}}
            report = from_mapping(cls, values, "")
            report.check()
        except (OSError, ValueError, TypeError, RecursionError) as error:
            problem = one_line(error)[:_MOST_TOLD]
            raise UserError(f"{path}: is no record of a run ({problem}); give a folder that run_node made") from error
        return report

    def check(self) -> None:
        """Refuse what no run can be, as a file that was damaged or edited may say.

        Raises:
            ValueError: in a line, what contradicts itself.
        """
        if self.success and (self.outcome != "TERMINATED" or self.confirmed is False):
            world = "" if self.confirmed is not False else ", which the world does not confirm"
            raise ValueError(f"success is true of a run that ended with {self.outcome}{world}")
        times = {"seconds": self.seconds, "keyframes": self.keyframes}
        times |= {f"events[{k}].seconds": event.seconds for k, event in enumerate(self.events)}
        times |= {f"decisions[{k}].seconds": decision.seconds for k, decision in enumerate(self.decisions)}
        times |= {f"joint_peaks[{k}].share": peak.share for k, peak in enumerate(self.joint_peaks)}
        if early := [name for name, value in times.items() if value < 0]:
            raise ValueError(f"{early[0]} is {times[early[0]]:g}, less than nothing")
        for number, decision in enumerate(self.decisions):
            if any(len(mode.pose) != _POSE for mode in decision.modes):
                raise ValueError(f"decisions[{number}] has a pose of other than {_POSE} numbers")
            if decision.chosen is not None and not 0 <= decision.chosen < len(decision.modes):
                raise ValueError(f"decisions[{number}] has no candidate {decision.chosen}, which was chosen")


def _saying(change: HealthChange) -> tuple[str, str]:
    """What is said but for its numbers."""
    return change.level, re.sub(r"\d+(\.\d+)?", "#", change.message)


def _spared(changes: Sequence[HealthChange]) -> HealthChange | None:
    """Which of a part's changes says least: never its latest, nor its first ERROR; None if there are no others.

    Between its first ones and its last ones it is the oldest that repeats what was said before.
    """
    said: set[tuple[str, str]] = set()
    repeated, others, has_failed = [], [], False
    for place, change in enumerate(changes[:-1]):
        first_error = change.level == HealthLevel.ERROR.name and not has_failed
        has_failed = has_failed or first_error
        if not first_error:
            others.append(change)
            if place >= _FIRST_OF_A_PART and _saying(change) in said:
                repeated.append(change)
        said.add(_saying(change))
    later = others[_FIRST_OF_A_PART:] or others[::-1]
    return next(iter([*repeated, *later]), None)


def known_or_none(value: float, digits: int = 4) -> float | None:
    """A number for JSON: rounded to some digits behind the point, None where it is none."""
    return round(float(value), digits) if math.isfinite(value) else None


def logged(modes: Sequence[KeyframeMode]) -> list[LoggedMode]:
    """Modes in plain types."""
    return [
        LoggedMode(
            [known_or_none(value, 5) for value in mode.pose],
            bool(mode.gripper_open),
            bool(mode.terminate),
            known_or_none(mode.share),
            known_or_none(mode.spread, 5),
        )
        for mode in modes
    ]


def make_run_folder(parent: Path, instruction: str) -> Path:
    """A new folder named after time and sentence, numbered where another run has that name already.

    Raises:
        OSError: if it cannot be made.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", instruction.lower()).strip("-")[:60] or "run"
    name = f"{datetime.now():%Y%m%d-%H%M%S}_{slug}"
    parent.mkdir(parents=True, exist_ok=True)
    for count in range(1, _MOST_OF_A_SECOND):
        folder = parent / (name if count == 1 else f"{name}_{count}")
        try:
            folder.mkdir()
        except FileExistsError:  # two arms may be told the same at once
            continue
        return folder
    raise FileExistsError(f"{parent} holds {_MOST_OF_A_SECOND} runs of this second")


def draw_decision(path: Path, cloud: Cloud, modes: Sequence[KeyframeMode], title: str) -> None:
    """Write a picture of a cloud with the most probable candidate keyframes in it."""
    draw_cloud(cloud, glyphs_of_modes(modes[:DRAWN_MODES]), title=title).save(path)
