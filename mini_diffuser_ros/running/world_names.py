"""Worlds by name: a class of a module or of a file, and its settings from words."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final, cast

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
        WorldNameError: there is no such world, or it lacks something that all worlds have.
        SettingsError: it has no such settings.
    """
    kind = world_class(name)
    world = kind(with_words(kind.Settings(), options, "", "world options"))
    if lacking := [member for member in _REQUIRED if not hasattr(world, member)]:
        raise WorldNameError(f"{name}: has no {', '.join(lacking)}, which a world offers (docs/worlds.md)")
    return cast(TaskWorld, world)


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
    return f"{Path(place).absolute()}:{kind}" if colon and place.endswith(".py") else name


_REQUIRED = tuple(name for name in vars(TaskWorld) if not name.startswith("_"))


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
