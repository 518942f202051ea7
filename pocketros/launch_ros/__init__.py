"""ROS actions and substitutions of launch: a part of pocketros."""

from pocketros.errors import left_out

__getattr__ = left_out(__name__)
