"""What pocketros raises besides the exceptions of the packages it stands for, and how it names what it leaves out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


class PocketrosError(RuntimeError):
    """Base of pocketros' own errors."""


class InterfaceError(PocketrosError, ValueError):
    """An interface definition is missing, malformed or not supported."""


class CodecError(PocketrosError, ValueError):
    """Bytes that are no CDR encoding of the type, or a message that cannot be encoded."""


class ArgumentError(PocketrosError, ValueError):
    """Arguments after --ros-args, or parameters in a file, which are malformed or unknown."""


def left_out(module: str) -> Callable[[str], Any]:
    """A module's `__getattr__`: imports submodules at their first use, and names what only a genuine ROS 2 has."""

    def find(name: str) -> Any:
        is_package = "__path__" in vars(sys.modules[module])
        if is_package and not name.startswith("_") and find_spec(f"{module}.{name}"):
            return import_module(f"{module}.{name}")
        raise AttributeError(f"pocketros does not provide {module}.{name}; it needs a genuine ROS 2")

    return find


def refuse(**options: Any) -> None:
    """Raise for options that pocketros does not provide, unless they are None or False."""
    for name, value in options.items():
        if value:
            raise AttributeError(f"pocketros does not provide the option {name}; it needs a genuine ROS 2")
