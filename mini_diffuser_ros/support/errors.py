"""Errors that a person can mend, and how any error fits on one line."""

from __future__ import annotations

from mini_diffuser_ros.support.printable import printable


class UserError(Exception):
    """Base of errors whose text is one line for the user: the thing, its value and the remedy.

    Commands and nodes print the text of these alone; a traceback is for everything else, which is a bug.

    Attributes:
        exit_code: of a command that it ends: 2 for what has to be mended before, 1 for what went wrong on the way.
    """

    exit_code = 2

    def __str__(self) -> str:
        return _in_one_line(super().__str__())


def one_line(error: BaseException) -> str:
    """Text of an error without line breaks; the name of its class where it has none."""
    return _in_one_line(str(error)) or type(error).__name__


def _in_one_line(text: str) -> str:
    return printable(" ".join(text.split()))
