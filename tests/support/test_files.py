"""Files appear whole or not at all, whatever ends the writer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.support.files import whole_file, write_whole


@given(st.binary(max_size=4096))
def test_bytes_come_back_and_nothing_else_is_left(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("files")
    write_whole(folder / "a.bin", b"before")
    write_whole(folder / "a.bin", content)
    assert (folder / "a.bin").read_bytes() == content
    assert [path.name for path in folder.iterdir()] == ["a.bin"]


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=500))
def test_a_text_is_utf_8_without_translated_line_ends(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("files") / "a.txt"
    write_whole(file, text)
    assert file.read_bytes().decode("utf-8") == text


def test_what_raises_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_whole(tmp_path / "card.md", "old")
    with pytest.raises(IsADirectoryError), whole_file(tmp_path / "card.md") as partial:
        partial.write_text(tmp_path.read_text())
    assert (tmp_path / "card.md").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["card.md"]


@pytest.mark.process
def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "model.bin", "old")
    program = (
        "import os, signal, sys\n"
        "from mini_diffuser_ros.support.files import whole_file\n"
        "with whole_file(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "model.bin")], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "model.bin").read_text() == "old"


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert (tmp_path / "a").read_text() == "first"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        write_whole(tmp_path / "absent" / "a", "text")
    assert not os.listdir(tmp_path)
