"""Measurements in processes of their own: what comes back, and what is said when nothing does."""

from __future__ import annotations

import math
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.isolation import in_fresh_process, measure_each

pytestmark = pytest.mark.process


def test_rows_come_back_in_order() -> None:
    assert list(measure_each(operator.neg, [1, 2])) == [-1, -2]


def test_the_process_is_another_one() -> None:
    assert in_fresh_process(os.getpgid, 0) == os.getpgid(0)
    assert in_fresh_process(operator.methodcaller("__call__"), os.getpid) != os.getpid()


def test_a_refusal_comes_back() -> None:
    with pytest.raises(BenchError, match=r"\S"):
        in_fresh_process(math.sqrt, -1.0)


def test_a_process_that_ends_early_is_reported() -> None:
    with pytest.raises(BenchError, match="ended with exit code 3: 3"):
        in_fresh_process(os._exit, 3)


def test_a_measurement_ends_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, str(Path(__file__).with_name("lingering.py")), str(tmp_path)])
    until = time.monotonic() + 60.0
    while not (found := [int(path.name) for path in tmp_path.iterdir()]):
        assert time.monotonic() < until, "the measurement did not begin"
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while _runs(found[0]):
        assert time.monotonic() < until, f"process {found[0]} goes on without its parent"
        time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
