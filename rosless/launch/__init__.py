"""The launch system on Python alone: a part of rosless.  A genuine one on PYTHONPATH is found before it."""

from launch import (
    actions,
    conditions,
    event_handlers,
    events,
    launch_description_sources,
    substitutions,
)
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
    "actions",
    "conditions",
    "event_handlers",
    "events",
    "launch_description_sources",
    "substitutions",
]


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch", name)
