"""`Client` under its documented name."""

from rclpy.entities import Client as Client
