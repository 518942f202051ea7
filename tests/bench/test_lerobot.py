"""What `bench lerobot` says of demonstrations that came back otherwise, and of an interpreter without LeRobot."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.bench.lerobot import BENCHMARK, numbers_of, row
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.records import CameraView, Cloud, Episode, Keyframe

PLACE = np.array([[1.0, 0.0, 0.0, 0.5], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
LENS = np.array([[9.0, 0.0, 2.5], [0.0, 9.0, 1.5], [0.0, 0.0, 1.0]])
SENTENCES = [("put the cup on the shelf",)]


def episode() -> Episode:
    view = CameraView(
        "top", np.arange(72, dtype=np.uint8).reshape(4, 6, 3), np.full((4, 6), 0.75, np.float32), LENS, PLACE, 2.0
    )
    cloud = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "panda_link0")
    poses = [np.array([0.4, 0.1 * number, 1 / 3, 1.0, 0.0, 0.0, 0.0]) for number in range(3)]
    keyframes = [Keyframe(pose, True, 1 / 3, lambda: cloud, lambda: (view,), {"a": 0.1}) for pose in poses]
    return Episode("put_cup", 0, SENTENCES[0], tuple(keyframes), "by hand")


@pytest.mark.parametrize(
    ("name", "by", "column", "seen"),
    [
        ("pose", 0.004, "pose", 0.004),
        ("joint.a", 0.02, "joints", 0.02),
        ("observation.depth.top", 3, "depth_m", 0.0003),
        ("observation.images.top", 5, "color", 5.0),
        ("observation.intrinsics.top", 0.5, "intrinsics", 0.5),
        ("observation.extrinsics.top", 0.03, "extrinsics", 0.03),
        ("observation.distortion.top", 0.1, "lens", 0.1),
    ],
)
def test_a_number_that_came_back_otherwise_is_counted(name: str, by: float, column: str, seen: float) -> None:
    before, after = numbers_of(episode()), numbers_of(episode())
    after[name].reshape(-1)[1] += np.asarray(by).astype(after[name].dtype)
    found = row("a way", "0", [before], [after], (SENTENCES, SENTENCES))
    assert (found.unequal, found.keyframes, found.sentences) == (1, 3, 0)
    assert getattr(found, column) == pytest.approx(seen)
    assert not BENCHMARK.passed(found)


def test_float32_is_equal_where_no_more_is_promised_and_another_sentence_is_not() -> None:
    before = numbers_of(episode())
    after = {name: values.astype(np.float32) for name, values in before.items()}
    rounded = row("a way", "0", [before], [after], (SENTENCES, SENTENCES), np.float32)
    assert (rounded.unequal, BENCHMARK.passed(rounded)) == (0, True)
    assert 0.0 < rounded.pose < 1e-7
    exact = row("a way", "0", [before], [after], (SENTENCES, [("another",)]))
    assert exact.unequal > 0
    assert exact.sentences == 1


@pytest.mark.process
def test_an_interpreter_without_lerobot_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    EpisodeStore(tmp_path / "in").write(episode(), 0)
    assert main(["bench", "lerobot", str(tmp_path / "in"), "--python", sys.executable]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert (
        f"--python {sys.executable}: LeRobot could not read (ModuleNotFoundError: No module named 'lerobot')" in error
    )
    assert "pip install lerobot" in error
