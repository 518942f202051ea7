"""What a module defines, for folders in which a file more is a thing more."""

from __future__ import annotations

from types import GenericAlias, ModuleType
from typing import Any


def subclasses_in(module: ModuleType, base: type) -> list[type[Any]]:
    """The subclasses of ``base`` that a module defines itself, in its order; what it imports does not count."""
    return [kind for kind in vars(module).values() if _is_subclass(kind, base) and kind.__module__ == module.__name__]


def _is_subclass(value: object, base: type) -> bool:
    alias = isinstance(value, GenericAlias)  # Python 3.10 takes list[str] for a class
    return isinstance(value, type) and not alias and issubclass(value, base)
