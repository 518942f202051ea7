"""How an evaluation is done; stored with its figures, so that they can be reproduced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError, bounded, check_fields


class EvaluationError(UserError, ValueError):
    """An evaluation that cannot be done as asked; one line that names what and why."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """Everything besides the checkpoint that a success rate depends on, in any world; each world adds its own.

    Attributes:
        world: name of the world.
        tasks: names of the tasks, in order of the report.
        episodes: episodes of each task.
        seed: episode i of every task is laid out with seed ``seed + i``, which is that of its decisions' noise, too.
        sentences: what the policy is told; each world says what can be named here.
        loop: how a sentence is obeyed; by default also one that the policy was not taught, which is what is measured.
    """

    world: str = ""
    tasks: tuple[str, ...] = ()
    episodes: int = bounded(50, 1, 1_000_000)
    seed: int = bounded(0, 0, 2**31 - 1)
    sentences: str = ""
    loop: LoopSettings = field(default_factory=lambda: LoopSettings(accept_unfamiliar=True))

    def __post_init__(self) -> None:
        check_fields(self)
        check_names("tasks", self.tasks)


def check_names(field: str, names: Sequence[str]) -> None:
    """Names of which each is to be there once.

    Raises:
        SettingsError: naming the field and the name that is empty or there twice.
    """
    for index, name in enumerate(names):
        if not name.strip() or name in names[:index]:
            raise SettingsError(field, f"has {name!r} {'twice' if name.strip() else 'as a name'}: {','.join(names)!r}")
