"""What is measured goes into the file and leaves the rest alone; what no longer belongs there is named."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.cell import (
    CameraIntrinsics,
    Cell,
    CellCalibration,
    CellError,
    faults_of,
    read_cell,
    record_camera_intrinsics,
    record_camera_pose,
    record_table_height,
)
from mini_diffuser_ros.cell.calibrations import calibration_faults
from mini_diffuser_ros.cell.checking import cell_from_text
from mini_diffuser_ros.cell.editing import with_camera_pose
from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.support.settings import to_mapping

from .cells import NOW, cells

EXAMPLE = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"
TURNED = (0.6344, 0.6344, -0.3124, -0.3124)
LENS = CameraIntrinsics(640, 480, 606.5, 606.25, 319.5, 241.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    copy = tmp_path / "cell.yaml"
    copy.write_text(EXAMPLE.read_text())
    return copy


def faults(cell: Cell) -> list[str]:
    return [str(one) for one in calibration_faults(cell, NOW + timedelta(days=1))]


def test_a_pose_is_written_and_the_rest_stays(file: Path) -> None:
    pose = matrix_from_pose((1.0, 0.25, 0.5, *TURNED))
    cell = record_camera_pose(file, "front", pose, when=NOW)
    assert cell == read_cell(file)
    assert cell.cameras["front"].parent_from_camera == pytest.approx(pose, abs=1e-5)
    assert faults(cell) == []
    before, after = EXAMPLE.read_text().splitlines(), file.read_text().splitlines()
    assert [line for line in before if line not in after] == [
        "    translation: [1.10, 0.00, 0.55]",
        "    quaternion: [0.6344, 0.6344, -0.3124, -0.3124]",
    ]
    assert len(after) == len(before) + 1
    assert [one.name for one in file.parent.iterdir()] == ["cell.yaml"]


def test_a_camera_that_is_new_is_added(file: Path) -> None:
    cell = record_camera_pose(file, "side", matrix_from_pose((0.5, 0.9, 0.6, 0, 0.8, -0.6, 0)), "fr3_link0", NOW)
    assert list(cell.cameras) == ["front", "wrist", "side"]
    assert cell.cameras["side"].parent == "fr3_link0"
    assert faults(cell) == []


def test_everything_that_is_calibrated_is_written(file: Path) -> None:
    record_camera_intrinsics(file, "wrist", LENS, when=NOW)
    record_camera_pose(file, "wrist", matrix_from_pose((0.06, 0.0, 0.05, 0, 0, 0.7071, 0.7071)), when=NOW)
    record_camera_pose(file, "front", matrix_from_pose((1.0, 0.0, 0.5, *TURNED)), when=NOW)
    cell = record_table_height(file, -0.003, when=NOW)
    assert faults(cell) == []
    assert cell.table.height == -0.003
    assert replace(cell.cameras["wrist"].intrinsics or LENS, calibrated=None) == LENS
    assert sum(line.lstrip().startswith("#") for line in file.read_text().splitlines()) == 12


def test_a_table_that_is_not_in_the_file_is_added(tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(EXAMPLE.read_text().replace("table: {height: 0.0}", ""))
    assert record_table_height(file, 0.002, when=NOW).table.height == 0.002


@settings(max_examples=25)  # YAML takes its time
@given(cell=cells(), data=st.data())
def test_a_pose_can_be_written_into_any_file(cell: Cell, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name, camera in cell.cameras.items() if camera.parent]))
    flow, width = data.draw(st.sampled_from([True, False, None])), data.draw(st.sampled_from([30, 1000]))
    text = yaml.safe_dump(to_mapping(cell), default_flow_style=flow, width=width)
    pose = cell.cameras[name].parent_from_camera
    pose[:3, 3] += 0.01
    written = cell_from_text(with_camera_pose(text, "cell", name, pose, when=NOW), "cell")
    assert written.cameras[name].parent_from_camera == pytest.approx(pose, abs=1e-5)
    assert faults(written) == []
    others = {other: camera for other, camera in cell.cameras.items() if other != name}
    assert {other: camera for other, camera in written.cameras.items() if other != name} == others
    assert replace(written, cameras=others) == replace(cell, cameras=others)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"serial": "000000000009"}, "cameras.front.calibrated"),
        ({"frame": "front_optical"}, "cameras.front.calibrated"),
        ({"translation": (1.0, 0.0, 0.51)}, "cameras.front.calibrated"),
        ({"intrinsics": LENS}, "cameras.front.calibrated"),
    ],
)
def test_a_calibration_of_something_else_is_named(file: Path, change: dict[str, object], where: str) -> None:
    cell = record_camera_pose(file, "front", matrix_from_pose((1.0, 0.0, 0.5, *TURNED)), when=NOW)
    cell = record_table_height(file, 0.001, when=NOW)
    front = replace(cell.cameras["front"], **change)  # type: ignore[arg-type]
    found = faults(replace(cell, cameras={**cell.cameras, "front": front}))
    # The table was measured with the camera as it was, too.
    assert [line.split(" of ")[0] for line in found] == [where, "table.calibrated"]
    assert "mini-diffuser calibrate hand-eye --camera front" in found[0]


def test_dates_tell_which_is_older_where_there_is_no_digest() -> None:
    cell = read_cell(EXAMPLE)
    lens = replace(LENS, calibrated=CellCalibration("2026-11-20"))
    front = replace(cell.cameras["front"], intrinsics=lens, calibrated=CellCalibration("2026-11-19"))
    old = replace(cell, cameras={**cell.cameras, "front": front})
    assert faults(old) == [
        "cameras.front.calibrated is of 2026-11-19, older than the intrinsics of front of 2026-11-20: "
        "mini-diffuser calibrate hand-eye --camera front"
    ]
    same_day = replace(front, calibrated=CellCalibration("2026-11-20T08:00:00Z"))
    table = replace(cell.table, calibrated=CellCalibration("2026-11-01"))
    found = faults(replace(cell, cameras={"front": same_day}, table=table))
    assert [line.split(":")[0] for line in found] == [
        "table.calibrated is of 2026-11-01, older than the pose of a camera of 2026-11-20T08"
    ]


@pytest.mark.parametrize("date", ["last week", "2027-01-01", "20 November"])
def test_a_date_that_cannot_be_is_named(date: str) -> None:
    cell = read_cell(EXAMPLE)
    table = replace(cell.table, calibrated=CellCalibration(date))
    (line,) = faults(replace(cell, table=table))
    assert line.startswith("table.calibrated.date is ")
    assert date in line


def test_a_day_in_yaml_is_a_date(tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    text = EXAMPLE.read_text()
    file.write_text(text.replace("{height: 0.0}", "{height: 0.0, calibrated: {date: 2026-11-01}}"))
    assert read_cell(file).table.calibrated == CellCalibration("2026-11-01")


def test_what_cannot_be_changed_in_place_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    text = EXAMPLE.read_text().replace("[1.10, 0.00, 0.55]", "&place [1.10, 0.00, 0.55]")
    file.write_text(
        text.replace("    quaternion: [0.00, 0.00, 0.7071, 0.7071]", "    rotation: [[0, -1, 0], [1, 0, 0], *place]")
    )
    before = file.read_text()
    with pytest.raises(
        CellError, match=r"cameras.front cannot be changed as it is written; write there by hand translation: \["
    ):
        record_camera_pose(file, "front", matrix_from_pose((1.0, 0.0, 0.5, *TURNED)))
    with pytest.raises(CellError, match="has no camera 'side'; it has front, wrist"):
        record_camera_intrinsics(file, "side", LENS)
    assert file.read_text() == before


def test_now_is_the_date_unless_another_is_given(file: Path) -> None:
    cell = record_table_height(file, 0.0)
    assert cell.table.calibrated is not None
    age = datetime.now(timezone.utc) - datetime.fromisoformat(cell.table.calibrated.date.replace("Z", "+00:00"))
    assert abs(age) < timedelta(hours=1)
    assert not math.isnan(cell.table.height)
    assert faults_of(cell) == []
