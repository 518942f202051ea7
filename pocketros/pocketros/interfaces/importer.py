"""Import hook: `from package.msg import Name` for packages that exist only as interface definitions.

The finder stands last on `sys.meta_path`, so a package on disk, such as one of a genuine ROS 2, always wins.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from pocketros.packages import has_interfaces


class InterfaceFinder(MetaPathFinder, Loader):
    """Finds `package` and `package.msg|srv|action`, whose classes are built at their first use."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, kind = fullname.partition(".")
        if kind not in ("", "msg", "srv", "action") or package.startswith("_"):
            return None
        if not has_interfaces(package):
            return None
        if kind:
            from pocketros.interfaces.definitions import names_in

            if not names_in(package, kind):
                return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        package, _, kind = module.__name__.partition(".")
        module.__path__ = []
        if not kind:
            return
        from pocketros.errors import InterfaceError
        from pocketros.interfaces.definitions import names_in
        from pocketros.interfaces.messages import interface_class, message_class

        names = names_in(package, kind)

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

        module.__dict__.update(__all__=names, __getattr__=load, __dir__=lambda: names)


def install() -> None:
    """Put the finder on `sys.meta_path`, once."""
    if not any(isinstance(finder, InterfaceFinder) for finder in sys.meta_path):
        sys.meta_path.append(InterfaceFinder())
