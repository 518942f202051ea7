"""`ros2 launch` as a process: signals, respawning, and what is left when it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

pytestmark = pytest.mark.process

ROS2 = Path(sys.executable).with_name("ros2")
PATIENCE = 60.0  # seconds; a busy machine takes its time

# Says its pid, and for each signal that it is to survive, that it came; not by print, in the midst of which it may come
PROGRAM = """
import os, signal, subprocess, sys, time
survives, child = sys.argv[1].split(","), None
def survive(number, frame):
    os.write(1, f"got {signal.Signals(number).name}\\n".encode())
for name in filter(None, survives):
    signal.signal(signal.Signals[name], survive)
if "child" in sys.argv[2:]:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import signal, time; [signal.signal(s, signal.SIG_IGN) "
                              "for s in (signal.SIGINT, signal.SIGTERM)]; print('ready', flush=True); time.sleep(60)"],
                             stdout=subprocess.PIPE)
    child.stdout.readline()
end = time.monotonic() + 60
try:
    print("pids", os.getpid(), child.pid if child else os.getpid(), flush=True)
    while time.monotonic() < end:
        time.sleep(0.1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
LAUNCH_FILE = """
from launch import LaunchDescription
from launch.actions import ExecuteProcess

def generate_launch_description():
    return LaunchDescription([ExecuteProcess(cmd={cmd}, output="screen", **{options})])
"""


class Launched:
    """A running `ros2 launch` and what it said."""

    def __init__(self, file: Path, domain_id: int) -> None:
        self.domain_id = domain_id
        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self.domain_id),
            "ROS_LOG_DIR": str(file.parent / "log"),
        }
        self.process = subprocess.Popen(
            [ROS2, "launch", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.said: list[str] = []

    def until(self, words: str) -> str:
        """The next line with some words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said '{words}':\n{''.join(self.said)}")

    def pids(self) -> list[int]:
        """Of the next process that says them."""
        return [int(word) for word in self.until("] pids").split()[-2:]]

    def end(self) -> tuple[int, str]:
        """Exit code and all that was said."""
        rest, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, "".join(self.said) + rest


Launch = Callable[..., Launched]


@pytest.fixture
def launch(tmp_path: Path, domains: Any) -> Iterator[Launch]:
    running: list[Launched] = []

    def begin(*arguments: str, program: str = PROGRAM, **options: Any) -> Launched:
        file = tmp_path / "one.launch.py"
        cmd = [sys.executable, *(() if "rclpy" in program else ("-S",)), "-c", program, *arguments]
        file.write_text(LAUNCH_FILE.format(cmd=cmd, options=options))
        running.append(Launched(file, domains.claim()))
        return running[-1]

    yield begin
    for one in running:
        one.process.kill()
        one.process.communicate()
        domains.release(one.domain_id)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody reaps counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # before it was opened, or while it is read
        return True


def await_end(pid: int) -> None:
    """Wait until a process is gone."""
    deadline = time.monotonic() + PATIENCE
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 1)])
def test_a_signal_ends_processes_and_their_descendants(launch: Launch, number: int, code: int) -> None:
    launched = launch("", "child", sigterm_timeout="50")
    _, child = launched.pids()
    launched.process.send_signal(number)
    returned, said = launched.end()
    assert returned == code, said
    assert "interrupted" in said
    assert "Traceback" not in said
    await_end(child)


def test_who_ignores_signals_is_made_to_end(launch: Launch) -> None:
    launched = launch("SIGINT,SIGTERM", "child", sigterm_timeout="0.3", sigkill_timeout="0.3")
    _, child = launched.pids()
    launched.process.send_signal(signal.SIGINT)
    code, said = launched.end()
    assert code == 0
    # Whether it gets round to saying that it got them, as it does in the next test, is a matter of time.
    for words in ("escalating to 'SIGTERM'", "escalating to 'SIGKILL'", "exit code -9"):
        assert words in said
    await_end(child)


def test_more_signals_are_less_patient(launch: Launch) -> None:
    launched = launch("SIGINT,SIGTERM", sigterm_timeout="50", sigkill_timeout="50")
    launched.pids()
    for words in ("got SIGINT", "got SIGTERM"):
        launched.process.send_signal(signal.SIGINT)
        launched.until(words)
    launched.process.send_signal(signal.SIGINT)
    code, said = launched.end()
    assert code == 0
    assert "again, escalating to 'SIGTERM'" in said
    assert "again, escalating to 'SIGKILL'" in said


def test_a_killed_launch_tells_its_processes_to_end(launch: Launch) -> None:
    launched = launch("")
    pid, _ = launched.pids()
    launched.process.kill()
    await_end(pid)


def test_a_killed_process_is_run_again(launch: Launch) -> None:
    launched = launch("", respawn=True, respawn_delay=0.1)
    first, _ = launched.pids()
    os.kill(first, signal.SIGKILL)
    assert "exit code -9" in launched.until("process has died")
    second, _ = launched.pids()
    assert first != second
    launched.process.send_signal(signal.SIGINT)
    assert launched.end()[0] == 0
    await_end(second)


def test_the_end_does_not_wait_for_a_respawn(launch: Launch) -> None:
    launched = launch("", respawn=True, respawn_delay=3600.0)
    os.kill(launched.pids()[0], signal.SIGKILL)
    launched.until("process has died")
    launched.process.send_signal(signal.SIGINT)
    code, said = launched.end()
    assert (code, said.count("process started")) == (0, 1)


NODE = """
import os, rclpy
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import Trigger

def answer(request, response):
    response.message = str(os.getpid())
    return response

rclpy.init()
node = rclpy.create_node("robot")
node.create_service(Trigger, "who", answer)
print("pids", os.getpid(), os.getpid(), flush=True)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    print("in order", flush=True)
"""


def test_a_respawned_node_rejoins(launch: Launch) -> None:
    launched = launch(program=NODE, respawn=True, sigterm_timeout="60")
    context = Context()
    rclpy.init(args=[], context=context, domain_id=launched.domain_id)
    with rclpy.create_node("asking", context=context) as node:
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        client = node.create_client(Trigger, "who")
        first, _ = launched.pids()
        os.kill(first, signal.SIGKILL)
        second, _ = launched.pids()
        assert first != second
        deadline, answer = time.monotonic() + PATIENCE, None
        while answer is None and time.monotonic() < deadline:
            # What is asked before the new server is known goes to the dead one
            future = client.call_async(Trigger.Request())
            executor.spin_until_future_complete(future, 1.0)
            answer = future.result() if future.done() else None
        assert answer is not None
        assert answer.message == str(second)
        executor.shutdown()
    context.try_shutdown()
    launched.process.send_signal(signal.SIGINT)
    code, said = launched.end()
    assert code == 0
    assert "in order" in said
    assert "escalating" not in said
