"""The tasks of the table-top world: a file each, with its sentences beside. A file more is a task more."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.task import Task
from mini_diffuser_ros.support.modules import subclasses_in


def find_tasks(package: ModuleType) -> Mapping[str, Task]:
    """The tasks that the modules of a package define, by name, in the order of the modules' names.

    Raises:
        SimulationError: if a module does not define exactly one, or two have the same name.
    """
    tasks: dict[str, Task] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{package.__name__}.{name}")
        own = subclasses_in(module, Task)
        if len(own) != 1:
            raise SimulationError(f"{module.__file__}: defines {len(own)} tasks, expected one")
        task: Task = own[0]()
        if task.name in tasks:
            raise SimulationError(f"{module.__file__}: there is a task '{task.name}' already")
        tasks[task.name] = task
    return MappingProxyType(tasks)


TASKS: Final = find_tasks(sys.modules[__name__])
"""Every shipped task by name."""


def task_named(name: str, tasks: Mapping[str, Task] = TASKS) -> Task:
    """The task of a name, of the shipped ones where no others are given.

    Raises:
        SimulationError: if there is none, naming those that there are.
    """
    if name not in tasks:
        raise SimulationError(f"unknown task '{name}'; tasks: {', '.join(tasks)}")
    return tasks[name]
