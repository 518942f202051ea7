"""`Client` under its documented name."""

from rclpy.entities import Client

__all__ = ["Client"]
