"""Conditions of actions."""

from __future__ import annotations

from rosless.errors import left_out

from launch.core import Condition, LaunchContext, LaunchError, SomeSubstitutionsType, perform_substitutions


class InvalidConditionExpressionError(LaunchError):
    """A condition is neither true nor false."""


def evaluate_condition_expression(context: LaunchContext, expression: SomeSubstitutionsType) -> bool:
    """The truth of `true`, `false`, `1` or `0` in any case.

    Raises:
        InvalidConditionExpressionError: another text.
    """
    text = perform_substitutions(context, expression)
    if (clean := text.strip().lower()) not in ("true", "1", "false", "0"):
        raise InvalidConditionExpressionError(f"expected one of (true, 1) or (false, 0), got '{text}'")
    return clean in ("true", "1")


class IfCondition(Condition):
    """Holds when the text is true."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(predicate=lambda context: evaluate_condition_expression(context, predicate_expression))


class UnlessCondition(Condition):
    """Holds when the text is false."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(predicate=lambda context: not evaluate_condition_expression(context, predicate_expression))


class LaunchConfigurationEquals(Condition):
    """Holds when a launch configuration has a value; `None` means that it is not set."""

    def __init__(self, launch_configuration_name: str, expected_value: SomeSubstitutionsType | None) -> None:
        def equals(context: LaunchContext) -> bool:
            expected = None if expected_value is None else perform_substitutions(context, expected_value)
            return context.launch_configurations.get(launch_configuration_name) == expected

        super().__init__(predicate=equals)


__getattr__ = left_out(__name__)
