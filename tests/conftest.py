"""Settings for every room's tests, and the marks by which they are chosen."""

import os
import random
import re
import signal
import subprocess
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


@pytest.fixture
def domain_id() -> int:
    """A DDS domain for one test; of tests that run at the same time, none has the same."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return random.SystemRandom().randrange(1 + worker % 4, 57, 4)


@pytest.fixture(autouse=True)
def _only_marked_tests_start_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail(f"{request.node.nodeid} starts a process: mark it with @pytest.mark.process")

    if request.node.get_closest_marker("process") is None:
        monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
        monkeypatch.setattr(BaseProcess, "start", refuse)
