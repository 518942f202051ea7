"""`Subscription` under its documented name."""

from rclpy.entities import Subscription as Subscription
