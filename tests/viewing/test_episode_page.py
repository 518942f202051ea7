"""Demonstrations on a page that opens offline: what it holds, and what a browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import DataError, EpisodeStore
from mini_diffuser_ros.records import CameraView, Cloud, Episode, Keyframe
from mini_diffuser_ros.support.drawing import GripperGlyph
from mini_diffuser_ros.viewing.episode_page import write_episode_page
from mini_diffuser_ros.viewing.scene import scene_values

from .pages import BROWSER, HOSTILE, Parts, browsed


@dataclass(frozen=True)
class _Stored:
    """An episode in memory, or what is wrong with it."""

    source: str
    episode: Episode | None

    def digest(self) -> bytes:
        return b""

    def pictures(self) -> frozenset[int]:
        return frozenset()

    def read(self) -> Episode:
        if self.episode is None:
            raise DataError(f"{self.source}: cut off")
        return self.episode


def _episode(source: str, stamps: Sequence[float] = (10.0, 11.5, 14.0), cameras: Sequence[str] = ("front",)) -> Episode:
    cloud = Cloud(
        np.array([[0.4, 0.1, 0.02], [0.5, -0.1, 0.3]], np.float32), np.full((2, 3), 90, np.uint8), "panda_link0"
    )
    depth = np.array([[0.0, 0.5], [1.0, np.nan]], np.float32)
    color = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    views = tuple(CameraView(name, color, depth, np.eye(3), np.eye(4)) for name in cameras)
    keyframes = tuple(
        Keyframe(
            np.array([0.4, 0.0, 0.1 * number, 1.0, 0.0, 0.0, 0.0]),
            number % 2 == 0,
            stamp,
            lambda: cloud,
            lambda: views,
            {"panda_joint1": 0.1 * number, "panda_finger_joint1": 0.04},
        )
        for number, stamp in enumerate(stamps)
    )
    return Episode("stack_blocks", 0, (HOSTILE, "stack them"), keyframes, source)


def _page(path: Path, *episodes: _Stored) -> Parts:
    write_episode_page(path, HOSTILE, episodes)
    return Parts.of(path)


def test_a_page_needs_nothing_but_itself_and_runs_no_script_but_its_own(tmp_path: Path) -> None:
    parts = _page(tmp_path / "page.html", _Stored("one", _episode("one")))
    assert parts.addresses == []
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in parts.scripts]
    assert len(digests) == 4
    assert parts.policy.startswith("default-src 'none'; img-src data:;")
    assert parts.policy.endswith("script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))


def test_everything_of_an_episode_is_on_its_page(tmp_path: Path) -> None:
    parts = _page(tmp_path / "page.html", _Stored("one", _episode("one", cameras=("front", "wrist"))))
    (shown,) = json.loads(parts.data)["episodes"]
    assert shown["source"] == "one"
    assert shown["sentences"] == [HOSTILE, "stack them"]
    assert [[view["name"] for view in keyframe["views"]] for keyframe in shown["keyframes"]] == [["front", "wrist"]] * 3
    assert "depth 0.51 to 0.99 m at 50 % of its pixels" in shown["keyframes"][0]["views"][0]["about"]
    assert shown["chart"]["times"] == [0.0, 1.5, 4.0]
    assert shown["chart"]["open"] == [True, False, True]
    assert [len(keyframe["scene"]["lines"]) for keyframe in shown["keyframes"]] == [2, 2, 1]


def test_stamps_that_run_backwards_are_shown_by_number(tmp_path: Path) -> None:
    parts = _page(tmp_path / "page.html", _Stored("one", _episode("one", stamps=(5.0, 5.0, 4.0))))
    assert json.loads(parts.data)["episodes"][0]["chart"]["times"] == [0.0, 1.0, 2.0]


def test_joints_without_fingers_are_drawn_where_the_robot_is_known(tmp_path: Path) -> None:
    episode = _episode("one")
    known = replace(episode, provenance=replace(episode.provenance, robots=("panda", "nobody_knows_it")))
    parts = _page(tmp_path / "page.html", _Stored("one", episode), _Stored("two", known))
    names = [[curve["name"] for curve in shown["chart"]["curves"]] for shown in json.loads(parts.data)["episodes"]]
    assert names == [["panda_joint1", "panda_finger_joint1"], ["panda_joint1"]]


def test_without_joints_the_end_effector_is_drawn(tmp_path: Path) -> None:
    episode = _episode("one")
    bare = replace(episode, keyframes=[replace(keyframe, joint_positions={}) for keyframe in episode.keyframes])
    chart = json.loads(_page(tmp_path / "page.html", _Stored("one", bare)).data)["episodes"][0]["chart"]
    assert chart["unit"] == "m"
    assert [curve["name"] for curve in chart["curves"]] == ["x", "y", "z"]
    assert chart["curves"][2]["values"] == pytest.approx([0.0, 0.1, 0.2])


def _absurd() -> Episode:
    """An episode of numbers that no arm has, in all that a page draws."""
    episode = _episode("absurd", stamps=(-1e308, 0.0, 1e308))
    far = Cloud(
        np.array([[0.4, 0.1, 0.02], [np.inf, 0.0, 0.0], [0.1, np.nan, 3e38]], np.float32),
        np.full((3, 3), 90, np.uint8),
        "panda_link0",
    )
    joints = {f"panda_joint{number}": 0.1 * number for number in range(200)} | {"panda_joint3": -1e305}
    keyframes = [
        replace(keyframe, joint_positions=joints, load_cloud=lambda: far, load_views=lambda: ())
        for keyframe in episode.keyframes
    ]
    keyframes[1] = replace(keyframes[1], pose=np.array([0.4, -7e250, 0.1, 1.0, 0.0, 0.0, 0.0]))
    return replace(episode, keyframes=keyframes, provenance=replace(episode.provenance, cameras=("left",)))


def test_what_has_no_place_in_a_picture_is_told_and_not_drawn(tmp_path: Path) -> None:
    (shown,) = json.loads(_page(tmp_path / "page.html", _Stored("absurd", _absurd())).data)["episodes"]
    scene = shown["keyframes"][1]["scene"]
    assert np.abs([scene["low"], scene["high"]]).max() < 20.0
    assert [line["label"] for line in scene["lines"]] == ["next, open"]
    assert "-7e+250" in shown["keyframes"][1]["about"]
    assert "not drawn, as beyond 10 m or nowhere: gripper now; 2 points" in shown["keyframes"][1]["about"]
    chart = shown["chart"]
    assert (chart["times"], chart["in_seconds"]) == ([0.0, 1.0, 2.0], False)
    assert len(chart["curves"]) < 50
    assert "panda_joint3 -1e+305 rad at keyframe 0" in chart["left_out"]
    assert "more joints" in chart["left_out"]
    assert "left" in shown["no_views"]


def test_a_page_of_many_long_sentences_is_bounded(tmp_path: Path) -> None:
    episode = replace(_episode("one"), sentences=tuple(f"{number} " + "go " * 2000 for number in range(900)))
    parts = _page(tmp_path / "page.html", _Stored("one", episode))
    assert json.loads(parts.data)["episodes"][0]["sentences"][-1] == "and 700 more"
    assert len(parts.data) < 300_000


def test_an_episode_that_cannot_be_read_is_shown_with_its_fault(tmp_path: Path) -> None:
    faults: list[str] = []
    stored = [_Stored("bad", None), _Stored("good", _episode("good"))]
    assert write_episode_page(tmp_path / "page.html", "both", stored, faults.append) == 1
    shown = json.loads(Parts.of(tmp_path / "page.html").data)["episodes"]
    assert faults == ["bad: cut off"] == [shown[0]["fault"]]
    assert shown[1]["fault"] == ""


@given(
    points=st.lists(st.tuples(*[st.floats(-1.875, 1.875, width=32)] * 3), max_size=30),
    gripper=st.tuples(*[st.floats(-0.8, 0.8)] * 3),
)
def test_points_of_a_scene_come_back_within_a_tenth_of_a_millimetre(points: list[Any], gripper: Any) -> None:
    cloud = Cloud(np.array(points, np.float32).reshape(-1, 3), np.zeros((len(points), 3), np.uint8), "base")
    scene = scene_values(cloud, [GripperGlyph(np.array([*gripper, 1.0, 0.0, 0.0, 0.0]), True)])
    packed = scene["cloud"]
    steps = np.frombuffer(base64.b64decode(packed["steps"]), "<i2").reshape(-1, 3)
    shown = steps * packed["unit"] + packed["center"]
    assert shown.shape == cloud.points.shape
    assert np.all(np.abs(shown - cloud.points) < 1e-4)
    assert np.all(np.array(scene["low"]) <= np.array(scene["lines"][0]["edges"]).min(axis=(0, 1)))
    assert np.all(np.array(scene["high"]) >= np.array(scene["lines"][0]["edges"]).max(axis=(0, 1)))


def test_of_a_large_cloud_a_part_is_shown() -> None:
    points = np.random.default_rng(0).uniform(0.0, 1.0, (50_000, 3)).astype(np.float32)
    scene = scene_values(Cloud(points, np.zeros((50_000, 3), np.uint8), "base"), most_points=1000)
    assert len(base64.b64decode(scene["cloud"]["colors"])) == 3000


def test_view_writes_the_episodes_that_are_named(
    tmp_path: Path, make_recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    names = sorted(file.stem for file in make_recordings.glob("*.zip"))
    assert main(["view", str(make_recordings), names[1], "--out", str(page)]) == 0
    shown = json.loads(Parts.of(page).data)["episodes"]
    assert [episode["source"] for episode in shown] == [names[1]]
    assert str(page) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody-000009"], "there is no episode 'nobody-000009' among 2: "),
        (["--out", "nowhere/page.html"], "--out nowhere/page.html: cannot be written: "),
        (["--episodes", "0"], "not a whole number of at least 1"),
    ],
)
def test_what_cannot_be_viewed_is_said_in_a_line(
    make_recordings: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["view", str(make_recordings), *words])
    except SystemExit as error:
        code = int(str(error.code))
    assert code != 0
    assert said in capsys.readouterr().err


@pytest.fixture
def make_recordings(tmp_path: Path) -> Path:
    """A folder of two recordings."""
    folder = tmp_path / "recordings"
    store = EpisodeStore(folder)
    for seed in (3, 4):
        store.write(_episode(f"tabletop seed {seed}"), seed)
    return folder


@pytest.mark.process
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_shows_hostile_sentences_as_text_and_steps_to_the_keyframe_of_the_address(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    _page(page, _Stored("one", _episode("one")), _Stored("bad", None), _Stored("two", _episode("two")))
    address = f"{page.as_uri()}#two@1"
    shown = browsed(address, tmp_path / "profile")
    body = shown.split("<main>")[1].split("</main>")[0]
    assert "<title>broken" not in shown
    assert "&lt;/script&gt;&lt;img src=x onerror=" in body
    assert "<b>it</b>" not in body
    assert re.findall(r'<button type="button" aria-current="(true|false)">\d', body) == ["false", "true", "false"]
    assert body.count("data:image/jpeg;base64,") == 2
    assert "stack_blocks, keyframe 1, closed" in body


@pytest.mark.process
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_shows_absurd_numbers_as_text(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    _page(page, _Stored("absurd", _absurd()))
    # What a page could be told, whoever wrote it: the script itself has to bound what it draws.
    text = page.read_text(encoding="utf-8")
    assert '"low":[' in text
    page.write_text(re.sub(r'"low":\[[^]]*\]', '"low":[-1e300,-5e15,0]', text), encoding="utf-8")
    shown = browsed(page.as_uri() + "#absurd@1", tmp_path / "profile")
    body = shown.split("<main>")[1].split("</main>")[0]
    assert "end effector at 0.400 -7e+250 0.100 m" in body
    assert "No images: this episode is stored as clouds alone; its images, of left, were not converted" in body
    assert "not drawn: panda_joint3 -1e+305 rad" in body
