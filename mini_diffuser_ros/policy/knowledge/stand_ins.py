"""Names that stand for each other, each replaced by one that stands for all: to press the red one is to press any."""

from __future__ import annotations

import re
from collections.abc import Sequence


class StandIns:
    """Reads a sentence without regard to which of the taught names it says.

    The first name of a class that a sentence says becomes the first of the class, another the second, and so on; a
    name that is said again becomes the same again.

    Args:
        classes: of names that stand for each other, in lower case.
    """

    def __init__(self, classes: Sequence[Sequence[str]]) -> None:
        self._classes = classes
        self._class_of = {name: number for number, names in enumerate(classes) for name in names}
        names = sorted(self._class_of, key=len, reverse=True)
        either = "|".join(r"[\s-]+".join(map(re.escape, name.split())) for name in names)
        self._pattern = re.compile(rf"\b(?:{either})\b" if names else r"(?!)", re.IGNORECASE)

    def read(self, sentence: str) -> str:
        """The sentence with stand-ins for names."""
        said: dict[int, list[str]] = {}

        def stand_in(match: re.Match[str]) -> str:
            name = " ".join(re.split(r"[\s-]+", match.group().lower()))
            number = self._class_of[name]
            seen = said.setdefault(number, [])
            if name not in seen:
                seen.append(name)
            return self._classes[number][seen.index(name)]

        return self._pattern.sub(stand_in, sentence)


def merged(classes: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Classes of which no two share a name: those that do are one."""
    found: list[set[str]] = []
    for names in map(set, classes):
        sharing = [other for other in found if other & names]
        found = [other for other in found if not other & names] + [names.union(*sharing)]
    return tuple(sorted(tuple(sorted(names)) for names in found))
