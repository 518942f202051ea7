"""How an evaluation is done; stored with its figures, so that they can be reproduced."""

from __future__ import annotations

from dataclasses import dataclass

from mini_diffuser_ros.support.errors import UserError


class EvaluationError(UserError, ValueError):
    """An evaluation that cannot be done as asked; one line that names what and why."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """Everything besides the checkpoint that a success rate depends on.

    Attributes:
        world: name of the world; ``tabletop`` is the MuJoCo table-top.
        tasks: names of the tasks, in order of the report.
        episodes: episodes of each task.
        seed: episode i of every task is laid out with seed ``seed + i``.
        sentences: ``held-out`` (templates never used in training), ``training``, or the name of a YAML file.
        max_keyframes: an episode that has not ended by itself after so many keyframes is stopped, and judged.
        samples: hypotheses a decision.
        steps: DDIM steps a decision.
        renderer: ``rays`` or ``egl``.
    """

    world: str = "tabletop"
    tasks: tuple[str, ...] = ()
    episodes: int = 50
    seed: int = 0
    sentences: str = "held-out"
    max_keyframes: int = 15
    samples: int = 64
    steps: int = 20
    renderer: str = "rays"

    def __post_init__(self) -> None:
        for name in ("episodes", "max_keyframes", "samples", "steps"):
            if getattr(self, name) < 1:
                raise EvaluationError(f"{name} is {getattr(self, name)}, expected at least 1")
