"""The launch system on Python alone: a part of rosless.  A genuine one on PYTHONPATH is found before it."""

from rosless.errors import left_out

from launch.core import (
    Action,
    Condition,
    Event,
    EventHandler,
    LaunchContext,
    LaunchDescription,
    LaunchDescriptionEntity,
    SomeSubstitutionsType,
    Substitution,
)
from launch.launch_description_sources import LaunchDescriptionSource
from launch.service import LaunchService

__all__ = [
    "Action",
    "Condition",
    "Event",
    "EventHandler",
    "LaunchContext",
    "LaunchDescription",
    "LaunchDescriptionEntity",
    "LaunchDescriptionSource",
    "LaunchService",
    "SomeSubstitutionsType",
    "Substitution",
]
__getattr__ = left_out(__name__)
