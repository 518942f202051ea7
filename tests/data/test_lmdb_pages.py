"""A damaged LMDB is refused before LMDB follows it, or gives what was put in."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from mini_diffuser_ros.data import DataError
from mini_diffuser_ros.data.lmdb_file import DATA_FILE, read_keys, read_value, writing

PAGE = 4096
VALUES = {f"stack_blocks-{number:06d}": bytes([number % 256]) * (40 + 37 * number) for number in range(300)}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of a tree of two levels, values within pages and beside them, pages that are free, and many commits."""
    folder = tmp_path_factory.mktemp("set")
    with lmdb.open(str(folder), map_size=2**26) as environment:
        for key, value in VALUES.items():
            with environment.begin(write=True) as transaction:
                transaction.put(key.encode(), value)
                transaction.put(b"gone", value)
        with environment.begin(write=True) as transaction:
            transaction.delete(b"gone")
    return (folder / DATA_FILE).read_bytes()


def put(folder: Path, content: bytes) -> Path:
    (folder / DATA_FILE).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {key: read_value(folder, key) for key in read_keys(folder)}


def test_a_whole_file_is_read_and_written_to(tmp_path: Path, written: bytes) -> None:
    put(tmp_path, written)
    assert read(tmp_path) == VALUES
    with writing(tmp_path, 2**26) as writer, writer.environment.begin(write=True) as transaction:
        transaction.put(b"more", b"of it")
    assert read(tmp_path) == {**VALUES, "more": b"of it"}


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def newest(content: bytes) -> int:
    """Where the newer meta page begins."""
    return max((0, PAGE), key=lambda place: struct.unpack_from("<Q", content, place + 144)[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[: len(content) // 2], "is cut off"),
        (lambda content: content[:100], "not a readable LMDB"),
        (lambda content: flipped(content, newest(content) + 16), "a meta page is none"),
        (lambda content: flipped(content, newest(content) + 40), "pages or keys of another kind"),
        (lambda content: flipped(content, newest(content) + 144, 5), "not of successive transactions"),
        (lambda content: flipped(content, newest(content) + 120), "entries, in other pages than it claims"),
        (lambda content: content[:PAGE] * 2 + content[2 * PAGE :], "not of successive transactions"),
    ],
)
def test_a_damaged_meta_page_is_named(
    tmp_path: Path, written: bytes, change: Callable[[bytes], bytes], said: str
) -> None:
    put(tmp_path, change(written))
    with pytest.raises(DataError, match=said) as caught:
        read_keys(tmp_path)
    assert str(tmp_path / DATA_FILE) in str(caught.value)
    with pytest.raises(DataError), writing(tmp_path, 2**26):
        pytest.fail("nobody appends to what is damaged")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_bit_of_the_tree_flips_no_entry_gets_lost_and_lmdb_is_not_led_astray(
    tmp_path: Path, written: bytes, seed: int
) -> None:
    """Only what a value holds may differ: that is for digests to tell."""
    rng = random.Random(seed)
    lengths = {key: len(value) for key, value in VALUES.items()}
    outcomes = set()
    for _ in range(60):
        page = rng.randrange(len(written) // PAGE)
        place = page * PAGE + rng.choice((rng.randrange(48), rng.randrange(PAGE)))
        put(tmp_path, flipped(written, place, rng.randrange(8)))
        try:
            found = {key: len(value) for key, value in read(tmp_path).items()}
        except DataError:
            outcomes.add("refused")
        else:
            assert len(found) == len(lengths)
            assert sorted(found.values()) == sorted(lengths.values())
            outcomes.add("read")
    assert outcomes == {"refused", "read"}
