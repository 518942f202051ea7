"""The file with a lab's cameras: what it says, and each fault in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_diffuser_ros.perception.camera_file import CameraFileError, read_camera_file

EXAMPLE = Path(__file__).parents[2] / "config" / "cameras.yaml"


def test_the_example_is_read_in_the_order_asked_for() -> None:
    wrist, front = read_camera_file(EXAMPLE, ["wrist", "front"])
    assert (wrist.name, wrist.frame, wrist.parent) == ("wrist", "wrist_color_optical_frame", "fr3_hand")
    assert front.serial == "000000000001"
    assert front.translation == (1.1, 0.0, 0.55)
    assert sum(value**2 for value in front.quaternion) == pytest.approx(1.0, abs=1e-12)


def test_a_camera_may_leave_its_tf_to_others(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text('front: {serial: "12", frame: front_optical}')
    (camera,) = read_camera_file(file, ["front"])
    assert (camera.serial, camera.frame, camera.parent) == ("12", "front_optical", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1, 2", "is not YAML"),
        ("- front", "holds no cameras"),
        ("side: {}", "has no 'front'; it has side"),
        ("front: 5", "front: expected serial, parent"),
        ("front: {serial: 123}", "serial is 123, expected a text"),
        ("front: {parent: base, translation: [0, 0, 0], rotation: [0, 0, 0]}", "'rotation' is not known"),
        ("front: {parent: base, quaternion: [0, 0, 0, 1]}", "translation is None, expected 3 numbers"),
        ("front: {parent: base, translation: [0, 0, .nan], quaternion: [0, 0, 0, 1]}", "translation is"),
        ("front: {parent: base, translation: [0, 0, 0], quaternion: [0, 0, 1]}", "expected 4 numbers"),
        ("front: {parent: base, translation: [0, 0, 0], quaternion: [1, 1, 0, 1]}", "length 1.732"),
        ("front: {parent: base, translation: [0, 0, true], quaternion: [0, 0, 0, 1]}", "expected 3 numbers"),
    ],
)
def test_a_fault_is_named_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(text)
    with pytest.raises(CameraFileError) as refused:
        read_camera_file(file, ["front"])
    assert reason in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraFileError, match="cannot be read: No such file"):
        read_camera_file(tmp_path / "none.yaml", ["front"])
