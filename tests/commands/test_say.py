"""What a sentence's progress looks like, on a terminal and in a file."""

from __future__ import annotations

import io

import pytest
from mini_diffuser_msgs.action import ExecuteInstruction

from mini_diffuser_ros.commands.say import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *phases: tuple[int, str, str]) -> list[str]:
    """Lines as they stand in the end, carriage returns obeyed."""
    progress = Progress(stream)
    for keyframe, phase, message in phases:
        progress(ExecuteInstruction.Feedback(keyframe=keyframe, phase=phase, message=message))
    progress.end()
    progress.end()
    lines = stream.getvalue().replace("\x1b[K", "").split("\n")
    assert lines.pop() == ""
    return [line.rsplit("\r", 1)[-1] for line in lines]


@pytest.mark.parametrize(("stream", "moving"), [(io.StringIO(), "moving"), (Terminal(), "moving 80%")])
def test_a_line_a_phase_which_on_a_terminal_follows_the_motion(stream: io.StringIO, moving: str) -> None:
    lines = shown(
        stream,
        (1, "confirming", ""),
        (1, "confirming", ""),
        (1, "moving", ""),
        (1, "moving", "40%"),
        (1, "moving", "80%"),
        (2, "deciding", "749 points"),
        (2, "moving", ""),
    )
    assert lines == [
        "keyframe 1: confirming",
        f"keyframe 1: {moving}",
        "keyframe 2: deciding 749 points",
        "keyframe 2: moving",
    ]


def test_what_a_stack_says_drives_no_terminal() -> None:
    assert shown(Terminal(), (1, "moving", "40%\n\x1b[2Jdone")) == [r"keyframe 1: moving 40%\n\x1b[2Jdone"]
