"""Processes whose lines are listened to: what they say is found, and their ends are told."""

from __future__ import annotations

import os
import sys

import pytest

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.heard_process import heard

pytestmark = pytest.mark.process

SPEAKS_AND_STAYS = "import signal; print('starting'); print('the page: http://here/', flush=True); signal.pause()"
FAILS = "import sys; sys.exit('no such robot')"


def test_a_line_is_found_while_the_process_runs_and_it_ends_with_its_block() -> None:
    with heard([sys.executable, "-c", SPEAKS_AND_STAYS]) as process:
        assert process.await_line(r"the page: (\S+)")[1] == "http://here/"
        os.kill(process.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_process_that_ends_without_the_line_is_told_with_its_last_one() -> None:
    with heard([sys.executable, "-c", FAILS]) as process, pytest.raises(BenchError, match="no such robot"):
        process.await_line("the page")
