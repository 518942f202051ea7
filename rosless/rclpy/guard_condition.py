"""`GuardCondition` under its documented name."""

from rclpy.entities import GuardCondition

__all__ = ["GuardCondition"]
