"""A place has one writer; the second is told who the first is, until that one lets go or is killed."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mini_diffuser_ros.support.holding import HeldError, Hold

HOLDER = """
import os, sys, time
from pathlib import Path
from mini_diffuser_ros.support.holding import Hold
hold = Hold(Path(sys.argv[1]), "the set")
if os.fork() == 0:
    print(os.getpid(), flush=True)  # from the child, which has then let go of what it shared
sys.stdin.read()
"""


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    with Hold(tmp_path / ".lock", "the set"), pytest.raises(HeldError) as refused:
        Hold(tmp_path / ".lock", "the set")
    expected = f"the set is being written by process {os.getpid()} on {socket.gethostname()}; "
    assert str(refused.value).startswith(expected)
    assert list(tmp_path.iterdir()) == []


def test_released_is_free_and_releasing_twice_takes_nothing_from_the_next(tmp_path: Path) -> None:
    first = Hold(tmp_path / ".lock", "the set")
    first.release()
    with Hold(tmp_path / ".lock", "the set"):
        first.release()
        with pytest.raises(HeldError):
            Hold(tmp_path / ".lock", "the set")


def test_releasing_in_a_folder_that_was_moved_takes_nothing_from_the_one_in_its_place(tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    first = Hold(place / ".lock", "the set")
    place.rename(tmp_path / "old")
    place.mkdir()
    with Hold(place / ".lock", "the set"):
        first.release()
        with pytest.raises(HeldError):
            Hold(place / ".lock", "the set")


@pytest.mark.process
def test_a_killed_holder_holds_nothing_though_a_child_of_it_lives(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / ".lock")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    with pytest.raises(HeldError, match=f"process {holder.pid} on"):
        Hold(tmp_path / ".lock", "the set")
    holder.kill()
    holder.wait()
    os.kill(child, 0)  # is alive
    Hold(tmp_path / ".lock", "the set").release()
    os.kill(child, signal.SIGKILL)


def _take_often(file: Path, count: int) -> None:
    taken = 0
    while taken < count:
        try:
            with Hold(file, "the set"):
                other = file.with_name("inside")
                os.close(os.open(other, os.O_CREAT | os.O_EXCL))  # fails if two are inside
                other.unlink()
                taken += 1
        except HeldError:
            pass
    os._exit(0)


@pytest.mark.process
def test_never_are_two_inside(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    takers = [context.Process(target=_take_often, args=(tmp_path / ".lock", 300)) for _ in range(3)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert [taker.exitcode for taker in takers] == [0, 0, 0]
