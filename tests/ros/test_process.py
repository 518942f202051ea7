"""How processes of nodes begin and end, seen from outside: signals, exit codes and what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import DISCOVERY

PROGRAM = Path(__file__).with_name("example_nodes.py")
Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts the example nodes of the names given; what is left of them ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(names: str, *ros_arguments: str) -> subprocess.Popen[str]:
        words = [sys.executable, str(PROGRAM), names, *(["--ros-args", *ros_arguments] if ros_arguments else [])]
        begun.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    """What is said until all words were, in any order: nodes run side by side."""
    said = ""
    while missing := [one for one in words if one not in said]:
        line = process.stdout.readline()  # type: ignore[union-attr]
        assert line, f"ended without {missing}: {said}"
        said += line
    return said


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and the rest of what it says."""
    said, _ = process.communicate(timeout=DISCOVERY)
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_nodes_in_their_order(begin: Begin, number: signal.Signals) -> None:
    process = begin("quitting?,plain")
    read_until(process, "has ended with exit code 7; the other nodes go on", "plain works")
    process.send_signal(number)
    process.send_signal(number)
    code, said = end_of(process)
    assert (code, said) == (0, "plain closes\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_what_is_being_built(begin: Begin, number: signal.Signals) -> None:
    process = begin("plain,slow")
    read_until(process, "slow is being built")
    process.send_signal(number)
    code, said = end_of(process)
    assert (code, said) == (128 + number, "plain closes\n")


def test_the_first_node_that_is_done_gives_the_exit_code(begin: Begin) -> None:
    code, said = end_of(begin("quitting,plain"))
    assert code == 7
    assert said.index("quitting closes") < said.index("plain closes")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("plain,refusing", "[refusing]: there is no checkpoint\n"),
        ("plain,needy", "[needy]: No module named 'torch_of_another_world'; install it for"),
    ],
)
def test_a_node_that_cannot_be_built_is_named_in_one_line(begin: Begin, names: str, reason: str) -> None:
    code, said = end_of(begin(names))
    assert code == 1
    assert "FATAL" in said
    assert reason in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("plain,faulty", "[faulty]: ends, because a bug of two lines"),
        ("intruder,plain", "ends, because the ROS context was shut down by something else"),
    ],
)
def test_a_node_that_fails_ends_all_and_is_named(begin: Begin, names: str, reason: str) -> None:
    code, said = end_of(begin(names))
    assert code == 1
    assert reason in said
    assert "plain closes" in said


def test_one_that_fails_to_close_does_not_keep_the_others_from_it(begin: Begin) -> None:
    process = begin("clumsy,plain")
    read_until(process, "plain works")
    process.send_signal(signal.SIGINT)
    code, said = end_of(process)
    assert code == 1
    assert "the disk is full" in said
    assert "plain closes" in said


def test_given_parameters_are_checked(begin: Begin, tmp_path: Path) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(
        "/**/plain: {ros__parameters: {sample: 7, samples: 9, use_sim_time: false}}\n"
        "/**/quitting: {ros__parameters: {samples: 5, nonsense.of_mine: 7}}\n"
    )
    process = begin("plain,quitting?", "--params-file", str(parameters), "-r", "__ns:=/left")
    said = read_until(process, "other nodes go on", "plain works on 9")
    process.send_signal(signal.SIGINT)
    said += end_of(process)[1]
    assert "parameter 'sample' is not known and ignored; nearest are samples" in said
    assert "parameter 'nonsense.of_mine' is not known and ignored; `ros2 param list`" in said
    assert "use_sim_time" not in said
    assert "quitting works on 5" in said
    assert "[left.plain]" in said


@pytest.mark.parametrize("value", ["0", "many", "1.5"])
def test_a_wrong_parameter_is_named_in_one_line(begin: Begin, value: str) -> None:
    code, said = end_of(begin("plain", "-p", f"samples:={value}"))
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "samples" in said
    assert value in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "usage: stack"),
        (("motion_node", "arm_node"), "'arm_node' is no node; usage: stack"),
        (("motion_node", "--ros-args", "-r", "__node:=mine"), "would name all nodes alike"),
    ],
)
def test_a_stack_of_nothing_known_is_refused_in_one_line(words: tuple[str, ...], reason: str) -> None:
    program = "from mini_diffuser_ros.bringup.executables import stack; stack()"
    ended = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=DISCOVERY)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
