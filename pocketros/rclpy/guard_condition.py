"""`GuardCondition` under its documented name."""

from rclpy.entities import GuardCondition as GuardCondition
