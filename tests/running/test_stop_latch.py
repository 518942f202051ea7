"""A stop that holds until somebody resumes, and that a crash does not undo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mini_diffuser_ros.running.stop_latch import DIED_MOVING, Remembered, StopLatch


def test_a_stop_holds_until_it_is_resumed() -> None:
    latch = StopLatch()
    assert latch.reason == ""
    latch.stop("a stop was called")
    latch.stop("another one")
    assert latch.reason == "a stop was called"
    assert latch.resume()
    assert latch.reason == ""
    assert not latch.resume()


def test_a_process_that_dies_stopped_comes_back_stopped(tmp_path: Path) -> None:
    path = tmp_path / "below" / "stop"
    StopLatch(path).stop("a stop was called")
    again = StopLatch(path)
    assert again.reason == "a stop was called"
    again.resume()
    assert StopLatch(path).reason == ""


def test_a_process_that_dies_in_a_motion_comes_back_stopped(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    latch = StopLatch(path)
    with latch.supervised():
        assert latch.reason == ""
        assert "while the arm was moving" in StopLatch(path).reason
    assert StopLatch(path).reason == ""


def test_a_stop_during_a_motion_is_remembered_after_it(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    latch = StopLatch(path)
    with latch.supervised():
        latch.stop("a stop was called")
    assert StopLatch(path).reason == "a stop was called"


def test_what_people_want_of_the_speed_outlives_a_crash_and_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    latch = StopLatch(path)
    latch.keep_speed(20.0)
    assert StopLatch(path).remembered == Remembered("", 20.0)
    with latch.supervised():
        latch.keep_speed(0.0)
        assert StopLatch(path).remembered == Remembered(DIED_MOVING, 0.0)
    again = StopLatch(path)
    again.stop("a stop was called")
    again.resume()
    assert StopLatch(path).remembered == Remembered("", 0.0)
    again.keep_speed(100.0)
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"a stop was called\n", b'{"stopped": "", "speed": 200}', b'{"speed": NaN}', b'{"stopped": "", ', b"\xff"],
)
def test_a_file_that_nobody_understands_is_a_stop(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stop"
    path.write_bytes(content)
    assert "is not to be read in stop" in StopLatch(path).reason


def test_an_orderly_end_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    latch = StopLatch(path)
    latch.stop("a stop was called")
    latch.forget()
    assert not path.exists()


def test_a_stop_is_on_the_disk_before_it_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_ino))
    path = tmp_path / "stop"
    latch = StopLatch(path)
    latch.stop("a stop was called")
    assert flushed == [path.stat().st_ino, tmp_path.stat().st_ino]
    latch.resume()
    assert flushed[2:] == [tmp_path.stat().st_ino]


def test_a_stop_counts_even_if_the_disk_does_not_take_it(tmp_path: Path) -> None:
    path, warnings = tmp_path / "gone" / "stop", list[str]()
    latch = StopLatch(path, warnings.append)
    path.parent.rmdir()
    latch.stop("a stop was called")
    assert latch.reason == "a stop was called"
    assert "No such file" in warnings[0]


def test_a_file_that_cannot_be_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        StopLatch(tmp_path / "file" / "stop")
