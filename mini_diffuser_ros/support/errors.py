"""Errors that a person can mend, and how any error fits on one line."""

from __future__ import annotations


class UserError(Exception):
    """Base of errors whose text is one line for the user: the thing, its value and the remedy.

    Commands and nodes print the text of these alone; a traceback is for everything else, which is a bug.

    Attributes:
        exit_code: of a command that it ends: 2 for what has to be mended before, 1 for what went wrong on the way.
    """

    exit_code = 2


def one_line(error: BaseException) -> str:
    """Text of an error without line breaks; the name of its class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
