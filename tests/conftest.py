"""Settings for every room's tests, and the marks by which they are chosen."""

import os
import random
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

# Before anything imports NumPy or torch, here and in every process that a test starts. More threads than cores wait for
# each other by spinning, which makes a small product take ten times as long.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

NODES = Path(__file__).parent / "ros"  # every test there starts nodes or commands
NEED_TORCH = ("policy", "training", "evaluation", "bench", "examples")  # rooms
IMPORTS_TORCH = re.compile(
    rf"^\s*(?:from|import) (?:torch|tokenizers|mini_diffuser_ros\.(?:{'|'.join(NEED_TORCH)}))\b", re.MULTILINE
)

# What is started in the background of a script ignores Ctrl-C, and so would every process that a test starts and ends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines differ in speed and share their cores: a property holds or not, however long an example takes.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
# For `make test`: the same examples each time. What chance finds is found while something else is being worked on.
settings.register_profile("reproducible", deadline=None, derandomize=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-torch", action="store_true", help="leave out the tests that import torch")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, if asked to, the rooms that need torch and the files elsewhere that import it or such a room."""
    if not config.getoption("--without-torch"):
        return None
    if collection_path.is_dir():
        return True if collection_path.name in NEED_TORCH else None
    return True if IMPORTS_TORCH.search(collection_path.read_text(encoding="utf-8")) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as fast what is neither slow nor starts a process."""
    for item in items:
        if NODES in item.path.parents:
            item.add_marker("process")
        if not any(mark.name in ("process", "slow") for mark in item.iter_markers()):
            item.add_marker("fast")


class Domains:
    """DDS domains that nobody else has: no other worker, and no other test run on the machine.

    What stands for a domain is a name in the abstract namespace of the kernel, which reaches as far as the loopback
    interface on which nodes meet, and which ends with the process that holds it.

    Args:
        numbers: to choose from. 0 is that of a stack at work; from 101 on, DDS shares ports with outgoing connections.
    """

    RESTING = 5  # that are held on: who was killed in one counts as there for a while

    def __init__(self, numbers: range = range(1, 101)) -> None:
        self._numbers = numbers
        self._held: dict[int, socket.socket] = {}
        self._resting: list[int] = []

    def claim(self) -> int:
        """Number of a domain that was free."""
        for number in random.SystemRandom().sample(self._numbers, len(self._numbers)):
            name = socket.socket(socket.AF_UNIX)
            try:
                name.bind(f"\0mini_diffuser_ros tests, domain {number}")
            except OSError:  # somebody has it
                name.close()
                continue
            self._held[number] = name
            return number
        pytest.fail(f"all DDS domains from {self._numbers[0]} to {self._numbers[-1]} are held by test runs: end some")

    def release(self, number: int) -> None:
        """Let go of a domain, a few releases later."""
        self._resting.append(number)
        if len(self._resting) > self.RESTING:
            self._held.pop(self._resting.pop(0)).close()

    def close(self) -> None:
        """Let go of all."""
        for name in self._held.values():
            name.close()
        self._held.clear()
        self._resting.clear()


@pytest.fixture(scope="session")
def domains() -> Iterator[Domains]:
    """The DDS domains of this test run."""
    held = Domains()
    yield held
    held.close()


@pytest.fixture
def domain_id(domains: Domains) -> Iterator[int]:
    """A DDS domain for one test."""
    number = domains.claim()
    yield number
    domains.release(number)


@pytest.fixture(autouse=True)
def _only_marked_tests_start_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail(f"{request.node.nodeid} starts a process: mark it with @pytest.mark.process")

    if request.node.get_closest_marker("process") is None:
        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
        monkeypatch.setattr(BaseProcess, "start", refuse)
