"""What is wrong is named in one line, in the words of ROS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Int32, String
from std_srvs.srv import SetBool, Trigger

PATIENCE = 60.0
RANGES = {
    "speed": ParameterDescriptor(floating_point_range=[FloatingPointRange(from_value=0.0, to_value=1.0)]),
    "count": ParameterDescriptor(integer_range=[IntegerRange(from_value=0, to_value=10, step=2)]),
}

Join = Callable[..., Node]


@pytest.fixture
def join(domain_id: int) -> Iterator[Join]:
    """Makes nodes, each in a context of its own, with a command line."""
    nodes: list[Node] = []

    def make(name: str, *words: str) -> Node:
        context = Context()
        rclpy.init(args=["--ros-args", *words] if words else [], context=context, domain_id=domain_id)
        nodes.append(Node(name, context=context))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
        node.context.try_shutdown()


@contextmanager
def stderr_of(folder: Path) -> Iterator[Path]:
    """The file that stderr goes to meanwhile; pytest's captures lose what a thread writes while they are read."""
    file = folder / "stderr"
    with file.open("a") as stream, redirect_stderr(stream):
        yield file


def logged(log: Path, text: str, count: int = 1) -> list[str]:
    """The lines of the log with a text, as soon as there are so many."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = log.read_text()
        if len(found := [line for line in lines.splitlines() if text in line]) >= count:
            return found
        assert time.monotonic() < deadline, f"not logged: {text}; but {lines}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("offered", "policy"),
    [
        (QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT), "RELIABILITY"),
        (QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE), "DURABILITY"),
    ],
)
def test_incompatible_qos(join: Join, tmp_path: Path, offered: QoSProfile, policy: str) -> None:
    asked = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    if policy == "RELIABILITY":
        asked = QoSProfile(depth=1)
    with stderr_of(tmp_path) as log:
        join("talker").create_publisher(String, "chatter", offered)
        join("listener").create_subscription(String, "chatter", lambda message: None, asked)
        told = logged(log, "incompatible QoS", 2)
    assert any(
        "[talker]: New subscription discovered on topic '/chatter', requesting incompatible QoS. "
        f"No messages will be sent to it. Last incompatible policy: {policy}" in line
        for line in told
    )
    assert any(
        "[listener]: New publisher discovered on topic '/chatter', offering incompatible QoS. "
        f"No messages will be received from it. Last incompatible policy: {policy}" in line
        for line in told
    )


@pytest.mark.parametrize("publisher_first", [True, False])
def test_another_type_on_a_topic(join: Join, tmp_path: Path, publisher_first: bool) -> None:
    talker, listener = join("talker"), join("listener")
    steps: list[Callable[[], Any]] = [
        lambda: talker.create_publisher(Int32, "chatter", 10),
        lambda: listener.create_subscription(String, "chatter", lambda message: None, 10),
    ]
    with stderr_of(tmp_path) as log:
        for step in steps if publisher_first else reversed(steps):
            step()
        told = logged(log, "Incompatible type on topic '/chatter'", 2)
    assert len(told) == 2
    assert all("'std_msgs/msg/Int32'" in line and "'std_msgs/msg/String'" in line for line in told)
    assert sorted(line.split("[")[3][:8] for line in told) == ["listener", "talker]:"]


def test_another_type_of_a_service(join: Join, tmp_path: Path) -> None:
    with stderr_of(tmp_path) as log:
        join("server").create_service(SetBool, "check", lambda request, response: response)
        join("caller").create_client(Trigger, "check")
        told = logged(log, "Incompatible type on service '/check'", 2)
    assert len(told) == 2
    assert all("'std_srvs/srv/SetBool'" in line and "'std_srvs/srv/Trigger'" in line for line in told)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (
            ("-p", "speed:=fast"),
            InvalidParameterTypeException,
            "Trying to set parameter 'speed' to 'fast' of type 'STRING', expecting type 'DOUBLE'",
        ),
        (("-p", "speed:=1"), InvalidParameterTypeException, "'1' of type 'INTEGER', expecting type 'DOUBLE'"),
        (("-p", "speed:=1.5"), InvalidParameterValueException, "speed out of range Min: 0.0, Max: 1.0, value: 1.5"),
        (("-p", "count:=12"), InvalidParameterValueException, "count out of range Min: 0, Max: 10, value: 12"),
        (("-p", "count:=3"), InvalidParameterValueException, "3.*count.*step.* 2"),
        (("-p", "speed:=[1.0, a]"), InvalidParameterValueException, r"\[1.0, 'a'\].*: speed"),
    ],
)
def test_parameters_of_the_command_line(
    join: Join, tmp_path: Path, words: tuple[str, ...], error: type[Exception], message: str
) -> None:
    name, _, value = words[1].partition(":=")
    file = tmp_path / "node.yaml"
    file.write_text(f"node:\n  ros__parameters:\n    {name}: {value}\n")
    for given in (words, ("--params-file", str(file))):
        with pytest.raises(error, match=message) as raised:
            _declare(join("node", *given))
        assert "\n" not in str(raised.value)


def _declare(node: Node) -> None:
    node.declare_parameter("speed", 0.5, RANGES["speed"])
    node.declare_parameter("count", 2, RANGES["count"])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("speed", 1, "Wrong parameter type, expected 'Type.DOUBLE' got 'Type.INTEGER'"),
        ("speed", 1.5, "Parameter speed out of range Min: 0.0, Max: 1.0, value: 1.5"),
        ("speed", None, "Static parameter cannot be undeclared"),
        ("count", 3, "The parameter value for count is not a valid step. Min: 0, max: 10, value: 3, step: 2"),
        ("sped", 1.0, "Invalid access to undeclared parameter(s): sped"),
    ],
)
def test_parameters_that_others_set(join: Join, name: str, value: Any, reason: str) -> None:
    node = join("node")
    _declare(node)
    client = node.create_client(SetParameters, "~/set_parameters")
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    assert client.wait_for_service(PATIENCE)
    future = client.call_async(SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()]))
    executor.spin_until_future_complete(future, PATIENCE)
    (result,) = future.result().results
    assert (result.successful, result.reason) == (False, reason)
    executor.shutdown()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-r", "ab"), "'ab' is not a remapping rule; expected from:=to"),
        (("-p", "speed"), "'speed' is not a parameter assignment; expected name:=value"),
        (("-p", "speed:=["), r"'\[' is not YAML"),
        (("--params-file", "none.yaml"), "cannot read parameter file none.yaml: No such file or directory"),
        (("--speed", "1"), "unknown ROS argument '--speed'; known are"),
        (("--log-level", "loud"), "'loud' is not a log level; expected one of UNSET, DEBUG"),
        (("-r",), "-r needs a value"),
    ],
)
def test_malformed_ros_arguments(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message) as raised:
        rclpy.init(args=["--ros-args", *words], context=Context())
    assert "\n" not in str(raised.value)


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ROS_DOMAIN_ID", "lab", "ROS_DOMAIN_ID is 'lab'; expected a number from 0 to 232"),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LAB", "ROS_AUTOMATIC_DISCOVERY_RANGE is 'LAB'; expected one of"),
        ("ROS_SECURITY_ENABLE", "true", "ROS_SECURITY_ENABLE is 'true', but pocketros does not encrypt"),
    ],
)
def test_an_environment_that_cannot_be_followed(name: str, value: str, message: str) -> None:
    environment = {**os.environ, name: value}
    environment.pop("CYCLONEDDS_URI", None)
    done = subprocess.run(
        [sys.executable, "-c", "import rclpy; rclpy.init()"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
