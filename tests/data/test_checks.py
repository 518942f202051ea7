"""What `mini-diffuser check` finds in one episode, and in all of them together."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros import robots
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.geometry import axis_angle_matrix, matrix_from_pose, pose_from_matrix
from mini_diffuser_ros.records import CameraView, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.robots.folder import read_folder
from mini_diffuser_ros.sentences import tokenizer

from .conftest import random_episode

READ_BY_THE_ENCODER = pytest.mark.skipif(tokenizer() is None, reason="the sentence encoder is not installed")

HAND_FROM_WRIST = np.array([[0.0, -1, 0, 0.05], [1, 0, 0, 0], [0, 0, 1, -0.06], [0, 0, 0, 1]])


def arm_at(turn: float, robot: str = "panda") -> tuple[dict[str, float], np.ndarray]:
    """Joint positions and where they put the tool, (4, 4)."""
    description = load_robot(robot)
    positions = np.array(description.home)
    positions[0] += turn
    return dict(zip(description.arm_joint_names, positions.tolist(), strict=True)), description.tcp_pose(positions)


def lab_episode(
    seed: int,
    task: str = "stack_blocks",
    robot: str = "panda",
    moved: float = 0.0,
    wrist_moved: float = 0.0,
    size: tuple[int, int] = (24, 32),
    sentences: tuple[str, ...] = ("put the red block on the blue one", "stack red on blue"),
) -> Episode:
    """An episode of a fixed camera and one on the hand, with all that a recorder would write."""
    rng = np.random.default_rng(seed)
    [pattern] = random_episode(seed, keyframes=1, cameras=("front",)).keyframes[0].views
    lens = np.array([[40.0, 0.0, size[1] / 2], [0.0, 40.0, size[0] / 2], [0.0, 0.0, 1.0]])

    def view(name: str, place: np.ndarray, stamp: float) -> CameraView:
        color = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        depth = rng.uniform(0.5, 0.9, size).astype(np.float32)
        return replace(
            pattern, name=name, color=color, depth=depth, intrinsics=lens, base_from_camera=place, stamp=stamp
        )

    def keyframe(number: int) -> Keyframe:
        joints, base_from_tool = arm_at(0.15 * number - 0.2 + 0.05 * rng.random(), robot)
        front = pattern.base_from_camera.copy()
        front[0, 3] += moved
        wrist = base_from_tool @ HAND_FROM_WRIST
        wrist[:3, 3] += wrist_moved * wrist[:3, 2]
        views = (view("front", front, 1.5 * number), view("wrist", wrist, 1.5 * number))
        pose = pose_from_matrix(base_from_tool)
        return Keyframe(pose, number % 2 == 0, 1.5 * number, _no_cloud, lambda: views, joints)

    return Episode(task, 0, sentences, tuple(map(keyframe, range(3))), f"by hand {seed}")


def _no_cloud() -> Any:
    raise AssertionError("recorders write images")


def recorded(folder: Path, episodes: Iterable[Episode], robot: str = "panda") -> Path:
    store = EpisodeStore(folder, robot)
    for episode in episodes:
        store.write(episode)
    return folder


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the index of an episode that is recorded already, as no recorder of today would."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members["episode.json"])
    change(index)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**members, "episode.json": json.dumps(index).encode()}.items():
            archive.writestr(name, data)


def checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    code = main(["check", str(folder), "--workers", "1", "--json", "-"])
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["format_version"]) == ("mini_diffuser_ros check", 1)
    counted = [sum(f["severity"] == severity for f in report["findings"]) for severity in ("error", "warning")]
    assert counted == [report["errors"], report["warnings"]]
    assert code == (1 if report["errors"] else 0)
    return code, report["findings"]


def of_kind(findings: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [finding for finding in findings if finding["kind"] == kind]
    return found


def test_a_good_set_has_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recorded(tmp_path, map(lab_episode, range(10)))
    assert main(["check", str(folder), "--workers", "1"]) == 0
    assert capsys.readouterr().out == "10 episodes of 1 task: 0 errors in 0 episodes, 0 warnings\n"


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return recorded(tmp_path, map(lab_episode, range(3)))


def place(index: dict[str, Any], x: float) -> None:
    index["keyframes"][1]["pose"][0] = x


def camera(index: dict[str, Any], **values: Any) -> None:
    index["keyframes"][1]["cameras"][0].update(values)


FAR = np.eye(4).tolist()
FAR[0][3] = 1100.0


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda index: place(index, 50.0), "a pose out of reach", "the tool is at (50, "),
        (
            lambda index: camera(index, intrinsics=[[40.0, 9.0, 16.0], [0.0, 40.0, 12.0], [0.0, 0.0, 1.0]]),
            "a lens that is skewed",
            "skew 9",
        ),
        (lambda index: camera(index, name="wrist"), "one camera taken for two", "camera wrist is there twice"),
        (
            lambda index: camera(index, color="1/wrist.color.png"),
            "one camera taken for two",
            "cameras front and wrist show the same picture",
        ),
        (
            lambda index: camera(index, depth="1/wrist.depth.png"),
            "one camera taken for two",
            "cameras front and wrist show the same depth",
        ),
        (lambda index: index.update(task="stack\n\x1b[2J"), "it cannot be read", "without control characters"),
        (lambda index: camera(index, name="a\u2028b"), "it cannot be read", "without control characters"),
        (lambda index: place(index, 1e300), "a pose out of reach", "the tool is at (1e+300, "),
        (lambda index: place(index, -1.2), "a pose out of reach", "the tool is at (-1.2, "),
        (lambda index: place(index, 0.2), "joint positions that contradict the pose", "put the tool "),
        (
            lambda index: camera(index, base_from_camera=np.diag([-1.0, 1, 1, 1]).tolist()),
            "a camera that cannot be",
            "mirrored",
        ),
        (lambda index: camera(index, base_from_camera=FAR), "a camera out of reach", "is its TF in metres?"),
        (
            lambda index: camera(index, intrinsics=[[-40.0, 0, 16], [0, 40.0, 12], [0, 0, 1]]),
            "focal lengths that cannot be",
            "camera front: focal lengths -40, 40 pixels",
        ),
        (
            lambda index: camera(index, intrinsics=[[40.0, 0, 640], [0, 40.0, 12], [0, 0, 1]]),
            "a principal point that cannot be",
            "camera front: principal point (640, 12)",
        ),
        (
            lambda index: index["keyframes"][1].update(stamp=9.0),
            "stamps that run backwards",
            "keyframe 2: its stamp",
        ),
        (
            lambda index: index["keyframes"][1].update(stamp=0.0),
            "stamps that stand still",
            "keyframe 1: its stamp",
        ),
        (
            lambda index: index.update(sentences=["stack"] * 2 + ["go " * 97]),
            "a sentence that no encoder takes",
            "99",
        ),
        (lambda index: index.update(sentences=["x" * 10**6]), "a sentence that no encoder takes", "has 1000000"),
        (lambda index: index.update(sentences=["a\u0000b"]), "a sentence that no encoder takes", "holds '\\x00'"),
        pytest.param(
            lambda index: index.update(sentences=["\u628a\u7ea2"]),
            "a sentence that no encoder takes",
            "holds no word",
            marks=READ_BY_THE_ENCODER,
        ),
        pytest.param(
            lambda index: index.update(sentences=["vvvv, kkkkk wwww!"]),
            "a sentence that no encoder takes",
            "knows ('vvvv', 'kkkkk', 'wwww'): say it in English",
            marks=READ_BY_THE_ENCODER,
        ),
    ],
)
def test_what_cannot_be_is_an_error(
    three: Path, change: Callable[[dict[str, Any]], None], kind: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(three / "stack_blocks-000001.zip", change)
    code, findings = checked(three, capsys)
    found = of_kind(findings, kind)
    assert code == 1
    assert found["severity"] == "error"
    assert said in found["problem"]
    assert len(found["problem"]) < 300
    assert found["episodes"] == ["stack_blocks-000001"]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (
            lambda index: camera(index, stamp=4.0),
            "an image of another time",
            "camera front: its image is +2.50 s",
        ),
        (
            lambda index: camera(index, stamp=0.0),
            "stamps that stand still",
            "camera front: its stamp is that",
        ),
        (
            lambda index: camera(index, color="0/front.color.png"),
            "a picture that stands still",
            "camera front shows the picture of the keyframe before, bit for bit, and the arm has moved",
        ),
        (
            lambda index: index["keyframes"][2]["cameras"].pop(),
            "a camera that comes and goes",
            "keyframe 2: camera wrist has no image, but has of 2 of 3 keyframes",
        ),
        pytest.param(
            lambda index: index.update(sentences=["put the \u8fd9 on the blue one"]),
            "words that the encoder does not know",
            "does not know '\u8fd9' in",
            marks=READ_BY_THE_ENCODER,
        ),
        pytest.param(
            lambda index: index.update(sentences=["put the kkkkk on the wvwv"]),
            "words that the encoder does not know",
            "does not know 'kkkkk', 'wvwv' in",
            marks=READ_BY_THE_ENCODER,
        ),
        pytest.param(
            lambda index: index.update(sentences=["dr\u00fccke den blauen Knopf"]),
            "a sentence that may not be English",
            "knows only pieces of 'dr\u00fccke', 'blauen', 'Knopf' in",
            marks=READ_BY_THE_ENCODER,
        ),
    ],
)
def test_what_may_be_is_a_warning(
    three: Path, change: Callable[[dict[str, Any]], None], kind: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(three / "stack_blocks-000001.zip", change)
    _, findings = checked(three, capsys)
    found = of_kind(findings, kind)
    assert found["severity"] == "warning"
    assert said in found["problem"]
    assert found["episodes"] == ["stack_blocks-000001"]


def test_a_camera_whose_images_change_their_size_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = lab_episode(0)
    front, wrist = episode.keyframes[1].views
    half = replace(front, color=front.color[:12], depth=front.depth[:12])
    keyframes = list(episode.keyframes)
    keyframes[1] = replace(keyframes[1], load_views=lambda: (half, wrist))
    recorded(tmp_path, [replace(episode, keyframes=keyframes)])
    _, findings = checked(tmp_path, capsys)
    problem = of_kind(findings, "images of several sizes")["problem"]
    assert problem == "camera front has images of 2 sizes: 32x12, 32x24"


def test_robots_that_differ_are_an_error(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(three, [lab_episode(7, robot="fr3")], "fr3")
    _, findings = checked(three, capsys)
    found = of_kind(findings, "several robots")
    assert found["severity"] == "error"
    assert found["problem"].startswith("2 robots: panda in 3; fr3 in 1 (fr3 in stack_blocks-000003)")
    assert found["episodes"] == ["stack_blocks-000003"]


@pytest.mark.parametrize("named", ["", "/world"])
def test_data_open_no_folder_of_a_robot_that_the_user_has_not_named(
    tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is one, so that only its name can be why it is not opened."""
    folder = tmp_path / "robots" / "our_arm"
    shutil.copytree(Path(robots.__file__).parent / "panda", folder)
    data = recorded(tmp_path / "data", map(lab_episode, range(10)))

    def change(index: dict[str, Any]) -> None:
        if named:
            index["world"]["robots"] = [str(folder)]
        else:
            index["robot"] = str(folder)

    for file in data.glob("*.zip"):
        edit(file, change)
    opened = []
    read = read_folder
    monkeypatch.setattr(
        "mini_diffuser_ros.robots.description.read_folder", lambda path: opened.append(path) or read(path)
    )
    _, findings = checked(data, capsys)
    assert folder not in opened
    if not named:
        problem = of_kind_of(findings, "it cannot be read")["problem"]
        assert "for one of your own set MINI_DIFFUSER_ROBOTS to its folder" in problem
    monkeypatch.setenv("MINI_DIFFUSER_ROBOTS", f"{tmp_path / 'other'}{os.pathsep}{folder}")
    assert checked(data, capsys) == (0, [])
    assert folder in opened


