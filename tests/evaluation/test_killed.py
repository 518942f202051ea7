"""An evaluation that is killed leaves no worker behind, and no file that looks like a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy

DEADLINE = 120.0  # seconds, on a busy machine
QUICK = ["--tasks", "push_buttons", "--samples", "2", "--steps", "1", "--keyframe-limit", "1", "--episodes", "1000"]


@pytest.mark.process
def test_workers_end_with_a_killed_evaluation(tmp_path: Path) -> None:
    checkpoint, report = tmp_path / "policy", tmp_path / "report.json"
    save_policy(
        MiniDiffuser(MiniDiffuserConfig.small(scene={"voxel_size": 0.02}, losses={"heatmap_level": 0})), checkpoint
    )
    words = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "eval", str(checkpoint), *QUICK]
    log = (tmp_path / "log").open("wb")
    parent = subprocess.Popen([*words, "--workers", "2", "--json", str(report)], stdout=log, stderr=log)
    try:
        _await(lambda: _done(tmp_path / "log") >= 4, "four episodes are done")
        workers = _children(parent.pid)
        assert len(workers) >= 2
    finally:
        parent.kill()
        parent.wait()
        log.close()
    _await(lambda: not any(map(_runs, workers)), f"processes {workers} end")
    assert not report.exists()


def _done(log: Path) -> int:
    """Episodes that the progress bar has counted."""
    return max(map(int, re.findall(rb"(\d+)/1000", log.read_bytes())), default=0)


def _await(look: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE
    while not look():
        assert time.monotonic() < until, f"not within {DEADLINE:.0f} s: {what}"
        time.sleep(0.05)


def _children(process: int) -> list[int]:
    """Direct ones."""
    return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _fields(stat)[1:2] == [str(process)]]


def _runs(process: int) -> bool:
    assert process != os.getpid()
    return _fields(Path(f"/proc/{process}/stat"))[:1] not in ([], ["Z"])


def _fields(stat: Path) -> list[str]:
    """State and parent of a process and what follows; nothing if it has ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
