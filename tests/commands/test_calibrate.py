"""``mini-diffuser calibrate`` on folders of shots: what it says, what it writes, how it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mini_diffuser_ros.calibration.arm_surface import ArmSurface
from mini_diffuser_ros.calibration.lens import Array, Lens
from mini_diffuser_ros.calibration.places import read_place, write_place
from mini_diffuser_ros.calibration.rigid import matrix_from_vector, shift_between
from mini_diffuser_ros.calibration.shots import Picture, Shot, read_shots, write_shots
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.arm_shots import arm_depth, joints_above_table
from mini_diffuser_ros.simulation.cameras import look_at
from mini_diffuser_ros.simulation.depth_noise import StereoNoise

LENS = Lens(320, 240, np.array([[193.0, 0.0, 159.5], [0.0, 193.0, 119.5], [0.0, 0.0, 1.0]]))
ROBOT = load_robot("fr3")
SURFACE = ArmSurface(ROBOT)
CAMERAS = {"front": look_at((1.3, 0.1, 0.7), (0.4, 0.0, 0.25)), "side": look_at((0.4, 1.1, 0.8), (0.35, 0.0, 0.25))}


def arm_shots(count: int, seed: int = 1) -> list[Shot]:
    random = np.random.default_rng(seed)
    taken = []
    for index in range(count):
        joints = joints_above_table(ROBOT, random)
        pictures = {}
        for camera, pose in CAMERAS.items():
            depth = StereoNoise().apply(arm_depth(SURFACE, joints, LENS, pose), random)
            pictures[camera] = Picture(LENS, np.full((240, 320, 3), 90, np.uint8), depth)
        taken.append(Shot(f"s{index:02d}", joints, pictures))
    return taken


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arm") / "shots"
    write_shots(folder, "fr3", arm_shots(4))
    return folder


def cell_file(folder: Path) -> Path:
    """A file of a cell whose cameras have no poses yet."""
    file = folder / "cell.yaml"
    workspace = "workspace: {lower: [0.2, -0.4, 0.004], upper: [0.7, 0.4, 0.6]}"
    file.write_text(f"# The cell of the test.\nrobot: fr3\n{workspace}\ncameras:\n  third:\n    serial: '7'\n")
    return file


def cameras_file(folder: Path, off: Array | None = None) -> Path:
    """A file of a cell with both cameras, each moved in its own frame."""
    file = cell_file(folder)
    for camera, pose in CAMERAS.items():
        write_place(file, camera, ROBOT.base_frame, pose if off is None else pose @ off)
    return file


def test_shots_are_read_back_as_they_were_written(shots: Path) -> None:
    again, first = read_shots(shots), arm_shots(4)
    assert [shot.name for shot in again] == ["s00", "s01", "s02", "s03"]
    assert again[2].joints == pytest.approx(first[2].joints)
    depth, wanted = again[1].pictures["side"].depth, first[1].pictures["side"].depth
    assert depth is not None
    assert wanted is not None
    near = (wanted < 6.5) | (depth > 0.0)  # what 16 bits hold
    np.testing.assert_allclose(depth[near], wanted[near], atol=1e-4)


def test_two_cameras_are_calibrated_by_the_arm_at_once(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cameras_file(tmp_path, matrix_from_vector([0.1, -0.15, 0.1, 0.05, -0.05, 0.04]))
    assert main(["calibrate", "arm", str(shots), "--file", str(file)]) == 0
    for camera, pose in CAMERAS.items():
        found = read_place(file, camera)
        assert found.parent == "fr3_link0"
        assert shift_between(found.parent_from_camera, pose).metres < 0.01
    assert "front: moved by" in capsys.readouterr().out
    text = file.read_text()
    assert text.startswith("# The cell of the test.\n")
    assert yaml.safe_load(text)["cameras"]["third"] == {"serial": "7"}
    assert main(["calibrate", "check", str(shots), "--file", str(file)]) == 0


def test_a_camera_that_no_file_names_is_found_from_about_where_it_is(shots: Path, tmp_path: Path) -> None:
    file = cell_file(tmp_path)
    words = ["--cameras", "front", "--parent", "base", "--at", "1.3,0,0.65", "--looks-at", "0.4,0,0.3"]
    assert main(["calibrate", "arm", str(shots), "--file", str(file), *words]) == 0
    assert shift_between(read_place(file, "front").parent_from_camera, CAMERAS["front"]).metres < 0.01


def test_results_go_into_the_cell_file(shots: Path, tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    example = (Path(__file__).parents[2] / "config" / "cells" / "example.yaml").read_text()
    file.write_text(example.replace("  wrist:", "  side:").replace("fr3_hand", "fr3_link0"))
    words = ["--cameras", "front", "--at", "1.3,0,0.65", "--looks-at", "0.4,0,0.3", "--parent", "base"]
    assert main(["calibrate", "arm", str(shots), "--file", str(file), *words]) == 0
    assert main(["calibrate", "table", str(shots), "--file", str(file), "--cameras", "front"]) == 0
    assert main(["calibrate", "check", str(shots), "--file", str(file), "--cameras", "front"]) == 0
    assert shift_between(read_place(file, "front").parent_from_camera, CAMERAS["front"]).metres < 0.01
    content = yaml.safe_load(file.read_text())
    assert content["cameras"]["front"]["calibrated"]["digest"]
    assert abs(content["table"]["height"]) < 0.01
    assert "# Obstacles that never move" in file.read_text()


def test_a_dry_run_writes_nothing(shots: Path, tmp_path: Path) -> None:
    file = cameras_file(tmp_path)
    before = file.read_text()
    assert main(["calibrate", "arm", str(shots), "--file", str(file), "--cameras", "side", "--dry-run"]) == 0
    assert file.read_text() == before


def test_check_says_which_camera_was_bumped_and_draws_it(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cameras_file(tmp_path)
    write_place(file, "side", ROBOT.base_frame, CAMERAS["side"] @ matrix_from_vector([0, 0.03, 0, 0, 0, 0]))
    words = ["calibrate", "check", str(shots), "--file", str(file), "--out", str(tmp_path / "drawn")]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "front: holds, off by" in said
    assert "side: DOES NOT HOLD, off by" in said
    assert "calibrate anew" in said
    assert (tmp_path / "drawn" / "side.png").stat().st_size > 500
    assert main([*words, "--max-mm", "100", "--max-pixels", "100"]) == 0


def test_the_table_is_found(shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "table", str(shots), "--file", str(cameras_file(tmp_path))]) == 0
    said = capsys.readouterr().out
    height = float(said.split("z = ")[1].split(" mm")[0])
    assert abs(height) < 4.0


def test_an_arm_that_cannot_be_in_the_picture_is_said_in_one_line(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cameras_file(tmp_path, matrix_from_vector([0.0, np.pi, 0.0, 0.0, 0.0, 0.0]))  # turned round
    assert main(["calibrate", "check", str(shots), "--file", str(file), "--cameras", "front"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing of the arm is in the picture where the file puts the camera" in line


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--cameras", "top"], "no picture is of camera 'top'; there are pictures of front, side"),
        (["--robot", "panda"], "the camera's parent 'fr3_link0' is no frame of panda"),
        (["--record"], "is not empty: name a new folder for new shots"),
        (["--parent", "tripod"], "the camera's parent 'tripod' is no frame of fr3"),
        (["--at", "1,2"], "is not three numbers"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], cause: str
) -> None:
    arguments = ["calibrate", "arm", str(shots), "--file", str(cameras_file(tmp_path)), *words]
    try:
        code = main(arguments)
    except SystemExit as left:
        code = int(left.code or 0)
    assert code == 2
    assert cause in capsys.readouterr().err


def test_a_camera_that_nobody_places_is_asked_for(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "none.yaml")
    assert main(["calibrate", "arm", str(shots), "--file", file, "--parent", "base"]) == 2
    assert "--at 1.1,0,0.6 --looks-at 0.4,0,0.2" in capsys.readouterr().err
    assert main(["calibrate", "arm", str(shots), "--file", file]) == 2
    assert "--parent base, or hand" in capsys.readouterr().err


def test_a_pose_of_another_frame_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], shots: Path) -> None:
    file = cameras_file(tmp_path)
    content = yaml.safe_load(file.read_text())
    content["cameras"]["front"]["frame"] = "front_link"
    file.write_text(yaml.safe_dump(content))
    assert main(["calibrate", "check", str(shots), "--file", str(file)]) == 2
    assert "the pose is of frame 'front_link'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "text", "cause"),
    [
        ("shots.yaml", "robot: fr3\nshots: 3", "shots"),
        ("shots.yaml", "robot: fr3\ncameras: [../etc]\nshots: []", "is no name for a file"),
        ("front/s00.png", "", "cannot be read"),
        ("front/camera_info.yaml", "{}", "lacks"),
    ],
)
def test_a_damaged_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, cause: str
) -> None:
    write_shots(tmp_path / "shots", "fr3", arm_shots(1))
    (tmp_path / "shots" / file).write_text(text)
    places = cameras_file(tmp_path)
    assert main(["calibrate", "check", str(tmp_path / "shots"), "--file", str(places)]) == 2
    message = capsys.readouterr().err
    assert cause in message
    assert message.count("\n") == 1


def test_a_camera_on_the_hand_is_calibrated_by_rendered_pictures_of_a_board(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2", reason="the extra 'calibration' is not installed")
    from mini_diffuser_ros.calibration.board import BoardConfig
    from mini_diffuser_ros.simulation.boards import render_board

    board, random = BoardConfig(), np.random.default_rng(3)
    lens = Lens(480, 360, np.array([[400.0, 0.0, 239.5], [0.0, 400.0, 179.5], [0.0, 0.0, 1.0]]))
    hand_from_camera = look_at((0.06, 0.0, 0.02), (0.02, 0.0, 0.3), up=(1, 0, 0))
    base_from_board = matrix_from_vector([np.pi, 0.0, 0.0, 0.38, 0.09, 0.02])
    taken: list[Shot] = []
    while len(taken) < 10:
        joints = joints_above_table(ROBOT, random, 0.5)
        camera = ROBOT.forward_kinematics(joints)[ROBOT.hand_frame] @ hand_from_camera
        seen = np.linalg.inv(camera) @ base_from_board
        corners = board.points @ seen[:3, :3].T + seen[:3, 3]
        inside = (corners[:, 2] > 0.1) & np.all(np.abs(lens.project(corners) - [240, 180]) < [235, 175], axis=1)
        if inside.mean() > 0.7 and (seen[:3, :3] @ [0, 0, 1])[2] > 0.7:
            grey = render_board(board, lens, seen)
            picture = Picture(lens, np.repeat(grey[..., None], 3, axis=2))
            taken.append(Shot(f"s{len(taken):02d}", joints, {"wrist": picture}))
    write_shots(tmp_path / "shots", "fr3", taken)
    file = cell_file(tmp_path)
    words = ["calibrate", "hand-eye", str(tmp_path / "shots"), "--file", str(file), "--parent", "hand"]
    assert main(words) == 0
    error = shift_between(read_place(file, "wrist").parent_from_camera, hand_from_camera)
    assert error.metres < 1e-3
    assert error.degrees < 0.1
    assert "pictures held out are missed by" in capsys.readouterr().out
    assert main([*words, "--square", "0.025", "--marker", "0.018"]) == 2
    assert "a square measures 30.0" in capsys.readouterr().err


def test_the_board_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="the extra 'calibration' is not installed")
    assert main(["calibrate", "board", str(tmp_path / "board.png")]) == 0
    assert (tmp_path / "board.png").stat().st_size > 1000