def of_kind_of(findings: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(finding for finding in findings if finding["kind"] == kind)


def test_cameras_and_sizes_that_differ_are_warnings(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = lab_episode(8, size=(48, 64))

    def front_only(keyframe: Keyframe) -> Keyframe:
        views = keyframe.views[:1]
        return replace(keyframe, load_views=lambda: views)

    recorded(three, [replace(alone, keyframes=tuple(map(front_only, alone.keyframes)))])
    code, findings = checked(three, capsys)
    assert code == 0
    assert "front in stack_blocks-000003" in of_kind(findings, "several sets of cameras")["problem"]
    sizes = of_kind(findings, "several image sizes of camera front")["problem"]
    assert sizes.startswith("2 image sizes of camera front: 32x24 in 3; 64x48 in 1")


def resized(episode: Episode, factor: int, focal: float = 1.0) -> Episode:
    """The same lens with larger images; ``focal`` is of another lens."""

    def larger(view: CameraView) -> CameraView:
        matrix = np.array(view.intrinsics)
        matrix[:2] *= factor
        matrix[[0, 1], [0, 1]] *= focal
        color, depth = (
            np.kron(image, np.ones((factor, factor, 1)[: image.ndim])) for image in (view.color, view.depth)
        )
        return replace(view, color=color.astype(np.uint8), depth=depth.astype(np.float32), intrinsics=matrix)

    def of(keyframe: Keyframe) -> Keyframe:
        views = tuple(map(larger, keyframe.views))
        return replace(keyframe, load_views=lambda: views)

    return replace(episode, keyframes=tuple(map(of, episode.keyframes)))


def test_images_of_another_size_are_of_the_same_lens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path, [resized(lab_episode(seed), 3 if seed > 6 else 1) for seed in range(10)])
    _, findings = checked(tmp_path, capsys)
    assert {finding["kind"] for finding in findings} == {
        f"several image sizes of camera {n}" for n in ("front", "wrist")
    }


def test_another_lens_is_noticed_behind_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path, [resized(lab_episode(seed), 2, 1.1 if seed > 4 else 1.0) for seed in range(10)])
    _, findings = checked(tmp_path, capsys)
    found = of_kind(findings, "intrinsics of camera wrist that jump")["problem"]
    assert found.startswith("camera wrist: its intrinsics jump by 10.0 % of the focal length between ")


