"""All episodes checked: what there is, what is wrong, on a screen or as JSON. docs/recordings.md describes both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mini_diffuser_ros.data.checks.episode import Examined
from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.checks.together import compare

FORMAT_VERSION = 1
"""Of the JSON."""

_LINES = 30  # of faults on one screen
_NAMED = 3  # episodes or tasks of one fault


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What a check of a data set has found.

    Attributes:
        episodes: all of them, in their order.
        faults: of all, errors first; of one episode in the order of the episodes.
    """

    episodes: tuple[Examined, ...]
    faults: tuple[Fault, ...]

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(fault.is_error for fault in self.faults)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return len(self.faults) - self.errors

    def lines(self, everything: bool = False) -> Iterator[str]:
        """What a person wants to read: one fault in many episodes is one line.

        Args:
            everything: a line for each occurrence instead.
        """
        if everything:
            yield from map(_line, self.faults)
        else:
            groups = list(_grouped(self.faults))
            yield from (_line_of(group) for group in groups[:_LINES])
            if len(groups) > _LINES:
                yield f"and {len(groups) - _LINES} more kinds of faults: --all names them"
        tasks = len({episode.task for episode in self.episodes if episode.task})
        bad = len({name for fault in self.faults if fault.is_error for name in fault.episodes})
        yield (
            f"{_counted(len(self.episodes), 'episode')} of {_counted(tasks, 'task')}: "
            f"{_counted(self.errors, 'error')} in {_counted(bad, 'episode')}, {_counted(self.warnings, 'warning')}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        read = [episode for episode in self.episodes if episode.task]
        return {
            "format": "mini_diffuser_ros check",
            "format_version": FORMAT_VERSION,
            "episodes": len(self.episodes),
            "errors": self.errors,
            "warnings": self.warnings,
            "tasks": dict(sorted(Counter(episode.task for episode in read).items())),
            "robots": _counts(robot for episode in read for robot in episode.robots),
            "frames": _counts(episode.frame for episode in read if episode.frame),
            "cameras": _counts(name for episode in read for name in episode.camera_names),
            "findings": [
                {
                    "severity": "error" if fault.is_error else "warning",
                    "kind": fault.kind,
                    "problem": fault.problem,
                    "episodes": list(fault.episodes),
                }
                for fault in self.faults
            ],
        }


def report_on(episodes: Iterable[Examined]) -> CheckReport:
    """The report on episodes that have been examined."""
    all_of_them = tuple(episodes)
    found = [fault for episode in all_of_them for fault in episode.faults]
    found += compare(all_of_them)
    return CheckReport(all_of_them, tuple(sorted(found, key=lambda fault: not fault.is_error)))


def _grouped(faults: Sequence[Fault]) -> Iterator[list[Fault]]:
    """The same faults together; those that differ in numbers and names alone are the same."""
    groups: dict[tuple[bool, str], list[Fault]] = {}
    for fault in faults:
        groups.setdefault((fault.is_error, fault.kind), []).append(fault)
    return iter(groups.values())


def _line(fault: Fault) -> str:
    return f"{_severity(fault)}: {_placed(fault)}"


def _line_of(group: Sequence[Fault]) -> str:
    if len(group) == 1 and len(group[0].episodes) <= 1:
        return _line(group[0])
    if len(group) > 1 and all(fault.task for fault in group):
        named = "; ".join(fault.problem for fault in group[:_NAMED]) + ("; …" if len(group) > _NAMED else "")
        return f"{_severity(group[0])}: {group[0].kind}: {_counted(len(group), 'task')}: {named}"
    names = list(dict.fromkeys(name for fault in group for name in fault.episodes))
    listed = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return f"{_severity(group[0])}: {group[0].kind}: {_times(group, names)} ({listed}); {_placed(group[0])}"


def _times(group: Sequence[Fault], names: Sequence[str]) -> str:
    times = f"{len(group)} times in " if len(group) > len(names) else ""
    return f"{times}{_counted(len(names), 'episode')}"


def _placed(fault: Fault) -> str:
    own = fault.episodes[0] if len(fault.episodes) == 1 else ""
    return fault.problem if not own or _names_it(fault.problem, own) else f"{own}: {fault.problem}"


def _names_it(problem: str, episode: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(episode)}(?![\w-])", problem) is not None


def _severity(fault: Fault) -> str:
    return "error" if fault.is_error else "warning"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
