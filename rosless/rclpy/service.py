"""`Service` under its documented name."""

from rclpy.entities import Service

__all__ = ["Service"]