def test_a_refused_copy_has_cameras_and_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The refused one comes first, so that the other would seem to be the copy."""
    recorded(tmp_path, [lab_episode(seed) for seed in range(1, 10)])
    refused = tmp_path / "stack_blocks-0.zip"
    shutil.copy(tmp_path / "stack_blocks-000004.zip", refused)

    def upside_down(index: dict[str, Any]) -> None:
        for keyframe in index["keyframes"]:
            for one in keyframe["cameras"]:
                one["base_from_camera"] = np.diag([1.0, 1, -1, 1]).tolist()

    edit(refused, upside_down)
    _, findings = checked(tmp_path, capsys)
    assert not any("clouds alone" in finding["problem"] for finding in findings)
    assert of_kind(findings, "the same episode twice")["episodes"] == ["stack_blocks-0"]
    few = of_kind(findings, "a task of few episodes")["problem"]
    assert few == "task stack_blocks has 9 episodes (1 more copied or with errors), fewer than 10"


def test_faults_of_several_tasks_are_counted_by_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = ["close_jar"] * 3 + ["press_bell"] * 2 + ["stack_cups"]
    recorded(tmp_path, [lab_episode(seed, task) for seed, task in enumerate(tasks)])
    assert main(["check", str(tmp_path), "--workers", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "warning: a task of few episodes: 3 tasks: task close_jar has 3 episodes, fewer than 10; "
        "task press_bell has 2 episodes, fewer than 10; task stack_cups has 1 episode, fewer than 10"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"moved": 0.032}, "front: its calibration jumps by 32 mm and 0.0 degrees in the base frame between "),
        (
            {"wrist_moved": 0.02},
            "wrist: its calibration jumps by 20 mm and 0.0 degrees against the hand between ",
        ),
    ],
)
def test_a_calibration_that_jumps_between_sessions_is_named(
    tmp_path: Path, changes: dict[str, float], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path, [lab_episode(seed, **(changes if seed > 3 else {})) for seed in range(6)])
    _, findings = checked(tmp_path, capsys)
    [found] = [finding for finding in findings if "jumps" in finding["kind"]]
    assert found["severity"] == "warning"
    assert found["problem"].startswith(f"camera {told}stack_blocks-000003 and stack_blocks-000004")


def test_a_calibration_that_creeps_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path, [lab_episode(seed, moved=0.002 * seed) for seed in range(8)])
    _, findings = checked(tmp_path, capsys)
    assert "in the base frame" in of_kind(findings, "calibration of camera front that jumps")["problem"]


def test_the_hand_turned_by_half_a_circle_is_the_same_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gripper is the same on both sides, and labels are turned to one of them."""
    half_turn = axis_angle_matrix((0, 0, 1), np.pi)

    def turned(keyframe: Keyframe) -> Keyframe:
        return replace(keyframe, pose=pose_from_matrix(matrix_from_pose(keyframe.pose) @ half_turn))

    episodes = [lab_episode(seed) for seed in range(10)]
    recorded(tmp_path, [replace(e, keyframes=tuple(map(turned, e.keyframes))) for e in episodes[:5]])
    recorded(tmp_path, episodes[5:])
    assert checked(tmp_path, capsys) == (0, [])


