"""`Service` under its documented name."""

from rclpy.entities import Service as Service
