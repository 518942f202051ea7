"""A pickle from the internet can neither run code nor fill the memory."""

import os
import pickle
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.data import EpisodeFileError
from mini_diffuser_ros.data.formats.restricted_pickle import read_pickle

from . import rlbench_writer as writer


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def read(tmp_path: Path, data: bytes) -> Any:
    file = tmp_path / "some.pkl"
    file.write_bytes(data)
    return read_pickle(file)


@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"])
def test_a_demonstration_is_read_whatever_its_numpy_called_its_core(tmp_path: Path, core: str) -> None:
    demo = writer.Demo()
    demo.arrays = [np.arange(6.0).reshape(2, 3), np.arange(6).reshape(2, 3).T, np.array(["a", "bc"]), np.zeros((0, 7))]
    demo.number = np.float64(1.5)
    demo.random_seed = np.random.RandomState(3).get_state()
    data = writer.dumps(demo, core)
    assert core.encode() in data
    found = read(tmp_path, data)
    for ours, theirs in zip(found.arrays, demo.arrays, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert found.number == 1.5
    np.testing.assert_array_equal(found.random_seed[1], demo.random_seed[1])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_protocols(tmp_path: Path, protocol: int) -> None:
    value = {"a": [np.arange(4, dtype=">i2"), None, True, 2**70, 1.5, "ä", (1, 2)]}
    if protocol == 2:
        value["a"].pop(0)  # Python 2's way to write bytes needs a function of codecs
    found = read(tmp_path, pickle.dumps(value, protocol=protocol))
    if protocol > 2:
        np.testing.assert_array_equal(found["a"].pop(0), value["a"].pop(0))
    assert found == value


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch executed",), "posix.system"),
        (subprocess.Popen, (["touch", "executed"],), "subprocess.Popen"),
        (eval, ("open('executed', 'w')",), "builtins.eval"),
        (getattr, (1, "real"), "builtins.getattr"),
        (np.load, ("x",), "numpy.load"),
    ],
)
def test_any_other_name_is_refused_and_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Any, arguments: tuple[Any, ...], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EpisodeFileError, match=f"some.pkl: not a readable pickle .it names {name}"):
        read(tmp_path, pickle.dumps(Calls(function, *arguments)))
    assert not (tmp_path / "executed").exists()


def test_an_array_is_not_allocated_before_its_bytes_are_there(tmp_path: Path) -> None:
    array = pickle.dumps(np.arange(1000.0), protocol=4)
    bomb = array.replace(struct.pack("<H", 1000), struct.pack("<H", 65535))
    assert bomb != array
    with pytest.raises(EpisodeFileError, match="with other content"):
        read(tmp_path, bomb)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x04]r" + struct.pack("<I", 2**31) + b".",  # the memo's table would take 34 GB
        b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",  # bytes of which there are none
        b"\x80\x04}N" + b"\x85" * 10**6 + b"Ns.",  # a key nested so deeply that hashing it would end the process
        b"\x80\x04" + b"(" * 10 + b"\x8b" + struct.pack("<i", 2**30) + b".",
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x05\x00\x00\x00\x00\x10\x85C\x01b\x87R"
        b"(K\x01\x8a\x05\x00\x00\x00\x00\x10\x85cnumpy\ndtype\n\x8c\x02f8\x85R\x89C\x00tb.",
    ],
)
def test_a_bomb_is_refused(tmp_path: Path, bomb: bytes) -> None:
    with pytest.raises(EpisodeFileError, match=r"some.pkl: not a readable pickle"):
        read(tmp_path, bomb)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EpisodeFileError, match="numbers or text"):
        read(tmp_path, pickle.dumps(np.array([[1], "a"], dtype=object)))


fuzzing = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
SMALL = writer.dumps({"poses": np.arange(7.0), "text": "word", "list": [1, 2.5, None]})


@fuzzing
@given(place=st.integers(0, len(SMALL) - 1), value=st.integers(0, 255))
def test_a_changed_byte_gives_a_value_or_the_one_error(tmp_path: Path, place: int, value: int) -> None:
    data = bytearray(SMALL)
    data[place] = value
    with suppress(EpisodeFileError):
        read(tmp_path, bytes(data))


@fuzzing
@given(length=st.integers(0, len(SMALL) - 1))
def test_a_truncated_pickle_is_named(tmp_path: Path, length: int) -> None:
    with pytest.raises(EpisodeFileError, match=r"some.pkl: not a readable pickle"):
        read(tmp_path, SMALL[:length])
