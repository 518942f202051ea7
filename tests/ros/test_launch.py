"""bringup.launch.py as a user starts it, and the command that talks to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import DISCOVERY, ENDS_WITHIN

LAUNCH_FILE = Path(__file__).parents[2] / "launch" / "bringup.launch.py"


def ros2(*words: str, **options: object) -> subprocess.Popen[bytes]:
    """A ros2 command in a session of its own, as a terminal gives it one."""
    program = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
    return subprocess.Popen([program, *words], start_new_session=True, **options)  # type: ignore[call-overload]


def is_alive(session: int) -> bool:
    """Whether any process of a session's group is left."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def await_words(log: Path, words: str) -> None:
    """Wait until a log holds some words."""
    deadline = time.monotonic() + DISCOVERY
    while words not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[tuple[int, Path]]:
    """Session and log of a running stack."""
    log = tmp_path_factory.mktemp("launch") / "launch.log"
    with log.open("wb") as output:
        process = ros2("launch", str(LAUNCH_FILE), f"checkpoint:={checkpoint}", stdout=output, stderr=subprocess.STDOUT)
    await_words(log, "ready for instructions")
    yield process.pid, log
    if is_alive(process.pid):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_say_tells_the_outcome(launched: tuple[int, Path]) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "mini_diffuser_ros.cli", "say", "  "], capture_output=True, text=True, timeout=DISCOVERY
    )
    assert said.returncode == 1, said.stderr
    assert "REFUSED: the instruction is empty" in said.stdout


def test_ctrl_c_leaves_no_process(launched: tuple[int, Path]) -> None:
    session, log = launched
    os.killpg(session, signal.SIGINT)
    deadline = time.monotonic() + ENDS_WITHIN
    while is_alive(session) and time.monotonic() < deadline:
        time.sleep(0.05)
        # The launch process itself is our child and has to be waited for.
        try:
            os.waitpid(session, os.WNOHANG)
        except ChildProcessError:
            continue
    assert not is_alive(session), log.read_text(errors="replace")[-3000:]
    assert "Traceback" not in log.read_text(errors="replace")


def test_a_run_needs_an_instruction(tmp_path: Path) -> None:
    process = ros2("launch", str(LAUNCH_FILE), "exit_on_done:=true", stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=DISCOVERY)
    assert process.returncode == 1
    assert b"needs an instruction" in output


def test_the_arguments_are_described() -> None:
    process = ros2("launch", str(LAUNCH_FILE), "--show-args", stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=DISCOVERY)
    assert process.returncode == 0
    for argument in (b"instruction", b"exit_on_done", b"robot", b"checkpoint", b"cameras", b"seed"):
        assert b"'" + argument + b"'" in output


def test_a_dead_node_ends_the_launch_with_its_name(tmp_path: Path) -> None:
    process = ros2("launch", str(LAUNCH_FILE), "checkpoint:=/nowhere", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=DISCOVERY)
    assert process.returncode == 1
    assert b"policy_node" in output.splitlines()[-1] or b"policy_node-2 ended with exit code 1" in output
    assert not is_alive(process.pid)
