"""What the ros2 command of pocketros does other than, or more strictly than, a genuine one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import KeyValue
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool, Float64, Header

from pocketros.commands.main import main
from pocketros.errors import InterfaceError
from pocketros.interfaces.plain import fill
from pocketros.rcl_yaml import read_yaml

ROS2 = Path(sys.executable).with_name("ros2")
PATIENCE = 60.0  # seconds; a busy machine takes its time
WORKER = """
import time, rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor

def work(handle):
    while not handle.is_cancel_requested:
        time.sleep(0.05)
    handle.canceled()
    print("canceled", flush=True)
    return GripperCommand.Result()

rclpy.init()
node = rclpy.create_node("worker")
ActionServer(node, GripperCommand, "work", work, cancel_callback=lambda handle: CancelResponse.ACCEPT,
             callback_group=ReentrantCallbackGroup())
executor = MultiThreadedExecutor(4)
executor.add_node(node)
print("ready", flush=True)
try:
    executor.spin()
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, domain_id: int) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    process = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 2), (signal.SIGTERM, 15)])
def test_a_goal_is_canceled_with_the_command_that_waits_for_it(
    worker: subprocess.Popen[str], number: int, code: int
) -> None:
    words = ("action", "send_goal", "/work", "control_msgs/action/GripperCommand", "{}")
    process = subprocess.Popen([ROS2, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert any("Goal accepted" in line for line in process.stdout)
    process.send_signal(number)
    said, _ = process.communicate(timeout=PATIENCE)
    assert said.endswith("Canceling goal...\nGoal canceled.\n")
    assert process.returncode == code
    assert worker.stdout is not None
    assert worker.stdout.readline() == "canceled\n"


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_commands_end_quietly(monkeypatch: pytest.MonkeyPatch, domain_id: int, number: int) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    words = ("service", "call", "/no_such_service", "std_srvs/srv/Trigger")
    process = subprocess.Popen([ROS2, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert "waiting" in process.stdout.readline()
    process.send_signal(number)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert (rest, process.returncode) == ("", number)


@pytest.mark.process
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("topic", 0, "topic echo"),
        ("topic --help", 0, "topic hz"),
        ("", 0, "param describe"),
        ("topic bw /x", 2, "pocketros does not provide 'ros2 topic bw'; it has topic list"),
        ("bag record", 2, "pocketros does not provide 'ros2 bag record'; it has topic list"),
        ("topic echo", 2, "required: topic"),
        ("topic echo --csv /x", 2, "unrecognized arguments: --csv"),
        ("topic hz -w many /x", 2, "invalid int value: 'many'"),
        ("topic pub /x String {}", 1, "'String' is not the name of a msg interface"),
        ("topic pub /x std_msgs/msg/Int32 {data: seven}", 1, "data"),
        ("topic pub /x std_msgs/msg/String 7", 1, "expected a mapping of fields, not '7'"),
        ("topic pub /9x std_msgs/msg/String {}", 1, "9x"),
        ("service call /x std_msgs/srv/NoSuchType", 1, "std_msgs/srv/NoSuchType"),
        ("topic info /x", 1, "unknown topic '/x'"),
        ("topic type /x", 1, "unknown topic '/x'"),
        ("service type /x", 1, "unknown service '/x'"),
        ("action info /x", 1, "unknown action '/x'"),
        ("node info /x", 1, "unable to find node '/x'"),
        ("interface show NoSuchType", 1, "no interface 'NoSuchType'; expected package/msg/Name"),
        ("interface package no_such_package", 1, "unknown package 'no_such_package'"),
        ("param load /x /no/such/file.yaml", 1, "/no/such/file.yaml"),
        ("run mini_diffuser_ros no_such_program", 1, "no_such_program"),
        ("launch /no/such/file.launch.py", 1, "/no/such/file.launch.py"),
        ("launch mini_diffuser_ros no_such.launch.py", 1, "bringup.launch.py"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(domain_id: int, line: str, code: int, words: str) -> None:
    head, brace, values = line.partition("{")
    ended = subprocess.run(
        [sys.executable, "-m", "pocketros.commands.main", *head.split(), *([brace + values] if brace else [])],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
    )
    assert ended.returncode == code
    assert words in ended.stdout + ended.stderr
    if code:
        assert len(ended.stderr.splitlines()) == 1


DISAGREEING = """
import threading, time, rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Int32, String
from std_srvs.srv import Trigger

rclpy.init()
node = rclpy.create_node("one")
best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
node.create_publisher(String, "both", 10)
node.create_subscription(Int32, "both", lambda message: None, 10)
node.create_publisher(String, "lossy", best_effort)
node.create_subscription(String, "lossy", lambda message: None, 10)
node.create_publisher(String, "fine", 10)
node.create_subscription(String, "fine", lambda message: None, best_effort)
print("ready", flush=True)
time.sleep(600)  # it serves nothing
"""


@pytest.mark.process
def test_the_doctor_says_who_cannot_be_talked_to_and_why(domain_id: int) -> None:
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    words = [sys.executable, "-m", "pocketros.commands.main", "doctor", "--spin-time", "3", "--timeout", "0.5"]
    healthy = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    assert healthy.returncode == 0
    assert f"domain      : {domain_id}\n" in healthy.stdout
    assert "rclpy       : pocketros " in healthy.stdout
    assert healthy.stdout.endswith("   PROBLEMS\nnone\n\n")
    begin = [sys.executable, "-c", DISAGREEING]
    twins = [subprocess.Popen(begin, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    try:
        assert all(twin.stdout is not None and twin.stdout.readline() == "ready\n" for twin in twins)
        ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    finally:
        for twin in twins:
            twin.kill()
            twin.communicate()
    assert ended.returncode == 1
    problems = ended.stdout.partition("   PROBLEMS\n")[2].splitlines()
    for words_of_it in (
        "/both has several types, std_msgs/msg/Int32, std_msgs/msg/String",
        "/lossy: a subscription asks for RELIABLE, a publisher offers BEST_EFFORT",
        "2 nodes are called /one: ",
        "/one does not answer: ",
    ):
        assert any(line.startswith(words_of_it) for line in problems), ended.stdout
    assert not any("/fine" in line for line in problems)


def test_parameters_of_any_type_are_described(
    domain_id: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    context = Context()
    context.init([], domain_id=domain_id)
    executor, given = SingleThreadedExecutor(context=context), ["--ros-args", "-p", "given:=12:30"]
    node = Node("robot", context=context, cli_args=given, automatically_declare_parameters_from_overrides=True)
    node.declare_parameter("any", 1, ParameterDescriptor(dynamic_typing=True))
    executor.add_node(node)
    with ThreadPoolExecutor() as pool:
        spinning = pool.submit(executor.spin)
        assert main(["param", "describe", "/robot", "any", "given"]) == 0
        assert main(["param", "describe", "/robot", "any", "nothing"]) == 1
        context.try_shutdown()
        assert spinning.exception() is None or isinstance(spinning.exception(), ExternalShutdownException)
    said = capsys.readouterr()
    assert "Parameter name: any\n  Type: integer\n" in said.out
    assert "Parameter name: given\n  Type: string\n" in said.out
    assert "no parameter 'nothing'" in said.err


def test_stamps_are_filled_in_when_a_message_is_published() -> None:
    now = Time(sec=5)
    message = fill(PoseStamped(), {"header": "auto"}, now=now)
    assert message == PoseStamped(header=Header(stamp=now))
    message = fill(PoseStamped(), {"header": {"stamp": "now", "frame_id": "base"}}, now=now)
    assert message == PoseStamped(header=Header(stamp=now, frame_id="base"))
    with pytest.raises(InterfaceError, match=r"header\.stamp"):
        fill(PoseStamped(), {"header": {"stamp": "soon"}}, now=now)


def test_a_field_knows_what_its_text_is() -> None:
    values = read_yaml("{key: y, value: 12:30}", texts=True)
    assert fill(KeyValue(), values) == KeyValue(key="y", value="12:30")
    assert fill(Bool(), read_yaml("{data: yes}", texts=True)) == Bool(data=True)
    assert fill(Float64(), read_yaml("{data: 010}", texts=True)) == Float64(data=8.0)


def test_launch_arguments_are_checked_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "one.launch.py"
    file.write_text(
        "from launch import LaunchDescription\nfrom launch.actions import DeclareLaunchArgument\n"
        "def generate_launch_description():\n    return LaunchDescription([\n"
        "        DeclareLaunchArgument('robot', default_value='sim', choices=['sim', 'panda'], description='Which.'),\n"
        "        DeclareLaunchArgument('size')])\n"
    )
    for words, expected in (
        (("size",), "malformed launch argument 'size'"),
        (("sise:=1",), "unknown launch argument 'sise'; the launch file declares robot, size"),
    ):
        assert main(["launch", str(file), *words]) == 1
        said = capsys.readouterr().err
        assert expected in said
        assert len(said.splitlines()) == 1
    assert main(["launch", "--show-args", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "    'robot':\n        Which. Valid choices are: ['sim', 'panda']\n        (default: 'sim')\n" in shown
    assert "    'size':\n        no description given\n" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from launch.substitutions import Nothing", "ImportError: cannot import name 'Nothing' from 'launch.sub"),
        ("def generate_launch_description(:", "SyntaxError"),
        ("def generate_launch_description():\n    return 1 / 0", "ZeroDivisionError"),
        ("import launch", "has no function generate_launch_description()"),
    ],
)
def test_what_is_wrong_with_a_launch_file_is_said_in_one_line(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.launch.py"
    file.write_text(text)
    assert main(["launch", str(file)]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert str(file) in said
    assert len(said.splitlines()) == 1


@pytest.mark.process
def test_a_program_is_run_behind_a_prefix(tmp_path: Path) -> None:
    program = tmp_path / "lib" / "lab" / "go"
    for path in (program, tmp_path / "share" / "lab" / "package.xml"):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\necho went $*\nexit 3\n")
    program.chmod(0o755)
    environment = {**os.environ, "AMENT_PREFIX_PATH": str(tmp_path)}
    words = [ROS2, "run", "--prefix", "env SIDE=left", "lab", "go", "--side", "-s"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (3, "went --side -s\n")
