"""`Publisher` under its documented name."""

from rclpy.entities import Publisher as Publisher
