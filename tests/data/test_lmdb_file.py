"""One LMDB is read by many threads and processes at once, while another process writes into it."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import pytest

from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.lmdb_file import read_keys, read_value, writing
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.records import Episode

VALUES = {f"key{number}": bytes([number]) * 5000 for number in range(20)}


def fill(folder: Path, values: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key.encode(), value)


def read_all(folder: Path, times: int) -> bool:
    return all(read_value(folder, key) == value for _ in range(times) for key, value in VALUES.items())


def test_eight_threads_read_a_set_that_four_links_lead_to(tmp_path: Path) -> None:
    fill(tmp_path / "set", VALUES)
    for number in range(4):
        (tmp_path / f"link{number}").symlink_to("set")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: read_all(tmp_path / f"link{number % 4}", 20), range(8)))


def test_a_converted_set_is_read_from_four_threads(tmp_path: Path, make_episode: Callable[..., Episode]) -> None:
    store = EpisodeStore(tmp_path / "recordings", "panda")
    for seed in range(3):
        store.write(make_episode(seed), seed)
    list(convert(open_episodes(store.path), tmp_path / "set", Contents.IMAGES))
    alone = [
        keyframe.views[0].depth.sum() for episode in open_episodes(tmp_path / "set") for keyframe in episode.keyframes
    ]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(
                lambda number: [k.views[0].depth.sum() for k in open_episodes(tmp_path / "set")[number % 3].keyframes],
                range(48),
            )
        )
    assert [together[0] + together[1] + together[2]] * 16 == [
        together[i] + together[i + 1] + together[i + 2] for i in range(0, 48, 3)
    ]
    assert together[0] + together[1] + together[2] == alone


def _read_in_threads(folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        os._exit(0 if all(pool.map(lambda _: read_all(folder, 3), range(6))) else 1)


@pytest.mark.process
def test_children_forked_while_threads_read_and_one_writes_read_too(tmp_path: Path) -> None:
    folder, other = tmp_path / "set", tmp_path / "other"
    fill(folder, VALUES)
    fill(other, {})
    done = threading.Event()

    def read() -> bool:
        fine = True
        while not done.is_set():
            fine = fine and read_all(folder, 1)
        return fine

    context = multiprocessing.get_context("fork")
    with writing(other, 2**24) as writer, ThreadPoolExecutor(3) as pool:
        reading = [pool.submit(read) for _ in range(3)]
        children = [context.Process(target=_read_in_threads, args=(place,)) for place in (folder,) * 6]
        for child in children:
            child.start()
        for child in children:
            child.join()
        done.set()
        assert all(future.result() for future in reading)
        # The children have closed what they inherited, without harm to the writer.
        with writer.environment.begin(write=True) as transaction:
            transaction.put(b"late", b"value")
        assert read_value(other, "late") == b"value"
    assert [child.exitcode for child in children] == [0] * 6


def _append(folder: Path, count: int) -> None:
    with writing(folder, 2**20) as writer:
        for number in range(count):
            while True:
                try:
                    with writer.environment.begin(write=True) as transaction:
                        transaction.put(f"new{number}".encode(), bytes(100_000))
                    break
                except lmdb.MapFullError:
                    writer.enlarge()


@pytest.mark.process
def test_readers_follow_a_writer_that_enlarges_the_map(tmp_path: Path) -> None:
    fill(tmp_path / "set", VALUES)
    done = threading.Event()

    def read(_: int) -> bool:
        fine, once_more = True, True
        while once_more:
            once_more = not done.is_set()
            fine = fine and read_all(tmp_path / "set", 1)
        return fine

    writer = multiprocessing.get_context("fork").Process(target=_append, args=(tmp_path / "set", 150))
    writer.start()
    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read, number) for number in range(4)]
        writer.join()
        done.set()
        assert all(future.result() for future in reading)
    assert writer.exitcode == 0
    assert len(read_keys(tmp_path / "set")) == len(VALUES) + 150


def test_threads_read_while_this_process_writes_and_enlarges(tmp_path: Path) -> None:
    fill(tmp_path / "set", VALUES)
    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read_all, tmp_path / "set", 30) for _ in range(3)]
        pool.submit(_append, tmp_path / "set", 100).result()
        assert all(future.result() for future in reading)
    assert len(read_keys(tmp_path / "set")) == len(VALUES) + 100


def test_a_hundred_sets_leave_no_file_open(tmp_path: Path) -> None:
    for number in range(100):
        fill(tmp_path / str(number), {"key": b"value"})
    before = set(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda number: read_value(tmp_path / str(number), "key"), range(100))) == {b"value"}
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # of the listing itself


def test_an_unreadable_set_is_named_in_every_thread(tmp_path: Path) -> None:
    fill(tmp_path / "set", VALUES)
    (tmp_path / "set" / "data.mdb").write_bytes(b"no database" * 1000)
    with ThreadPoolExecutor(4) as pool:
        errors = [pool.submit(read_keys, tmp_path / "set").exception() for _ in range(20)]
    assert all("data.mdb: not a readable LMDB" in str(error) for error in errors)
