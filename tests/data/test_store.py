"""A store keeps every committed episode and never a half one, whoever is killed meanwhile."""

import fcntl
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mini_diffuser_ros.data import DataError, EpisodeStore, open_episodes
from mini_diffuser_ros.records import Episode

EpisodeMaker = Callable[..., Episode]

WRITER = """
import sys
from conftest import random_episode
from mini_diffuser_ros.data import EpisodeStore
store = EpisodeStore(sys.argv[1], "panda")
for seed in range(int(sys.argv[2]), 10**6):
    store.write(random_episode(seed), seed)
    sys.stdout.write(f"{seed}\\n")
    sys.stdout.flush()
"""


def test_an_episode_is_called_by_its_seed_and_replaced_by_itself(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store = EpisodeStore(tmp_path)
    first = store.write(make_episode(), seed=1012)
    assert first == store.file_of("stack_blocks", 1012)
    assert first.name == "stack_blocks-seed00001012.zip"
    assert store.write(make_episode(), seed=1012) == first
    assert store.seeds("stack_blocks") == {1012}
    assert store.seeds("stack") == frozenset()


def test_episodes_without_a_seed_are_numbered(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    names = [EpisodeStore(tmp_path).write(make_episode(i)).name for i in range(3)]
    assert names == ["stack_blocks-000000.zip", "stack_blocks-000001.zip", "stack_blocks-000002.zip"]
    assert EpisodeStore(tmp_path).seeds("stack_blocks") == frozenset()


def test_when_no_number_is_left_that_is_said(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store = EpisodeStore(tmp_path)
    file = store.write(make_episode())
    file.rename(tmp_path / f"stack_blocks-{10**18 - 1}.zip")
    with pytest.raises(DataError, match="no number is left"):
        store.write(make_episode())
    assert len(open_episodes(tmp_path)) == 1


def _write_some(path: Path, episode_maker: EpisodeMaker, count: int) -> None:
    store = EpisodeStore(path)
    for number in range(count):
        store.write(episode_maker(number, keyframes=2, cameras=("front",)))


@pytest.mark.process
def test_two_processes_never_take_the_same_number(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_some, args=(tmp_path, make_episode, 15)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(file.name for file in tmp_path.glob("*.zip")) == [f"stack_blocks-{i:06d}.zip" for i in range(30)]


@pytest.mark.process
def test_kill_9_at_random_moments_leaves_whole_episodes_only(tmp_path: Path) -> None:
    rng = random.Random(0)
    committed: list[int] = []
    for _ in range(6):
        first = committed[-1] + 1 if committed else 0
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert writer.stdout is not None
        # After some episodes, and then at any moment of writing one more.
        for _ in range(rng.randint(1, 6)):
            committed.append(int(writer.stdout.readline()))
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(rng.uniform(0.0, 0.01))
        writer.send_signal(signal.SIGKILL)
        committed += [int(line) for line in writer.communicate()[0].splitlines()]
    assert EpisodeStore(tmp_path).seeds("stack_blocks").issuperset(committed)
    assert not [file for file in tmp_path.iterdir() if file.suffix != ".zip"]
    for episode in open_episodes(tmp_path):
        assert all(len(keyframe.views) == 2 for keyframe in episode.keyframes)


def test_leftovers_are_removed_but_not_what_is_being_written(tmp_path: Path) -> None:
    left, locked = tmp_path / ".left.partial", tmp_path / ".locked.partial"
    left.write_bytes(b"half an episode")
    with locked.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        EpisodeStore(tmp_path)
        assert not left.exists()
        assert locked.exists()


@pytest.mark.process
def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store = EpisodeStore(tmp_path)
    limit = 20_000  # bytes a file may have in the child: what a full disk looks like to a writer
    writer = multiprocessing.get_context("fork").Process(target=_write_limited, args=(store, make_episode, limit))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    assert list(tmp_path.iterdir()) == []


def _write_limited(store: EpisodeStore, episode_maker: EpisodeMaker, limit: int) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        store.write(episode_maker(keyframes=8))
    except DataError as error:
        os._exit(0 if f"cannot write an episode into {store.path}: File too large" in str(error) else 3)
    os._exit(4)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"cannot make the directory {tmp_path / 'file' / 'x'}: Not a directory"):
        EpisodeStore(tmp_path / "file" / "x")


def test_an_unknown_robot_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known robots: fr3, panda"):
        EpisodeStore(tmp_path, "r2d2")


def test_a_number_is_never_given_twice(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store = EpisodeStore(tmp_path / "a", "panda")
    for number in range(4):
        assert store.write(make_episode(number)).stem == f"stack_blocks-{number:06d}"
    for file in store.path.glob("*.zip"):
        file.unlink()
    shutil.copytree(store.path, tmp_path / "b")
    assert EpisodeStore(tmp_path / "b").write(make_episode(4)).stem == "stack_blocks-000004"
    assert EpisodeStore(tmp_path / "b").write(make_episode(5, task="stack")).stem == "stack-000000"
    # A line that a power cut has left half, and a line of another program.
    with (store.path / ".numbers").open("ab") as stream:
        stream.write(b"stack_blocks x\nstack_blocks 9")
    assert EpisodeStore(store.path).write(make_episode(4)).stem == "stack_blocks-000010"


def test_what_was_copied_without_its_numbers_or_lies_in_failed_counts(
    tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    failed = EpisodeStore(tmp_path / "failed", None, tmp_path)
    assert failed.write(make_episode()).stem == "stack_blocks-000000"
    assert EpisodeStore(tmp_path).write(make_episode()).stem == "stack_blocks-000001"
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "stack_blocks-000001.zip", tmp_path / "elsewhere" / "stack_blocks-000007.zip")
    (tmp_path / ".numbers").unlink()
    assert failed.write(make_episode()).stem == "stack_blocks-000008"


NUMBERED_WRITER = WRITER.replace("store.write(random_episode(seed), seed)", "seed = store.write(random_episode()).stem")


@pytest.mark.process
def test_writers_that_are_killed_and_episodes_that_are_deleted_free_no_number(tmp_path: Path) -> None:
    given: list[str] = []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    for _ in range(2):
        command = [sys.executable, "-c", NUMBERED_WRITER, str(tmp_path), "0"]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            given.append(writer.stdout.readline().strip())
        for writer in writers:
            writer.kill()
            given += writer.communicate()[0].split()
        for file in tmp_path.glob("*.zip"):
            file.unlink()
    assert len(given) == len(set(given)) >= 4