def test_the_same_episode_under_another_name_with_other_stamps_is_noticed(
    three: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = three / "stack_blocks-000009.zip"
    shutil.copy(three / "stack_blocks-000001.zip", copy)

    def later(index: dict[str, Any]) -> None:
        for keyframe in index["keyframes"]:
            keyframe["stamp"] += 100.0
            for one in keyframe["cameras"]:
                one["stamp"] += 100.0

    edit(copy, later)
    _, findings = checked(three, capsys)
    found = of_kind(findings, "the same episode twice")
    assert found["problem"].startswith(
        "stack_blocks-000009: all of its keyframes show, bit for bit, what stack_blocks-000001"
    )


def test_depth_in_another_unit_contradicts_the_pose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tenth of every distance is no impossible depth, but not where the hand is."""
    recorded(tmp_path, [lab_episode(seed) for seed in range(6)])
    for file in tmp_path.glob("*.zip"):
        edit(file, lambda index: index.update(depth_unit_metres=1e-5))
    _, findings = checked(tmp_path, capsys)
    problems = [finding["problem"] for finding in findings if finding["kind"] == "depth that contradicts the pose"]
    assert any(problem.startswith("camera front: ") for problem in problems)


def test_a_fault_of_many_episodes_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path, [lab_episode(seed) for seed in range(12)])
    for file in tmp_path.glob("*.zip"):
        edit(file, lambda index: place(index, 30.0))
    assert main(["check", str(tmp_path), "--workers", "1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(
        "error: a pose out of reach: 12 episodes (stack_blocks-000000, stack_blocks-000001, stack_blocks-000002, "
        "\u2026); stack_blocks-000000: keyframe 1: the tool is at (30, "
    )
    assert main(["check", str(tmp_path), "--workers", "1", "--all"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 13


def test_the_file_for_the_figures_is_opened_first(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(three), "--json", str(three / "no" / "x.json")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    out = three / "x.json"
    assert main(["check", str(three), "--workers", "1", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["tasks"] == {"stack_blocks": 3}
