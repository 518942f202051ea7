"""An episode under way loses no keyframe, whoever is killed and however full the disk is."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, EpisodeStore, UnfinishedEpisode, find_unfinished, open_episodes
from mini_diffuser_ros.records import Episode

EpisodeMaker = Callable[..., Episode]

RECORDER = """
import sys
from conftest import random_episode
from mini_diffuser_ros.data import EpisodeStore, UnfinishedEpisode, find_unfinished
store = EpisodeStore(sys.argv[1], "panda")
while True:
    found = find_unfinished(store)
    if found:
        unfinished = UnfinishedEpisode.reopen(store, found[0])
    else:
        unfinished = UnfinishedEpisode.begin(store, "stack_blocks", ("put a on b",))
    while len(unfinished) < 4:
        unfinished.add(random_episode(len(unfinished), keyframes=1).keyframes[0])
        sys.stdout.write("marked\\n")
        sys.stdout.flush()
    unfinished.finish()
"""


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    return EpisodeStore(tmp_path, "panda")


def begin(store: EpisodeStore, episode: Episode) -> UnfinishedEpisode:
    return UnfinishedEpisode.begin(store, episode.task, episode.sentences, episode.variation, "by hand")


def test_a_finished_episode_is_what_was_added(store: EpisodeStore, make_episode: EpisodeMaker) -> None:
    episode = make_episode()
    unfinished = begin(store, episode)
    assert [unfinished.add(keyframe) for keyframe in episode.keyframes] == [1, 2, 3]
    assert unfinished.finish() == store.path / "stack_blocks-000000.zip"
    [read] = open_episodes(store.path)
    assert (read.task, read.variation, read.sentences) == (episode.task, episode.variation, episode.sentences)
    # Nothing but the names of the camera's files differs from writing it at once.
    store.write(episode)
    reference = open_episodes(store.path)[1]
    for ours, theirs in zip(read.keyframes, reference.keyframes, strict=True):
        np.testing.assert_array_equal(ours.pose, theirs.pose)
        assert (ours.gripper_open, ours.stamp) == (theirs.gripper_open, theirs.stamp)
        for view, other in zip(ours.views, theirs.views, strict=True):
            np.testing.assert_array_equal(view.color, other.color)
            np.testing.assert_array_equal(view.depth, other.depth)
    assert list((store.path / "unfinished").iterdir()) == []


def test_an_abandoned_episode_is_found_and_gone_on_with(store: EpisodeStore, make_episode: EpisodeMaker) -> None:
    episode = make_episode()
    first = begin(store, episode)
    first.add(episode.keyframes[0])
    assert find_unfinished(store) == []  # it is being recorded
    with pytest.raises(DataError, match="is being recorded by another process"):
        UnfinishedEpisode.reopen(store, first.folder)
    first.close()
    [folder] = find_unfinished(store)
    second = UnfinishedEpisode.reopen(store, folder)
    assert (second.task, second.sentences, second.variation) == (episode.task, episode.sentences, episode.variation)
    assert second.source == first.source
    assert second.add(episode.keyframes[1]) == 2
    second.finish()
    assert len(open_episodes(store.path)[0].keyframes) == 2


def test_what_is_dropped_is_put_aside(store: EpisodeStore, make_episode: EpisodeMaker) -> None:
    episode = make_episode()
    unfinished = begin(store, episode)
    for keyframe in episode.keyframes:
        unfinished.add(keyframe)
    moved = unfinished.drop_last()
    assert moved.parent == store.path / "dropped"
    unfinished.add(episode.keyframes[0])
    assert unfinished.drop_last() != moved
    assert len(unfinished) == 2
    dropped = unfinished.drop()
    assert dropped is not None
    assert sorted(file.name for file in dropped.iterdir()) == ["000.zip", "001.zip"]
    assert find_unfinished(store) == []
    # Moving it back is all that it takes.
    dropped.rename(store.path / "unfinished" / dropped.name)
    assert begin(store, episode).drop() is None
    again = UnfinishedEpisode.reopen(store, find_unfinished(store)[0])
    assert len(open_episodes(again.finish())[0].keyframes) == 2


def test_an_episode_needs_a_task_a_sentence_and_two_keyframes(store: EpisodeStore, make_episode: EpisodeMaker) -> None:
    with pytest.raises(DataError, match="'Stack Cups' cannot name a file"):
        UnfinishedEpisode.begin(store, "Stack Cups", ("stack them",))
    for sentences in ((), (" ",)):
        with pytest.raises(DataError, match=r"expected (at least one|words) such as 'press the blue button'"):
            UnfinishedEpisode.begin(store, "stack", sentences)
    unfinished = begin(store, make_episode())
    with pytest.raises(DataError, match="has no keyframe to drop"):
        unfinished.drop_last()
    unfinished.add(make_episode().keyframes[0])
    with pytest.raises(DataError, match="has 1 keyframe, expected at least 2"):
        unfinished.finish()
    assert len(unfinished) == 1


def test_another_robots_episode_is_not_gone_on_with(store: EpisodeStore, make_episode: EpisodeMaker) -> None:
    unfinished = begin(store, make_episode())
    unfinished.add(make_episode().keyframes[0])
    unfinished.close()
    with pytest.raises(DataError, match="recorded with the robot panda, not fr3"):
        UnfinishedEpisode.reopen(EpisodeStore(store.path, "fr3"), unfinished.folder)


def test_a_recorder_killed_while_it_finishes_neither_loses_nor_doubles(
    store: EpisodeStore, make_episode: EpisodeMaker
) -> None:
    unfinished = begin(store, make_episode())
    for keyframe in make_episode().keyframes:
        unfinished.add(keyframe)
    unfinished.close()
    whole = unfinished.folder / "episode.zip"
    EpisodeStore(store.path / "elsewhere", "panda").write(make_episode()).rename(whole)
    assert find_unfinished(store) == []
    assert len(open_episodes(store.path)) == 1
    # The other side of the link: named already, but not yet cleaned up.
    unfinished.folder.mkdir()
    os.link(store.path / "stack_blocks-000000.zip", whole)
    assert find_unfinished(store) == []
    assert len(open_episodes(store.path)) == 1
    assert not unfinished.folder.exists()


@pytest.mark.process
def test_kill_9_at_random_moments_loses_no_marked_keyframe(tmp_path: Path) -> None:
    rng = random.Random(0)
    marked = 0
    for _ in range(6):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        recorder = subprocess.Popen(
            [sys.executable, "-c", RECORDER, str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert recorder.stdout is not None
        for _ in range(rng.randint(1, 9)):
            marked += recorder.stdout.readline() == "marked\n"
        with pytest.raises(subprocess.TimeoutExpired):
            recorder.wait(rng.uniform(0.0, 0.01))
        recorder.send_signal(signal.SIGKILL)
        marked += recorder.communicate()[0].count("marked\n")
    store = EpisodeStore(tmp_path, "panda")
    left = [UnfinishedEpisode.reopen(store, folder) for folder in find_unfinished(store)]
    episodes = open_episodes(tmp_path)
    assert {len(episode.keyframes) for episode in episodes} == {4}
    kept = 4 * len(episodes) + sum(map(len, left))
    # What a killed recorder had written without having said so may be there as well.
    assert marked <= kept <= marked + 6


@pytest.mark.process
def test_a_full_disk_is_named_and_the_earlier_keyframes_stay(store: EpisodeStore, make_episode: EpisodeMaker) -> None:
    unfinished = begin(store, make_episode())
    unfinished.add(make_episode(cameras=("front",)).keyframes[0])
    writer = multiprocessing.get_context("fork").Process(target=_add_limited, args=(unfinished, make_episode))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    assert [file.name for file in unfinished.folder.iterdir()] == ["000.zip"]
    unfinished.add(make_episode().keyframes[1])
    assert len(open_episodes(unfinished.finish())[0].keyframes) == 2


def _add_limited(unfinished: UnfinishedEpisode, make_episode: EpisodeMaker) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    try:
        unfinished.add(make_episode().keyframes[1])
    except DataError as error:
        os._exit(0 if "001.zip: File too large; marked before and safe in" in str(error) else 3)
    os._exit(4)
