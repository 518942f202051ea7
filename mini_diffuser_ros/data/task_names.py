"""A name for what a sentence asks for."""

from __future__ import annotations

import re


def task_of(sentence: str) -> str:
    """A task's name for a sentence: its words, e.g. ``press_the_blue_button``."""
    return re.sub(r"[^a-z0-9]+", "_", sentence.lower()).strip("_")[:60].rstrip("_") or "sentence"
