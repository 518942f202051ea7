"""`Timer, Rate` under its documented name."""

from rclpy.entities import Rate, Timer

__all__ = ["Rate", "Timer"]
