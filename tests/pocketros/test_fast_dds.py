"""Beside a genuine rclpy on Fast DDS 3, which `make rclpy` installs: what passes, and what is said of the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import Pose, PoseArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_msgs.msg import String

GENUINE = Path(__file__).parents[2] / ".venv-rclpy" / "bin" / "python"
ENDING = 15.0
PATIENCE = 60.0  # seconds, on a machine that does other things
KINDS = (String, JointState, PointCloud2, PoseArray)  # without messages in it, and with
# Sends back what it hears
MIRROR = """
import rclpy
from geometry_msgs.msg import PoseArray
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import Trigger

rclpy.init()
node = rclpy.create_node("mirror")
for kind in (String, JointState, PointCloud2, PoseArray):
    name = kind.__name__.lower()
    back = node.create_publisher(kind, f"back/{name}", 10)
    node.create_subscription(kind, name, back.publish, 10)
node.create_service(Trigger, "~/check", lambda request, response: response)
try:
    rclpy.spin(node)
except rclpy.executors.ExternalShutdownException:
    pass
"""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (GENUINE.parents[1] / ".installed").exists(), reason="no genuine rclpy: make rclpy"),
]


@pytest.fixture
def mirror(domain_id: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "AMENT_PREFIX_PATH")}
    environment |= {"ROS_DOMAIN_ID": str(domain_id), "ROS_LOG_DIR": str(tmp_path)}
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # or it calls only where pocketros does not listen
    process = subprocess.Popen([GENUINE, "-c", MIRROR], env=environment)
    yield process
    process.terminate()  # killed, it leaves its shared memory behind
    try:
        process.wait(ENDING)
    except subprocess.TimeoutExpired:  # a signal that comes as its own rclpy begins to wait may be lost there
        process.kill()
        process.wait(PATIENCE)


@pytest.fixture
def near(domain_id: int) -> Iterator[tuple[Node, Callable[[Callable[[], Any]], Any]]]:
    """A node of ours, and a function that serves it until a condition holds."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain_id)
    node, executor = Node("near", context=context), SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def serve_until(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not within {PATIENCE} s"
            executor.spin_once(timeout_sec=0.05)
        return value

    yield node, serve_until
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


def test_messages_pass_both_ways_and_nodes_are_seen(mirror: subprocess.Popen[bytes], near: Any) -> None:
    node, serve_until = near
    sent = (
        String(data="there"),
        JointState(name=["elbow"], position=[1.5]),
        PointCloud2(fields=[PointField(name="x", count=1)], data=[1, 2, 3]),
        PoseArray(poses=[Pose(), Pose()]),
    )
    assert tuple(type(message) for message in sent) == KINDS
    back: dict[type, Any] = {}
    for message in sent:
        kind = type(message)
        name = kind.__name__.lower()
        publisher = node.create_publisher(kind, name, 10)
        node.create_subscription(kind, f"back/{name}", lambda heard, kind=kind: back.update({kind: heard}), 10)
        node.create_timer(0.1, lambda publisher=publisher, message=message: publisher.publish(message))
    serve_until(lambda: len(back) == len(sent))
    assert [back[type(message)] for message in sent] == list(sent)
    serve_until(lambda: ("mirror", "/") in node.get_node_names_and_namespaces())


def test_the_doctor_says_what_does_not_pass(mirror: subprocess.Popen[bytes], near: Any, domain_id: int) -> None:
    node, serve_until = near
    serve_until(lambda: "mirror" in node.get_node_names())
    words = [sys.executable, "-m", "pocketros.commands.main", "doctor", "--spin-time", "5"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    assert "/mirror" in ended.stdout
    assert "/mirror is on Fast DDS: its topics pass; its services, actions and parameters do not" in ended.stdout
    assert ended.returncode == 1
