"""`Publisher` under its documented name."""

from rclpy.entities import Publisher

__all__ = ["Publisher"]
