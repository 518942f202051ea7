"""Nodes as real processes on a DDS domain of their own, and a node of the test's that talks to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.ros.client_node import client_node

T = TypeVar("T")
# What a process needs to know the interfaces of Franka's drivers, where no genuine ROS 2 has them.
_PREFIXES = [str(Path(__file__).parent / "franka" / "interfaces"), os.environ.get("AMENT_PREFIX_PATH", "")]
FRANKA_INTERFACES = {"AMENT_PREFIX_PATH": os.pathsep.join(filter(None, _PREFIXES))}
DISCOVERY = 120.0  # seconds; a busy machine takes its time to import torch for four processes at once
ANSWER = 15.0  # seconds; a server that lives answers at once
ENDING = 30.0  # seconds; who is killed instead counts as there for a while, and the next module's nodes call it
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SHIPPED = Path(__file__).parents[2] / "models" / "tabletop"


class Process:
    """A node in a process of its own.

    Args:
        name: of the node, which is that of its module.
        log: file for its output.
        namespace: in which its names are.
        environment: variables that it has besides those of the tests.
        remaps: names that it is given for its own.
        parameters: set on the command line.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        namespace: str = "/",
        environment: Mapping[str, str] | None = None,
        remaps: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> None:
        words = [sys.executable, "-m", f"mini_diffuser_ros.nodes.{name}", "--ros-args", "-r", f"__ns:={namespace}"]
        for own, given in (remaps or {}).items():
            words += ["-r", f"{own}:={given}"]
        for key, value in parameters.items():
            words += ["-p", f"{key}:={value}"]
        self.name = name
        self._launch(words, log, env={**os.environ, **(environment or {})})

    def _launch(self, words: list[str], log: Path, **options: Any) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, **options)

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Exit code; TimeoutExpired if it does not end in time."""
        return self._process.wait(timeout)

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it in order, so that nobody takes it for being there afterwards."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(ENDING)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")


class FrankaDrivers(Process):
    """The drivers of a Franka Research 3, see ``franka/standin.py``.

    Args:
        log: file for their output.
        options: of their command line.
    """

    def __init__(self, log: Path, *options: str) -> None:
        self.name = "franka"
        words = [sys.executable, "-m", "ros.franka.standin", *options]
        self._launch(words, log, cwd=Path(__file__).parents[1], env={**os.environ, **FRANKA_INTERFACES})


class Peer:
    """The test's own node, spinning in the background."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._clients: dict[str, Any] = {}
        self._goals: list[Any] = []  # held: feedback may come after the result, and only who holds a goal hears it

    def collect(self, kind: type, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with every message on a topic."""
        received: list[Any] = []
        self.node.create_subscription(kind, topic, received.append, qos)
        return received

    def resume(self, name: str = "/mini_diffuser/resume") -> None:
        """Resume; on a busy machine again, as motion_node then does not know that no stop came since."""
        self.await_that(lambda: self.call(Trigger, name).success)

    def await_that(self, condition: Callable[[], T], timeout: float = DISCOVERY) -> T:
        """The first truthy value of a condition; fails the test after a while."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, f"nothing within {timeout} s"
            time.sleep(0.02)
        return value

    def result_of(self, future: Any, timeout: float = DISCOVERY) -> Any:
        """Result of a future."""
        self.await_that(future.done, timeout)
        return future.result()

    def call(self, kind: type, name: str, **fields: Any) -> Any:
        """Response of a service."""
        return self.result_of(self.begin_call(kind, name, **fields))

    def begin_call(self, kind: type, name: str, **fields: Any) -> Any:
        """Future of the response of a service."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        assert self._clients[name].wait_for_service(DISCOVERY), f"no service {name}"
        return self._clients[name].call_async(kind.Request(**fields))

    def send(self, kind: type, name: str, on_feedback: Callable[[Any], None] | None = None, **fields: Any) -> Any:
        """Handle of an accepted goal."""
        if name not in self._clients:
            self._clients[name] = ActionClient(self.node, kind, name)
        client = self._clients[name]
        assert client.wait_for_server(DISCOVERY), f"no action {name}"
        callback = None if on_feedback is None else (lambda message: on_feedback(message.feedback))
        deadline = time.monotonic() + DISCOVERY
        # A server that was killed a moment ago counts as there, and takes goals to its grave.
        while time.monotonic() < deadline:
            accepted = client.send_goal_async(kind.Goal(**fields), feedback_callback=callback)
            with suppress(AssertionError):
                handle = self.result_of(accepted, ANSWER)
                assert handle.accepted
                self._goals.append(handle)
                return handle
        pytest.fail(f"{name} accepted no goal")

    def execute(self, kind: type, name: str, on_feedback: Callable[[Any], None] | None = None, **fields: Any) -> Any:
        """Result of a goal."""
        return self.result_of(self.send(kind, name, on_feedback, **fields).get_result_async()).result

    def execute_until(self, outcome: int, kind: type, name: str, timeout: float = DISCOVERY, **fields: Any) -> Any:
        """Result of the first goal that ends so; while nodes meet one another, goals end otherwise."""
        deadline, said = time.monotonic() + timeout, []
        while time.monotonic() < deadline:
            result = self.execute(kind, name, **fields)
            if result.outcome == outcome:
                return result
            said.append(f"{result.outcome}: {result.message}")
        pytest.fail(f"no goal of {name} ended with {outcome} within {timeout} s, the last {len(said)}: {said[-1]}")


@pytest.fixture(scope="module", autouse=True)
def _domain(domains: Any) -> Iterator[None]:
    """A DDS domain for each module: nobody else's, nor that of a module whose killed nodes count as there still."""
    number = domains.claim()
    os.environ["ROS_DOMAIN_ID"] = str(number)
    yield
    domains.release(number)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with client_node("test_peer", threads=3) as node:
        yield Peer(node)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped checkpoint, or an untrained one: these tests are about what carries the policy's decisions."""
    if (SHIPPED / "model.safetensors").is_file():
        return SHIPPED
    from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy

    folder = tmp_path_factory.mktemp("checkpoint") / "untrained"
    save_policy(MiniDiffuser(MiniDiffuserConfig.small()), folder)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Process]]:
    """Starts nodes; whatever still runs at the end of the module is ended."""
    folder = tmp_path_factory.mktemp("logs")
    processes: list[Process] = []

    def begin(name: str, *options: str, **parameters: Any) -> Process:
        log = folder / f"{len(processes)}_{name}.log"
        if name == "motion_node":
            parameters.setdefault("profile", "simulation")  # tests are not to wait for slow motions
        processes.append(FrankaDrivers(log, *options) if name == "franka" else Process(name, log, **parameters))
        return processes[-1]

    yield begin
    for process in processes:
        if process.is_running():
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
