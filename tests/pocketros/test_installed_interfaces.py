"""Interface packages found below a prefix, and what pocketros leaves to a genuine ROS 2."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pocketros.commands.main import genuine_ros2
from pocketros.errors import InterfaceError
from pocketros.interfaces.definitions import parse_message
from pocketros.packages import share_directories


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return tmp_path


def test_files_below_a_prefix_become_a_package(prefix: Path) -> None:
    share = prefix / "share" / "lab_msgs_of_a_test"
    for kind, name, text in (
        ("msg", "Sample", "uint8 BLANK=7\nstring label unnamed # which\nfloat64[<=3] values\nOther[] others\n"),
        ("msg", "Other", "int32 count -1\n"),
        ("srv", "Take", "Sample sample\n---\nbool taken\n"),
        ("action", "Carry", "string to\n---\nint8 code\n---\nSample now\n"),
    ):
        (share / kind).mkdir(parents=True, exist_ok=True)
        (share / kind / f"{name}.{kind}").write_text(text)
    messages = import_module("lab_msgs_of_a_test.msg")
    sample = messages.Sample(values=[1.0], others=[messages.Other()])
    assert (sample.label, messages.Sample.BLANK, sample.others[0].count) == ("unnamed", 7, -1)
    with pytest.raises(AssertionError, match="values"):
        sample.values = [0.0] * 4
    assert import_module("lab_msgs_of_a_test.srv").Take.Request(sample=sample).sample == sample
    assert import_module("lab_msgs_of_a_test.action").Carry.Feedback(now=sample).now == sample
    assert "lab_msgs_of_a_test" in share_directories()


@pytest.mark.parametrize("text", ["float64 9lives", "wstring name", "float64", "Bad Type Name Here?"])
def test_malformed_definitions_are_named(text: str) -> None:
    with pytest.raises(InterfaceError, match="lab/msg/Bad"):
        parse_message("lab/msg/Bad", text)


@pytest.mark.process
def test_a_genuine_ros_wins(prefix: Path) -> None:
    assert genuine_ros2() is None
    (prefix / "lib" / "python3.12" / "site-packages" / "rclpy").mkdir(parents=True)
    (prefix / "bin").mkdir()
    script = prefix / "bin" / "ros2"
    script.write_text("#!/bin/sh\necho genuine $1\n")
    script.chmod(0o755)
    assert genuine_ros2() == script
    done = subprocess.run([sys.executable, "-m", "pocketros.commands.main", "topic"], capture_output=True, text=True)
    assert done.stdout == "genuine topic\n"


@pytest.mark.parametrize("module", ["launch.actions", "tf2_ros", "rclpy", "message_filters", "launch_ros.actions"])
def test_what_is_left_out_is_named(module: str) -> None:
    with pytest.raises(AttributeError, match=f"pocketros does not provide {module}.Nothing"):
        _ = import_module(module).Nothing


def test_an_unknown_launch_argument_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pocketros.commands.main import main

    file = tmp_path / "one.launch.py"
    file.write_text(
        "from launch import LaunchDescription\nfrom launch.actions import DeclareLaunchArgument\n"
        "def generate_launch_description():\n    return LaunchDescription([DeclareLaunchArgument('robot')])\n"
    )
    assert main(["launch", str(file), "robto:=sim"]) == 1
    assert capsys.readouterr().err == "ros2 launch: unknown launch argument 'robto'; the launch file declares robot\n"
