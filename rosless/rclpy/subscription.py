"""`Subscription` under its documented name."""

from rclpy.entities import Subscription

__all__ = ["Subscription"]
