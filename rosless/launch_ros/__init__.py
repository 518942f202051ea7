"""ROS actions and substitutions of launch: a part of rosless."""

from rosless.errors import left_out

__getattr__ = left_out(__name__)
