"""`Timer` under its documented name."""

from rclpy.entities import Timer as Timer
