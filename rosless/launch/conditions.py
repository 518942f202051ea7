"""Conditions of actions."""

from __future__ import annotations

from typing import Any

from launch.core import (
    Condition,
    InvalidConditionExpressionError,
    LaunchContext,
    SomeSubstitutionsType,
    SubstitutionFailure,
    perform_substitutions,
)
from launch.substitutions import to_bool


def evaluate_condition_expression(context: LaunchContext, expression: SomeSubstitutionsType) -> bool:
    """The truth of a text.

    Raises:
        InvalidConditionExpressionError: neither true nor false.
    """
    text = perform_substitutions(context, expression)
    try:
        return to_bool(text, "a condition")
    except SubstitutionFailure:
        raise InvalidConditionExpressionError(
            f"invalid condition expression: expected one of (true, 1) or (false, 0), got '{text}'"
        ) from None


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

    def __init__(self, launch_configuration_name: str, expected_value: Any) -> None:
        def equals(context: LaunchContext) -> bool:
            value = context.launch_configurations.get(launch_configuration_name)
            expected = None if expected_value is None else perform_substitutions(context, expected_value)
            return value == expected

        super().__init__(predicate=equals)


class LaunchConfigurationNotEquals(Condition):
    """Holds when a launch configuration has another value."""

    def __init__(self, launch_configuration_name: str, expected_value: Any) -> None:
        equals = LaunchConfigurationEquals(launch_configuration_name, expected_value)
        super().__init__(predicate=lambda context: not equals.evaluate(context))


__all__ = [
    "IfCondition",
    "InvalidConditionExpressionError",
    "LaunchConfigurationEquals",
    "LaunchConfigurationNotEquals",
    "UnlessCondition",
    "evaluate_condition_expression",
]
