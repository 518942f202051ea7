"""Small files that would fill the memory are refused before they do."""

import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import lmdb
import msgpack
import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, EpisodeStore
from mini_diffuser_ros.data.formats.images import decode_color, decode_depth, encode_color, encode_depth
from mini_diffuser_ros.data.formats.restricted_pickle import read_pickle

from .conftest import random_episode

MOST = 150  # MiB beyond what the process had before, all together


def png(width: int, height: int, bits: int, color_type: int, pixels: bytes = b"") -> bytes:
    """A PNG that claims a size; its pixels are those that are given."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)),
        (b"IDAT", pixels or zlib.compress(b"")),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def zeros(count: int) -> bytes:
    """A deflated run of zeros, made a piece at a time."""
    pack = zlib.compressobj(9)
    piece = bytes(2**20)
    return b"".join(pack.compress(piece) for _ in range(count // len(piece))) + pack.flush()


def rewrite(file: Path, change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def huge_image(folder: Path) -> None:
    file = EpisodeStore(folder).write(random_episode(), 0)
    rewrite(file, lambda members: members.update({"1/wrist.color.png": png(16000, 16000, 8, 2, zeros(2**29))}))


def many_large_images(folder: Path) -> None:
    file = EpisodeStore(folder).write(random_episode(cameras=tuple("abcdefghijklmnop")), 0)
    large = encode_depth(np.zeros((4096, 4096), np.float32))

    def change(members: dict[str, bytes]) -> None:
        members.update({name: large for name in members if name.endswith("depth.png")})

    rewrite(file, change)


def member_that_inflates(folder: Path) -> None:
    """A member that claims a kilobyte and inflates to a quarter of a gigabyte."""
    file = EpisodeStore(folder).write(random_episode(), 0)
    rewrite(file, lambda members: members.update({"episode.json": b" " * 2**28}), zipfile.ZIP_DEFLATED)
    data, size = file.read_bytes(), struct.pack("<I", 2**28)
    file.write_bytes(data.replace(size, struct.pack("<I", 1000)))


def member_of_another_compression(folder: Path) -> None:
    file = EpisodeStore(folder).write(random_episode(), 0)
    rewrite(file, lambda members: members.update({"episode.json": b" " * 2**27}), zipfile.ZIP_BZIP2)


def deep_and_wide_index(folder: Path) -> None:
    file = EpisodeStore(folder).write(random_episode(), 0)
    rewrite(file, lambda members: members.update({"episode.json": b"[" + b"[]," * 2**24 + b"[]]"}))


def many_keyframes(folder: Path) -> None:
    file = EpisodeStore(folder).write(random_episode(), 0)

    def change(members: dict[str, bytes]) -> None:
        index = json.loads(members["episode.json"])
        index["keyframes"] = [{}] * 10**6
        members["episode.json"] = json.dumps(index, separators=(",", ":")).encode()

    rewrite(file, change)


def keysteps_that_claim_lists(folder: Path) -> None:
    """Lists in lists that claim as many entries as the value has bytes."""
    folder = folder / "close_jar_peract+0"
    folder.mkdir(parents=True)
    value = b"\xdd" + struct.pack(">I", 2**20 - 1)
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as transaction:
        transaction.put(b"episode0", value * 900 + bytes(2**20))
    (folder / "instr.json").write_text(json.dumps({folder.name: ["close the jar"]}))


def keysteps_of_a_huge_type(folder: Path) -> None:
    folder = folder / "close_jar_peract+0"
    folder.mkdir(parents=True)
    entry = {b"nd": True, b"type": "(1000000000,)f8", b"shape": [1], b"data": b""}
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as transaction:
        transaction.put(b"episode0", msgpack.packb({"action": entry}))
    (folder / "instr.json").write_text(json.dumps({folder.name: ["close the jar"]}))


BOMBS = (
    huge_image,
    many_large_images,
    member_that_inflates,
    member_of_another_compression,
    deep_and_wide_index,
    many_keyframes,
    keysteps_that_claim_lists,
    keysteps_of_a_huge_type,
)


READ_ALL = """
import json, resource, sys
from mini_diffuser_ros.data import DataError, open_episodes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for folder in sys.argv[1:]:
    before, said = peak(), ""
    try:
        for episode in open_episodes(folder):
            for keyframe in episode.keyframes:
                assert keyframe.views or keyframe.cloud
    except DataError as error:
        said = str(error)
    print(json.dumps([said, peak() - before]))
"""


@pytest.mark.process
def test_no_small_file_fills_the_memory(tmp_path: Path) -> None:
    folders = [tmp_path / make.__name__ for make in BOMBS]
    for make, folder in zip(BOMBS, folders, strict=True):
        make(folder)
        assert sum(file.stat().st_size for file in folder.rglob("*.zip")) < 64 * 2**20
    done = subprocess.run([sys.executable, "-c", READ_ALL, *folders], check=True, capture_output=True, text=True)
    results = dict(zip((make.__name__ for make in BOMBS), map(json.loads, done.stdout.splitlines()), strict=True))
    assert all(said and "\n" not in said for said, _ in results.values()), results
    assert sum(taken for _, taken in results.values()) < MOST, results


def test_a_pickle_of_many_objects_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "low_dim_obs.pkl"
    file.write_bytes(b"\x80\x02" + b"(" + b"]" * 2**22 + b"t.")
    with pytest.raises(DataError, match=r"4194304 objects, expected at most 500000"):
        read_pickle(file)


def test_an_image_as_large_as_any_camera_s_is_read() -> None:
    color = np.zeros((3040, 4056, 3), np.uint8)
    color[-1, -1] = (1, 2, 3)
    assert decode_color(encode_color(color))[-1, -1].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("width", "height"), [(2**12 + 1, 2**12), (2**24 + 1, 1), (0, 5), (2**31, 2**31)])
def test_an_image_larger_than_any_camera_s_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=rf"^image of {width}x{height} pixels, expected at most 16777216 in all$"):
        decode_color(png(width, height, 8, 2))


def test_a_damaged_pixel_is_refused_by_the_checksum_of_its_chunk() -> None:
    data = bytearray(encode_depth(np.ones((8, 8), np.float32)))
    data[data.index(b"IDAT") + 8] ^= 1
    with pytest.raises(ValueError, match="checksum of b'IDAT'"):
        decode_depth(bytes(data), 1.0)


def test_what_follows_the_end_of_an_image_changes_nothing() -> None:
    color = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(decode_color(encode_color(color) + b"more"), color)
