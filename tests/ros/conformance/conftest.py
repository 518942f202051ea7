"""What these tests stand on: rclpy, launch and the ros2 command, of pocketros or of a genuine ROS 2.

Endpoints find each other at different moments: that a publisher sees a subscription does not mean that the
subscription sees the publisher.  So a message is published until it arrives, a service of another participant asked
until it answers, and a command repeated until it shows what is expected.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

PATIENCE = 90.0  # seconds; a busy machine takes its time
ATTEMPT = 30.0  # seconds after which what was asked counts as lost: a reply goes only to clients already discovered

# What is started in the background of a script ignores Ctrl-C, and so would every process that a test starts and ends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Ros:
    """Contexts, nodes and executors for one test, on a domain of its own."""

    def __init__(self, domain_id: int, threads: int = 1) -> None:
        self.domain_id = domain_id
        self.contexts: list[Context] = []
        self.executors: list[Executor] = []
        self.nodes: list[Node] = []
        self.context, self.executor = self._join(threads)

    def _join(self, threads: int = 1) -> tuple[Context, Executor]:
        context = Context()
        rclpy.init(args=[], context=context, domain_id=self.domain_id)
        if threads == 1:
            executor: Executor = SingleThreadedExecutor(context=context)
        else:
            executor = MultiThreadedExecutor(threads, context=context)
        self.contexts.append(context)
        self.executors.append(executor)
        return context, executor

    def node(self, name: str, **options: Any) -> Node:
        """A node that the executor serves."""
        return self._serve(Node(name, context=self.context, **options), self.executor)

    def far_node(self, name: str, **options: Any) -> Node:
        """A node of another participant of the domain, with an executor of its own."""
        context, executor = self._join()
        return self._serve(Node(name, context=context, **options), executor)

    def _serve(self, node: Node, executor: Executor) -> Node:
        self.nodes.append(node)
        executor.add_node(node)
        return node

    def spin_until(self, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """The first truthy value of a condition while callbacks run."""
        deadline = time.monotonic() + patience
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not within {patience} s"
            for executor in self.executors:
                executor.spin_once(timeout_sec=0.02)
        return value

    def spin_in_background(self) -> None:
        """Let callbacks run in another thread until the test is over."""
        self._spinning = threading.Thread(target=spin_to_the_end, args=(self.executor,), daemon=True)
        self._spinning.start()

    def result_of(self, future: Any) -> Any:
        """The result of a future."""
        self.spin_until(future.done)
        return future.result()

    def ask(self, client: Any, request: Any) -> Any:
        """What a service answers. Asked again when the answer is lost, as the first to a client just created may be."""
        self.spin_until(client.service_is_ready)
        futures: list[Any] = []
        asked = 0.0

        def answered() -> Any:
            nonlocal asked
            if not futures or time.monotonic() > asked + ATTEMPT:
                futures.append(client.call_async(request))
                asked = time.monotonic()
            return next((future for future in futures if future.done()), None)

        return self.spin_until(answered).result()

    def deliver(self, publisher: Any, message: Any, received: list[Any]) -> Any:
        """Publish a message until something is received; the first that was."""

        def arrived() -> list[Any]:
            publisher.publish(message)
            return received

        return self.spin_until(arrived)[0]

    def close(self) -> None:
        if spinning := getattr(self, "_spinning", None):
            self.context.try_shutdown()
            spinning.join(PATIENCE)
        for executor in self.executors:
            executor.shutdown(timeout_sec=5.0)
        for node in self.nodes:
            node.destroy_node()
        for context in self.contexts:
            context.try_shutdown()


def spin_to_the_end(executor: Executor) -> str:
    """Spin until the context is shut down; how that ended the spin."""
    try:
        executor.spin()
    except ExternalShutdownException:
        return "raised"
    except RuntimeError:
        # A shutdown between two waits lets rclpy's next one fail.
        if executor.context.ok():
            raise
        return "raised"
    return "returned"


class Program:
    """A process with its output as lines."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.said = ""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def await_line(self, text: str, patience: float = PATIENCE) -> str:
        """The next line with this text, or none if it does not come in time or the process has ended without it."""
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0.0:
            ended = not self._reading.is_alive()
            try:
                line = self._lines.get(timeout=min(0.1, left))
            except queue.Empty:
                if ended:
                    break
                continue
            self.said += line
            if text in line:
                return line
        return ""

    def tell(self, line: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, number: int | None = None) -> int:
        """The exit code, after a signal if one is given."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reading.join(PATIENCE)
        while not self._lines.empty():
            self.said += self._lines.get()
        return code

    def close(self) -> None:
        """Kill it and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Ros2:
    """The ros2 command in the domain of a test."""

    def __init__(self, domain_id: int) -> None:
        self.program = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
        self.environment = {"ROS_DOMAIN_ID": str(domain_id), "PYTHONUNBUFFERED": "1"}
        self._begun: list[Program] = []

    def __call__(self, *words: str, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """What a command said, and how it ended."""
        variables = {**os.environ, **self.environment}
        command = [self.program, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=patience, env=variables)

    def until(self, text: str, *words: str, patience: float = 2 * PATIENCE) -> str:
        """What a command says once it says this text.

        It may have to look again for nodes that it just missed, and to ask again when an answer was lost.
        """
        deadline = time.monotonic() + patience
        said = ""
        while text not in said:
            assert time.monotonic() < deadline, said
            try:
                ended = self(*words, patience=ATTEMPT)
                said = ended.stdout + ended.stderr
            except subprocess.TimeoutExpired as late:
                said = f"{late}: {late.stdout!r} {late.stderr!r}"
        return said

    def begin(self, *words: str) -> Program:
        """A command that goes on; whatever still runs when the test is over is killed."""
        self._begun.append(Program([self.program, *words], self.environment))
        return self._begun[-1]

    def close(self) -> None:
        """End what goes on, and the daemon that a genuine command leaves behind in the domain."""
        for program in self._begun:
            program.close()
        if os.environ.get("AMENT_PREFIX_PATH"):
            self("daemon", "stop")


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def ros(domain_id: int) -> Iterator[Ros]:
    made = Ros(domain_id)
    yield made
    made.close()


@pytest.fixture
def threaded_ros(domain_id: int) -> Iterator[Ros]:
    made = Ros(domain_id, threads=4)
    yield made
    made.close()


@pytest.fixture
def ros2(domain_id: int) -> Iterator[Ros2]:
    made = Ros2(domain_id)
    yield made
    made.close()


@pytest.fixture
def script(domain_id: int) -> Iterator[Callable[..., Program]]:
    """Starts Python programs in the domain of the test; whatever still runs at its end is killed."""
    scripts: list[Program] = []

    def begin(code: str, *words: str) -> Program:
        command = [sys.executable, "-u", "-c", textwrap.dedent(code), *words]
        scripts.append(Program(command, {"ROS_DOMAIN_ID": str(domain_id)}))
        return scripts[-1]

    yield begin
    for one in scripts:
        one.close()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where launch logs to."""
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `thing`, with an executable and a launch file: its prefix."""
    prefix = tmp_path / "install"
    program = prefix / "lib" / "thing" / "hello"
    launch_file = prefix / "share" / "thing" / "launch" / "hello.launch.py"
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "thing"
    for file in (program, launch_file, marker):
        file.parent.mkdir(parents=True)
    marker.touch()
    (prefix / "share" / "thing" / "package.xml").write_text(
        "<package format='3'><name>thing</name><version>0.0.1</version><description>A thing.</description>"
        "<maintainer email='nobody@example.com'>Nobody</maintainer><license>Apache-2.0</license></package>"
    )
    program.write_text(f"#!{sys.executable} -S\nimport sys\nprint('hello', *sys.argv[1:], flush=True)\nsys.exit(5)\n")
    program.chmod(0o755)
    launch_file.write_text(
        textwrap.dedent(
            """
            from launch import LaunchDescription
            from launch.actions import DeclareLaunchArgument
            from launch.substitutions import LaunchConfiguration
            from launch_ros.actions import Node

            def generate_launch_description():
                return LaunchDescription([
                    DeclareLaunchArgument("size", default_value="1", choices=["1", "2"],
                                          description="How big it is."),
                    DeclareLaunchArgument("colour", description="Which colour it has."),
                    Node(package="thing", executable="hello", output="screen",
                         arguments=[LaunchConfiguration("size"), LaunchConfiguration("colour")]),
                ])
            """
        )
    )
    known = os.environ.get("AMENT_PREFIX_PATH")
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(filter(None, [str(prefix), known])))
    return prefix


INTERRUPTS = [signal.SIGINT, signal.SIGTERM]
