"""Worlds by name: a class of a module or of a file, and its settings from words."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final, TypeVar, cast

from mini_diffuser_ros.records import LAB, LIBERO, RLBENCH, TABLE, UNKNOWN
from mini_diffuser_ros.running.task_world import TaskWorld
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.sealing import file_digest
from mini_diffuser_ros.support.settings import with_words

SHORT_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tabletop": "mini_diffuser_ros.evaluation.tabletop_tasks:TabletopTasks",
        "rlbench": "mini_diffuser_ros.evaluation.rlbench:RlbenchTasks",
        "libero": "mini_diffuser_ros.libero.world:LiberoWorld",
    }
)
"""Worlds of this package by what they are called on command lines."""

Made = TypeVar("Made")


class WorldNameError(UserError, ValueError):
    """There is no world of a name, or what has the name is none; one line that says what is missing."""


def world_class(name: str) -> type[Any]:
    """The class of a world.

    Args:
        name: one of :data:`SHORT_NAMES`, ``package.module:Class`` or ``path/to/file.py:Class``.

    Raises:
        WorldNameError: there is none, or it has no settings.
    """
    place, colon, kind = SHORT_NAMES.get(name, name).rpartition(":")
    if not colon or not place or not kind:
        known = "".join(f"{short}, " for short in SHORT_NAMES)
        raise WorldNameError(f"unknown world {name!r}; known: {known}package.module:Class, file.py:Class")
    found = getattr(_module(place, name), kind, None)
    if not isinstance(found, type):
        raise WorldNameError(f"{name}: {place} has no class {kind}")
    if not is_dataclass(getattr(found, "Settings", None)):
        raise WorldNameError(f"{name}: the class has no Settings, expected a frozen dataclass (docs/worlds.md)")
    return found


def make_world(name: str, options: Sequence[str] = ()) -> TaskWorld:
    """A world with settings; nothing of it is started.

    Args:
        name: as for :func:`world_class`.
        options: fields of its settings that differ from their defaults, as ``image_size=128``, values being YAML.

    Raises:
        WorldNameError: there is no such world, it lacks something that all worlds have, calls itself what it is not, or
            raises something.
        SettingsError: it has no such settings.
    """
    kind = world_class(name)
    world = _made(name, "cannot be made", lambda: kind(world_settings(name, options)))
    _check_members(world, name)
    check_name(world)
    return cast(TaskWorld, world)


def world_settings(name: str, options: Sequence[str] = ()) -> Any:
    """The settings of a world, as :func:`make_world` makes it with."""
    kind = world_class(name)
    own = _made(name, "its Settings cannot be made, each field of which has a default", kind.Settings)
    return _made(name, "its Settings", lambda: with_words(own, options, "", "world options"))


def check_name(world: TaskWorld) -> None:
    """Refuse a world that says to be another, by which recordings and policies know what they may be used for.

    Raises:
        WorldNameError: it calls itself a real arm's, or as one of this package, or nothing at all.
    """
    kind, name = type(world), world.name
    is_own = kind.__module__.partition(".")[0] == __package__.partition(".")[0]
    said = name.strip().casefold() if isinstance(name, str) else ""
    if not said:
        raise WorldNameError(f"{kind.__name__}: name is {name!r}, expected a text that tells it from other worlds")
    for kept, whose in ((LAB, "real arms"), (UNKNOWN, "what does not say"), *((one, "this package's") for one in _OWN)):
        if said == kept.casefold() and not (is_own and kept in _OWN):
            raise WorldNameError(f"{kind.__name__}: name is {name!r}, which is kept for {whose}; give it another")


_OWN = (TABLE, RLBENCH, LIBERO)


def _made(name: str, what: str, make: Callable[[], Made]) -> Made:
    """What code of somebody else's makes, whatever it raises meanwhile.

    Raises:
        UserError: as it is.
        WorldNameError: anything else, in a line.
    """
    try:
        return make()
    except UserError:
        raise
    except Exception as error:
        raise WorldNameError(f"{name}: {what}: {type(error).__name__}: {one_line(error)}") from error


def _check_members(world: Any, name: str) -> None:
    """Refuse a world that lacks something, or says of itself what can be of none."""
    if lacking := [member for member in _REQUIRED if _made(name, member, partial(_lacks, world, member))]:
        raise WorldNameError(f"{name}: has no {', '.join(lacking)}, which a world offers (docs/worlds.md)")
    if no_methods := [member for member in _REQUIRED if member not in _SAID and not callable(getattr(world, member))]:
        raise WorldNameError(f"{name}: {', '.join(no_methods)} cannot be called, expected methods (docs/worlds.md)")
    if not (world.robot is None or isinstance(world.robot, str)):
        raise _unexpected(name, "robot", world.robot, "the name of an arm's description, or None")
    tasks = world.tasks
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not all(isinstance(task, str) for task in tasks):
        raise _unexpected(name, "tasks", tasks, "a tuple of names")
    if not all(task.strip() for task in tasks) or len(set(tasks)) < len(tasks):
        raise _unexpected(name, "tasks", tasks, "names, each once")
    per_process = getattr(world, "tasks_per_process", 1)
    if isinstance(per_process, bool) or not isinstance(per_process, int) or per_process < 1:
        raise _unexpected(name, "tasks_per_process", per_process, "a whole number of at least 1")
    installed = getattr(world, "distributions", ())
    if isinstance(installed, str) or not isinstance(installed, Sequence):
        raise _unexpected(name, "distributions", installed, "a tuple of names")


def _lacks(world: Any, member: str) -> bool:
    return not hasattr(world, member)


def _unexpected(name: str, member: str, found: Any, expected: str) -> WorldNameError:
    return WorldNameError(f"{name}: {member} is {reprlib.repr(found)}, expected {expected} (docs/worlds.md)")


def source_digest(kind: type) -> str:
    """SHA-256 of the files that the class of a world and the classes that it is made from are in, as they are now."""
    files = {
        inspect.getsourcefile(each)
        for each in kind.__mro__
        if each.__module__.partition(".")[0] not in sys.stdlib_module_names
    }
    digests = sorted(file_digest(Path(file)) for file in files if file)
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def in_full(name: str) -> str:
    """The name of a world by which it is also found from elsewhere: that of a file with its whole path."""
    place, colon, kind = name.rpartition(":")
    return f"{Path(place).resolve()}:{kind}" if colon and place.endswith(".py") else name


_REQUIRED = tuple(name for name in vars(TaskWorld) if not name.startswith("_"))
_SAID = ("name", "robot", "tasks")


def _module(place: str, name: str) -> ModuleType:
    try:
        return _of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:  # whatever a module of somebody else's does when it is imported
        raise WorldNameError(f"{name}: cannot be imported: {type(error).__name__}: {one_line(error)}") from error


def _of_file(path: Path) -> ModuleType:
    """The module that a file holds, imported once; what lies beside it can be imported by it."""
    known = f"world of {path.resolve()}"
    if known in sys.modules:
        return sys.modules[known]
    spec = importlib.util.spec_from_file_location(known, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[known]
        raise
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module
