"""The argument parser of every verb: its name, the defaults in its help, and one line for what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn


class CommandParser(argparse.ArgumentParser):
    """Parser of a verb. A wrong argument ends it with one line and exit code 2.

    Args:
        verb: as typed after ``mini-diffuser``.
        description: what the verb does.
        epilog: what follows the options in the help.
    """

    def __init__(self, verb: str, description: str | None, epilog: str | None = None) -> None:
        super().__init__(
            prog=f"mini-diffuser {verb}", description=description, epilog=epilog, formatter_class=DefaultsFormatter
        )

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse does; for an option that there is not, the nearest that there is."""
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            near = get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return values

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and leave."""
        self.exit(2, f"{self.prog}: {message}\n")


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
