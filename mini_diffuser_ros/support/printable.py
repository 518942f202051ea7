"""Text from outside on one line of a log, a status or a terminal, which it can neither break nor drive."""

from __future__ import annotations

MOST = 2000
"""Characters of a text that are shown."""

_JOINERS = "\u200c\u200d"  # of letters in some scripts, and of emoji


def printable(text: str, most: int = MOST) -> str:
    """A text as part of one line: what breaks lines, moves a cursor or turns the reading round is escaped.

    Args:
        text: from a topic, a service, an action or a file; anything.
        most: characters of it that are shown; an ellipsis stands for the others.
    """
    shown = "".join(map(_escaped, text[:most]))
    return shown if len(text) <= most else f"{shown}..."


def _escaped(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode()
