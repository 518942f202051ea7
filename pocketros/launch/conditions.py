"""Conditions of actions."""

from __future__ import annotations

from pocketros.errors import left_out

from launch.core import Condition, SomeSubstitutionsType, perform_bool


class IfCondition(Condition):
    """Holds when the text is true."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(predicate=lambda context: perform_bool(context, predicate_expression))


class UnlessCondition(Condition):
    """Holds when the text is false."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(predicate=lambda context: not perform_bool(context, predicate_expression))


__getattr__ = left_out(__name__)
