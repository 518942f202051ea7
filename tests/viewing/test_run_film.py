"""Films that nobody waits for, whatever ffmpeg and the disk do."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from mini_diffuser_ros.viewing.run_film import RunFilm
from mini_diffuser_ros.viewing.run_video import Film, FilmError, RunVideo, film_within

PATIENCE = 60.0  # seconds; of a busy machine
FULL = "No space left on device"


def _encoder(folder: Path, script: str) -> str:
    """An ffmpeg that does something else; its path."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _noise(seed: int) -> dict[str, np.ndarray]:
    """A picture that cannot be made small."""
    return {"front": np.random.default_rng(seed).integers(0, 255, (120, 160, 3), dtype=np.uint8)}


def _filmed(film: RunFilm, frames: int) -> None:
    for number in range(frames):
        film.add(_noise(number), "press it", 0.2 * number)


@pytest.mark.process
def test_a_film_has_its_pictures_and_their_times(tmp_path: Path) -> None:
    film = RunFilm(tmp_path / "video.mp4", ["front"], 5.0)
    _filmed(film, 3)
    made = film.end(PATIENCE)
    assert made == Film(tmp_path / "video.mp4", 5.0, (0.0, 0.2, 0.4))
    assert film.problem == ""
    assert imageio_ffmpeg.count_frames_and_secs(str(made.path))[0] == 3


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "ffmpeg does not start"),
        ("exit 3", "ffmpeg has ended"),
        (f"head -c 100000 > /dev/null; echo '[out#0/mp4 @ 0x55d0] {FULL}' >&2; exit 1", f"ffmpeg has ended: {FULL}"),
        (f"cat > /dev/null; echo {FULL} >&2; exit 1", f"ffmpeg has ended: {FULL}"),
        ("exec < /dev/null; exec sleep 1000", "ffmpeg has ended"),
        # The true one, before a disk that takes no more.
        (f"trap '' XFSZ; ulimit -f 100; exec {imageio_ffmpeg.get_ffmpeg_exe()} \"$@\"", "ffmpeg has ended: "),
    ],
    ids=["none", "ends at once", "dies in the middle", "dies in the end", "reads no more", "full disk"],
)
def test_a_film_that_fails_is_given_up_and_says_why(
    tmp_path: Path, script: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", _encoder(tmp_path, script) if script else str(tmp_path / "nowhere"))
    film = RunFilm(tmp_path / "video.mp4", ["front"], 5.0)
    _filmed(film, 40)
    assert film.end(PATIENCE) is None
    assert film.problem.startswith(said)
    assert "\n" not in film.problem
    assert not (tmp_path / "video.mp4").exists()


@pytest.mark.process
@pytest.mark.parametrize("leave", [False, True])
def test_an_encoder_that_hangs_holds_nobody_up(tmp_path: Path, leave: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", _encoder(tmp_path, "exec sleep 10"))
    film = RunFilm(tmp_path / "video.mp4", ["front"], 5.0, hung_after=1e9)
    _filmed(film, 1000)
    assert film.end(0.5, leave) is None
    assert ("not finished in time" if leave else "not finished it within") in film.problem


@pytest.mark.process
def test_an_encoder_that_hangs_is_noticed_while_filming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", _encoder(tmp_path, "exec sleep 1000"))
    film = RunFilm(tmp_path / "video.mp4", ["front"], 5.0, hung_after=0.0)
    while not film.problem:
        _filmed(film, 1)
    assert film.problem == "ffmpeg has taken no picture for 0 s"
    assert film.end(PATIENCE) is None


def test_without_a_picture_there_is_no_film_and_nothing_wrong(tmp_path: Path) -> None:
    film = RunFilm(tmp_path / "video.mp4", ["front"], 5.0)
    assert film.end(PATIENCE) is None
    assert film.problem == ""


@pytest.mark.process
def test_captions_may_be_anything_and_paths_may_look_like_addresses(tmp_path: Path) -> None:
    path = tmp_path / "http:video.mp4"
    video = RunVideo(path, ["front"], (64, 48), 5.0)
    for caption in ("\ud800", "two\nlines", "x" * 5000, "日本"):
        video.add({"front": np.zeros((48, 64, 3), np.uint8)}, caption)
    video.close()
    assert imageio_ffmpeg.count_frames_and_secs(f"file:{path}")[0] == 4


@pytest.mark.process
@pytest.mark.parametrize(
    ("size", "patience", "said"),
    [
        (None, 20.0, "The film cannot be read"),
        (9000, 0.0, "too large for this page; it lies beside it: video.mp4"),
        (9000, 20.0, "cannot be made smaller ("),
    ],
)
def test_a_film_that_is_not_on_a_page_says_truly_why(
    tmp_path: Path, size: int | None, patience: float, said: str
) -> None:
    path = tmp_path / "video.mp4"
    if size is not None:
        path.write_bytes(bytes(size))  # no film at all
    with pytest.raises(FilmError, match=re.escape(said)):
        film_within(Film(path, 5.0, (0.0, 0.2)), 5000, patience)
