"""Conditions of actions."""

from __future__ import annotations

from rosless.errors import left_out

from launch.core import (
    Condition,
    InvalidConditionExpressionError,
    LaunchContext,
    SomeSubstitutionsType,
    perform_bool,
    perform_substitutions,
)

evaluate_condition_expression = perform_bool


class IfCondition(Condition):
    """Holds when the text is true."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(predicate=lambda context: perform_bool(context, predicate_expression))


class UnlessCondition(Condition):
    """Holds when the text is false."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        super().__init__(predicate=lambda context: not perform_bool(context, predicate_expression))


class LaunchConfigurationEquals(Condition):
    """Holds when a launch configuration has a value; `None` means that it is not set."""

    def __init__(self, launch_configuration_name: str, expected_value: SomeSubstitutionsType | None) -> None:
        def equals(context: LaunchContext) -> bool:
            expected = None if expected_value is None else perform_substitutions(context, expected_value)
            return context.launch_configurations.get(launch_configuration_name) == expected

        super().__init__(predicate=equals)


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """Holds when a launch configuration has another value."""

    def evaluate(self, context: LaunchContext) -> bool:
        return not super().evaluate(context)


__all__ = [
    "IfCondition",
    "InvalidConditionExpressionError",
    "LaunchConfigurationEquals",
    "LaunchConfigurationNotEquals",
    "UnlessCondition",
    "evaluate_condition_expression",
]
__getattr__ = left_out(__name__)
