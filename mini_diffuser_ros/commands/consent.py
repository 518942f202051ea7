"""Asking whoever sits at the terminal whether a motion may begin."""

from __future__ import annotations

import sys
import termios
import threading
from collections.abc import Callable
from typing import TextIO

from rclpy.node import Node

from mini_diffuser_ros.nodes.motion.question_client import WORDS, QuestionClient
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.printable import printable


class ConsentTerminal:
    """Shows each question and gives the lines that are typed as answers.

    The terminal is read from the first question on, line by line: what was typed before a question was shown, the first
    or a later one, answers nothing, and the end of the input answers nothing for ever.

    Args:
        node: that listens and answers; somebody else has to spin it.
        lines: of the person who consents.
        at_once: read from the beginning on, so that ``stop`` is obeyed at any time.
    """

    def __init__(self, node: Node, lines: TextIO, at_once: bool = False) -> None:
        self._lines = lines
        self._reader = threading.Thread(target=self._read, daemon=True)  # it may wait for a line for ever
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self._client = QuestionClient(node, self._show)
        if at_once:
            forget_typed(lines)
            self._begin()

    def _show(self, text: str) -> None:
        forget_typed(self._lines)
        write(text)
        write(f"may it begin? {WORDS}")
        self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._reader.ident is None:
                self._reader.start()

    def _read(self) -> None:
        for line in iter(self._lines.readline, ""):
            try:
                write(self._client.take(line))
            except UserError as error:
                write(f"NOT DONE: {one_line(error)}")
        self.ended.set()


def write(line: str) -> None:
    """A line for the person at the terminal."""
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()


def forget_typed(lines: TextIO) -> None:
    """Drop what was typed at a terminal before it was asked for."""
    if lines.isatty():
        termios.tcflush(lines, termios.TCIFLUSH)


def asked(question: str, lines: TextIO, say: Callable[[str], None] = write) -> bool:
    """Whether a person says yes to a question; anything else, and silence, is no."""
    forget_typed(lines)
    say(f"{question} y, then ENTER")
    return lines.readline().strip().lower() in ("y", "yes")
