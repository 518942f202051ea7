"""The argument parser of every verb: its name, and the defaults in its help."""

from __future__ import annotations

import argparse


class CommandParser(argparse.ArgumentParser):
    """Parser of a verb.

    Args:
        verb: as typed after ``mini-diffuser``.
        description: what the verb does.
        epilog: what follows the options in the help.
    """

    def __init__(self, verb: str, description: str | None, epilog: str | None = None) -> None:
        super().__init__(
            prog=f"mini-diffuser {verb}", description=description, epilog=epilog, formatter_class=DefaultsFormatter
        )


class DefaultsFormatter(argparse.HelpFormatter):
    """Adds the default to the help of each option that has one and does not say it in words."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = (None, False, "", argparse.SUPPRESS)
        text = action.help or ""
        if not action.option_strings or any(action.default is one for one in silent) or action.default == "":
            return action.help
        if "%(default)" in text or "default:" in text:
            return action.help
        return f"{text} (default: %(default)s)".lstrip()
