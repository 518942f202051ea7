"""Nodes that begin and end in the ways that processes have to cope with; run by test_process.py."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import rclpy

from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import Build, ManagedNode, run_nodes


def tell(words: str) -> None:
    """Say something to the test."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


class Plain(ManagedNode):
    """Does nothing, and tells of its end."""

    NAME = "plain"

    def __init__(self) -> None:
        super().__init__(self.NAME)
        self.samples = Parameters(self).integer("samples", 64, "how many", 1, 4096)
        self.create_timer(0.01, self.work)
        self._told = False

    def work(self) -> None:
        """Called when messages flow."""
        if not self._told:
            self._told = True
            tell(f"{self.NAME} works on {self.samples}")

    def close(self) -> None:
        tell(f"{self.NAME} closes")


class Slow(Plain):
    """Takes its time to be built."""

    NAME = "slow"

    def __init__(self) -> None:
        super().__init__()
        tell("slow is being built")
        threading.Event().wait(60.0)


class Faulty(Plain):
    """Its callback raises."""

    NAME = "faulty"

    def work(self) -> None:
        super().work()
        raise ZeroDivisionError("a bug\nof two lines")


class Refusing(Plain):
    """Cannot be built."""

    NAME = "refusing"

    def __init__(self) -> None:
        super().__init__()
        raise ValueError("there is\nno checkpoint")


class Quitting(Plain):
    """Its work is done at once."""

    NAME = "quitting"

    def work(self) -> None:
        super().work()
        self.finish(7)


class Clumsy(Plain):
    """Cannot end what is under way."""

    NAME = "clumsy"

    def close(self) -> None:
        raise OSError("the disk is full")


class Intruder(Plain):
    """Shuts the context down that all share."""

    NAME = "intruder"

    def work(self) -> None:
        super().work()
        threading.Thread(target=rclpy.try_shutdown, daemon=True).start()


def without_a_package() -> type[ManagedNode]:
    """As a node's module that imports something that is not installed."""
    raise ModuleNotFoundError("No module named 'torch_of_another_world'")


KINDS: dict[str, Callable[[], Callable[[], ManagedNode]]] = {
    kind.NAME: lambda kind=kind: kind  # type: ignore[misc]
    for kind in (Plain, Slow, Faulty, Refusing, Quitting, Clumsy, Intruder)
}
KINDS["needy"] = without_a_package


if __name__ == "__main__":
    names = sys.argv[1].split(",")
    run_nodes([Build(name.strip("?"), KINDS[name.strip("?")], optional=name.endswith("?")) for name in names])
