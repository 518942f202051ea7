"""Import hook: `from package.msg import Name` for packages that exist only as interface definitions.

The finder stands last on `sys.meta_path`, so a package on disk, such as one of a genuine ROS 2, always wins.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_KINDS = ("msg", "srv", "action")


class InterfaceFinder(MetaPathFinder):
    """Finds `package` and `package.msg|srv|action`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, kind = fullname.partition(".")
        if (kind and kind not in _KINDS) or package.startswith("_"):
            return None
        from rosless.interfaces.definitions import is_interface_package, names_in

        if not is_interface_package(package) or (kind and not names_in(package, kind)):
            return None
        return ModuleSpec(fullname, InterfaceLoader(), is_package=True)


class InterfaceLoader(Loader):
    """Makes modules whose classes are built at their first use."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        package, _, kind = module.__name__.partition(".")
        module.__path__ = []
        if not kind:
            return
        from rosless.errors import InterfaceError
        from rosless.interfaces.definitions import names_in
        from rosless.interfaces.messages import interface_class, message_class

        names = names_in(package, kind)
        module.__dict__["__all__"] = names

        def load(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            full = f"{package}/{kind}/{name}"
            try:
                made = interface_class(full) if name in names else message_class(full)
            except InterfaceError as error:
                raise AttributeError(f"{module.__name__} has no {name}: {error}") from None
            setattr(module, name, made)
            return made

        module.__dict__["__getattr__"] = load
        module.__dict__["__dir__"] = lambda: names


def install() -> None:
    """Put the finder on `sys.meta_path`, once."""
    if not any(type(finder).__name__ == "InterfaceFinder" for finder in sys.meta_path):
        sys.meta_path.append(InterfaceFinder())
