"""What a stack does, in the words of the page."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mini_diffuser_ros.support.drawing import GripperGlyph
from mini_diffuser_ros.support.health import HealthLevel
from mini_diffuser_ros.viewing.run_page import beliefs, candidate_glyphs, candidate_values
from mini_diffuser_ros.viewing.run_report import LoggedDecision

KEPT_LINES = 60
"""Of what happened."""
SILENT_AFTER = 5.0  # seconds after which a part that says nothing about itself counts as silent
MOST_SHOWN = 40  # parts of nodes
MOST_CANDIDATES = 20
LONGEST = 400  # characters of a line
LONGEST_FACT = 2000  # characters: a sentence may have as many
HELD = "held (mm)"
POLICY, MOTION = "policy_node", "motion_node"  # whose words the page shows as what is so
CONFIRMS, DENIES = "the world sees the task done", "the world does not see the task done"
IDLE, MOVED = "", "moved"
PERCENT = re.compile(r"(\d{1,3}) ?%")


@dataclass(frozen=True, kw_only=True)
class PartHealth:
    """What a part of a node says about itself: level, line, width in its fingers, when, seconds of the steady clock."""

    level: int
    message: str
    held: str
    heard: float


class RunState:
    """Takes what nodes tell, from any thread, and says what the page shows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, Any] = {
            "sentence": "",
            "phase": IDLE,
            "keyframe": 0,
            "message": "",
            "ready": False,
            "stopped": False,
            "speed": 100.0,
            "speed_reason": "",
            "question": None,
            "world": None,
            "arm": "no joint states",
            "rests": False,
            "ended": None,
        }
        self._decision: LoggedDecision | None = None
        self._health: dict[str, PartHealth] = {}
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def tell(self, **facts: Any) -> None:
        """Facts by their names, those above."""
        with self._lock:
            unknown = facts.keys() - self._told.keys()
            if unknown:
                raise TypeError(f"no facts of the page: {sorted(unknown)}")
            self._told.update({name: _cut(value) for name, value in facts.items()})

    def begin(self, sentence: str) -> None:
        """A sentence is obeyed from now on."""
        self.tell(sentence=sentence, phase="waiting", keyframe=1, message="", ended=None)
        with self._lock:
            self._decision = None
        self.note(f"'{sentence}'")

    def progress(self, phase: str, keyframe: int, message: str) -> None:
        """How far the sentence is."""
        with self._lock:
            before = (self._told["phase"], self._told["keyframe"])
        self.tell(phase=phase, keyframe=keyframe, message=message)
        if before != (phase, keyframe) and phase != MOVED:
            self.note(f"keyframe {keyframe}: {phase} {message}".rstrip())

    def decided(self, decision: LoggedDecision) -> None:
        """The policy has decided."""
        with self._lock:
            self._decision = decision

    def moved(self, chosen: int | None, refusals: Sequence[str]) -> None:
        """Motion has ended with the candidates of the newest decision."""
        with self._lock:
            if self._decision is not None:
                cut = [refusal[:LONGEST] for refusal in refusals]
                self._decision = replace(self._decision, chosen=chosen, refusals=cut)
        for refusal in refusals:
            self.note(f"refused: {refusal}")

    def end(self, done: bool, text: str, changes_world: bool = False) -> None:
        """The sentence has ended.

        Args:
            done: whether with success, as the policy says.
            text: a line about it.
            changes_world: whether a world that judges has to see it done, too.
        """
        ended = {"good": done, "text": text[:LONGEST], "judged": done and changes_world}
        self.tell(phase=IDLE, message="", ended=ended)
        self.note(text)

    def note(self, line: str) -> None:
        """Something that happened now; what is said again in the same second is said once."""
        told = f"{time.strftime('%H:%M:%S')} {line[:LONGEST]}"
        with self._lock:
            if not self._lines or self._lines[-1] != told:
                self._lines.append(told)

    def health(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """A part of a node says how it is."""
        held = values.get(HELD, "")[:LONGEST]
        heard = PartHealth(level=level, message=message[:LONGEST], held=held, heard=time.monotonic())
        name = name[:LONGEST]
        with self._lock:
            if name in self._health or len(self._health) < 10 * MOST_SHOWN:
                self._health[name] = heard

    def held(self) -> str:
        """What the fingers hold, in words, as motion_node says; empty if nothing."""
        with self._lock:
            widths = [part.held for name, part in self._health.items() if name.endswith(": gripper") and part.held]
        return f"holds {widths[0]} mm" if widths else ""

    def glyphs(self) -> list[GripperGlyph]:
        """Of the newest decision's candidates."""
        with self._lock:
            return [] if self._decision is None else candidate_glyphs(self._decision)

    def values(self) -> dict[str, Any]:
        """All of it, as live.js shows it.

        What a node said last stays when it has died. So its words count as long as it says how it is, and ``policy``
        and ``motion`` tell in words where it does not.
        """
        held = self.held()
        with self._lock:
            told, decision, lines = dict(self._told), self._decision, list(self._lines)
            silent = all(map(_is_silent, self._health.values()))
            policy, motion = self._silence(POLICY), self._silence(MOTION)
            rows = [_row(name, part) for name, part in sorted(self._health.items(), key=_worst_first)]
        percent = PERCENT.search(told["message"])
        told["progress"] = int(percent[1]) if percent and told["phase"] not in (IDLE, MOVED) else None
        told["ready"] = told["ready"] and not policy
        told["question"] = None if motion else told["question"]
        told["ended"] = _judged(told["ended"], told.pop("world"))
        modes = decision.modes if decision else []
        return {
            **told,
            "silent": silent,
            "policy": policy,
            "motion": motion,
            "held": held,
            "beliefs": beliefs(decision) if decision else [],
            "candidates": [candidate_values(decision, rank) for rank in range(len(modes))][:MOST_CANDIDATES]
            if decision
            else [],
            "modes": [[*mode.pose[:3], mode.share, mode.spread] for mode in modes],
            "health": rows[:MOST_SHOWN],
            "lines": lines,
        }

    def _silence(self, node: str) -> str:
        """That a node says nothing of itself, in words; empty if it does."""
        heard = [part.heard for name, part in self._health.items() if name.startswith(f"{node}: ")]
        if not heard:
            return f"{node} was not heard yet"
        age = time.monotonic() - max(heard)
        return f"{node} has said nothing for {age:.0f} s" if age > SILENT_AFTER else ""


def _judged(ended: Mapping[str, Any] | None, confirmed: bool | None) -> dict[str, Any] | None:
    """How it ended, as far as a world that judges, if there is one, sees it done."""
    if ended is None:
        return None
    good, text = ended["good"], ended["text"]
    if ended["judged"] and confirmed is not None:
        good, text = confirmed, f"{text}; {CONFIRMS if confirmed else DENIES}"
    return {"good": good, "text": text}


def _cut(fact: Any) -> Any:
    """A fact whose texts, as anybody may publish them, have their longest length."""
    if isinstance(fact, Mapping):
        return {name: _cut(value) for name, value in fact.items()}
    return fact[:LONGEST_FACT] if isinstance(fact, str) else fact


def _level(part: PartHealth) -> int:
    return int(HealthLevel.STALE) if _is_silent(part) else part.level


def _is_silent(part: PartHealth) -> bool:
    return time.monotonic() - part.heard > SILENT_AFTER


def _worst_first(entry: tuple[str, PartHealth]) -> tuple[int, str]:
    return -_level(entry[1]), entry[0]


def _row(name: str, part: PartHealth) -> dict[str, Any]:
    level = _level(part)
    if level == HealthLevel.STALE:
        return {"row": [name, "SILENT", f"nothing for more than {SILENT_AFTER:.0f} s"], "became": "troubled"}
    known = HealthLevel(level).name if level in tuple(HealthLevel) else f"level {level}"
    return {"row": [name, known, part.message], "became": "" if level == HealthLevel.OK else "troubled"}
