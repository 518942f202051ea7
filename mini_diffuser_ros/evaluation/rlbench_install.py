"""What is installed of RLBench and PyRep: their members, their tasks, and what to do where one is missing.

They are imported by what is called here and nowhere else: everything but this evaluation works without them. What is
called RLBench comes in several distributions, which differ in their tasks and in what an action is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.support.errors import one_line

VARIANT = "_peract"
"""How the tasks of the published results are marked in distributions where the plain names are other tasks."""

INSTALL = (
    "Install CoppeliaSim 4.1, export COPPELIASIM_ROOT=<its folder>, add that to LD_LIBRARY_PATH, start without a "
    "display by `xvfb-run -a`; then `pip install` git+https://github.com/cshizhe/PyRep (stepjam's divides by zero on a "
    "path without length: NaN to all joints) and rjgpinel/RLBench (MohitShridhar/RLBench@peract has the 18 tasks, too; "
    "stepjam/RLBench has 15, and needs gymnasium); RLBench is not on PyPI, PyPI's pyrep is an unrelated package"
)
"""What to do where it is missing or does not start, short enough to be shown whole."""

_WHERE_TASKS_ARE = (
    "rjgpinel/RLBench and its like have all 18 of the published results, as <task>_peract, "
    "MohitShridhar/RLBench@peract under their plain names; stepjam/RLBench lacks three"
)
_NAMED = 4  # missing tasks that are named


def member(module: str, name: str) -> Any:
    """Something of a module of RLBench or PyRep.

    Raises:
        EvaluationError: if it is not installed, or not as it should be.
    """
    try:
        return getattr(_module(module), name)
    except AttributeError as error:
        raise EvaluationError(f"--world rlbench: {module} has no {name}; it is another version. {INSTALL}") from error


def check_installed() -> None:
    """Say at once, before a simulator is started, if there is none.

    Raises:
        EvaluationError: if RLBench or PyRep are not installed.
    """
    _module("pyrep.errors")
    _module("rlbench.environment")


def find_tasks(tasks: Sequence[str]) -> Mapping[str, str]:
    """Name of each task to that of its file in what is installed, its variant of the published results if there is one.

    Raises:
        EvaluationError: naming all tasks that are not there, and which distributions have them, or a task that two of
            the names mean.
    """
    found = {task: name for task in tasks if (name := _file_of(task))}
    if missing := [task for task in tasks if task not in found]:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        named = ", ".join(f"'{task}'" for task in missing[:_NAMED]) + more
        raise EvaluationError(f"unknown task {named}: not in the rlbench that is installed; {_WHERE_TASKS_ARE}")
    for task, file in found.items():
        if others := [other for other in found if other != task and found[other] == file]:
            raise EvaluationError(f"tasks '{task}' and '{others[0]}' are both rlbench's {file}; name it once")
    return found


def task_class(name: str) -> Any:
    """The class of a task by the name of its file.

    Raises:
        EvaluationError: if RLBench has no such task.
    """
    if (found := _class_of(name)) is None:
        raise EvaluationError(f"unknown task '{name}': rlbench has no file tasks/{name}.py; {_WHERE_TASKS_ARE}")
    return found


def _file_of(task: str) -> str | None:
    names = [task] if task.endswith(VARIANT) else [task + VARIANT, task]
    return next((name for name in names if _class_of(name) is not None), None)


def _class_of(name: str) -> Any:
    # RLBench makes a class's name of the words between underscores, and takes ".py" out wherever it stands.
    if not (name.isidentifier() and all(name.split("_"))):
        return None
    find = member("rlbench.backend.utils", "task_file_to_task_class")
    try:
        return find(name)
    except ModuleNotFoundError as error:
        if error.name not in (None, f"rlbench.tasks.{name}"):
            raise EvaluationError(f"--world rlbench: task '{name}' cannot be imported ({one_line(error)})") from error
        return None
    except (ImportError, AttributeError):
        return None


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    # RLBench and PyRep look at versions and load libraries while they are imported; any error means the same here.
    except Exception as error:
        raise EvaluationError(f"--world rlbench: cannot import {name} ({one_line(error)}). {INSTALL}") from error
