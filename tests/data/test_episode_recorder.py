"""What an operator may ask the recorder for, and what it answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, open_episodes
from mini_diffuser_ros.data.episode_recorder import EpisodeRecorder, RecorderError, RecorderState
from mini_diffuser_ros.records import CameraView, Cloud, Keyframe
from mini_diffuser_ros.sentences import tokenizer

READ_BY_THE_ENCODER = pytest.mark.skipif(tokenizer() is None, reason="the sentence encoder is not installed")


def keyframe(x: float, gripper_open: bool = True) -> Keyframe:
    view = CameraView(
        name="front",
        color=np.arange(72, dtype=np.uint8).reshape(4, 6, 3),
        depth=np.ones((4, 6), np.float32),
        intrinsics=np.array([[5.0, 0.0, 2.5], [0.0, 5.0, 1.5], [0.0, 0.0, 1.0]]),
        base_from_camera=np.eye(4),
    )
    cloud = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "panda_link0")
    pose = np.array([x, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0])
    return Keyframe(pose, gripper_open, x, lambda: cloud, lambda: (view,), {"panda_joint1": 0.1})


@pytest.fixture
def recorder(tmp_path: Path) -> EpisodeRecorder:
    return EpisodeRecorder(tmp_path, "panda", "recorded by hand")


def start(recorder: EpisodeRecorder) -> str:
    return recorder.start("stack_cups", ["stack the cups", "put one cup on the other"], 3)


def test_an_episode_from_start_to_end(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    assert recorder.progress.state == RecorderState.IDLE
    assert start(recorder) == "recording stack_cups: 'stack the cups'"
    assert recorder.add(keyframe(0.1)) == "keyframe 1"
    assert recorder.add(keyframe(0.2)) == "keyframe 2"
    assert recorder.progress.keyframes == 2
    assert recorder.end() == f"wrote {tmp_path / 'stack_cups-000000.zip'} with 2 keyframes"
    [episode] = open_episodes(tmp_path)
    assert (episode.task, episode.variation, len(episode.sentences)) == ("stack_cups", 3, 2)
    assert recorder.progress.state == RecorderState.IDLE


def test_what_does_not_fit_is_refused_with_the_remedy(recorder: EpisodeRecorder) -> None:
    for action in (recorder.check_recording, recorder.end, recorder.drop, recorder.drop_keyframe):
        with pytest.raises(RecorderError, match="no episode is being recorded"):
            action()
    with pytest.raises(RecorderError, match="no unfinished episode"):
        recorder.resume()
    start(recorder)
    with pytest.raises(RecorderError, match="end or drop it first"):
        start(recorder)
    with pytest.raises(RecorderError, match="is being recorded"):
        recorder.resume()


def test_a_second_press_is_noticed(recorder: EpisodeRecorder) -> None:
    start(recorder)
    recorder.add(keyframe(0.1))
    assert "drop it?" in recorder.add(keyframe(0.101))
    recorder.drop_keyframe()
    assert recorder.add(keyframe(0.1, gripper_open=False)) == "keyframe 2"


def test_an_interrupted_episode_has_to_be_dealt_with_first(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    start(recorder)
    recorder.add(keyframe(0.1))
    recorder.close()
    later = EpisodeRecorder(tmp_path, "panda", "recorded by hand")
    assert "with 1 keyframe, which was interrupted" in later.look_for_unfinished()
    assert later.progress.state == RecorderState.UNFINISHED
    assert later.progress.sentences == ("stack the cups", "put one cup on the other")
    for action in (lambda: start(later), lambda: later.add(keyframe(0.2))):
        with pytest.raises(RecorderError, match="resume, end or drop it first"):
            action()
    assert "going on with" in later.resume()
    later.add(keyframe(0.2))
    later.end()
    assert len(open_episodes(tmp_path)[0].keyframes) == 2


def test_a_dropped_episode_comes_back_when_it_is_moved_back(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    start(recorder)
    name = recorder.progress.episode
    recorder.add(keyframe(0.1))
    assert str(tmp_path / "dropped" / name) in recorder.drop()
    (tmp_path / "dropped" / name).rename(tmp_path / "unfinished" / name)
    assert "with 1 keyframe" in recorder.resume()


def test_another_robots_unfinished_episode_is_left_as_it_is(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    start(recorder)
    recorder.add(keyframe(0.1))
    recorder.close()
    other = EpisodeRecorder(tmp_path, "fr3", "recorded by hand")
    assert "robot panda, not fr3" in other.look_for_unfinished()
    assert other.progress.state == RecorderState.IDLE


def test_failed_runs_lie_apart(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    start(recorder)
    recorder.add(keyframe(0.1))
    recorder.add(keyframe(0.2))
    recorder.end(failed=True)
    assert [episode.task for episode in open_episodes(tmp_path / "failed")] == ["stack_cups"]
    assert not list(tmp_path.glob("*.zip"))


def test_what_runs_left_unfinished_is_only_counted(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    assert recorder.count_unfinished() == ""
    start(recorder)
    recorder.add(keyframe(0.1))
    recorder.close()
    later = EpisodeRecorder(tmp_path, "panda", "a run of the stack")
    assert later.count_unfinished().startswith("1 unfinished in")
    assert later.progress.state == RecorderState.IDLE
    start(later)


def test_what_was_resumed_knows_its_last_keyframe(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    assert recorder.last_keyframe() is None
    start(recorder)
    recorder.add(keyframe(0.1))
    recorder.close()
    later = EpisodeRecorder(tmp_path, "panda", "recorded by hand")
    later.resume()
    last = later.last_keyframe()
    assert last is not None
    np.testing.assert_array_equal(last.pose, keyframe(0.1).pose)
    assert "drop it?" in later.add(keyframe(0.1))


def test_a_folder_has_one_recorder(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path} is being written by process {os.getpid()} on .+; wait for it"):
        EpisodeRecorder(tmp_path, "panda", "recorded by hand")
    recorder.close()
    EpisodeRecorder(tmp_path, "panda", "recorded by hand").close()


def test_failed_runs_have_numbers_of_their_own_kind_too(recorder: EpisodeRecorder, tmp_path: Path) -> None:
    for failed in (True, False, True):
        start(recorder)
        recorder.add(keyframe(0.1))
        recorder.add(keyframe(0.2))
        recorder.end(failed)
    names = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.zip"))
    assert names == ["failed/stack_cups-000000.zip", "failed/stack_cups-000002.zip", "stack_cups-000001.zip"]


@pytest.mark.parametrize(
    ("sentences", "said"),
    [
        ((), "there is no sentence"),
        (("stack the cups", "stack " + "the red cup and " * 12 + "the blue cup"), "has 54 tokens, expected at most 48"),
        (("stack\x07 the cups",), r"holds '\\x07', which is no letter"),
        pytest.param(
            ("\N{LEMON}\N{LEMON}",), "holds no word that the sentence encoder knows", marks=READ_BY_THE_ENCODER
        ),
        (("a" * 10**7,), "has 10000000 characters, expected at most 1000: say it in fewer words"),
    ],
)
def test_a_sentence_that_training_would_refuse_is_refused_at_the_start(
    recorder: EpisodeRecorder, sentences: tuple[str, ...], said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        recorder.start("stack_cups", sentences, 0)
    assert len(str(caught.value)) < 200
    assert recorder.progress.state == RecorderState.IDLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda k: replace(k, pose=[50.0, 0, 0.2, 1, 0, 0, 0]), "the tool is at \\(50, 0, 0.2\\) m, a panda reaches"),
        (lambda k: replace(k, pose=[1e300, 0, 0.2, 1, 0, 0, 0]), "the tool is at \\(1e\\+300, 0, 0.2\\) m"),
        (lambda k: replace(k, pose=[0.3, 0, 0.2, 1, 1, 0, 0]), "quaternion of norm 1.414, expected 1"),
        (
            lambda k: with_view(k, intrinsics=np.diag([-5.0, 5.0, 1.0])),
            "focal lengths -5, 5 pixels, expected 0.6 to",
        ),
        (lambda k: with_view(k, base_from_camera=np.diag([1.0, 1, -1, 1])), "mirrored"),
        (lambda k: with_view(k, depth=np.zeros((4, 6), np.float32)), "depth measures nothing"),
        (lambda k: with_view(k, color=np.zeros((4, 6, 3), np.uint8)), "every pixel is \\[0, 0, 0\\]"),
    ],
)
def test_a_keyframe_that_cannot_be_is_refused_and_what_was_marked_stays(
    recorder: EpisodeRecorder, change: Callable[[Keyframe], Keyframe], said: str
) -> None:
    start(recorder)
    recorder.add(keyframe(0.3))
    with pytest.raises(DataError, match=said) as caught:
        recorder.add(change(keyframe(0.4)))
    assert "\n" not in str(caught.value)
    assert recorder.progress.keyframes == 1
    assert recorder.add(keyframe(0.4)) == "keyframe 2"


def with_view(frame: Keyframe, **changes: object) -> Keyframe:
    [view] = frame.views
    changed = replace(view, **changes)
    return replace(frame, load_views=lambda: (changed,))
