"""Kinds of clocks."""

from enum import IntEnum


class ClockType(IntEnum):
    """ROS_TIME follows /clock under use_sim_time and the system otherwise."""

    UNINITIALIZED = 0
    ROS_TIME = 1
    SYSTEM_TIME = 2
    STEADY_TIME = 3
