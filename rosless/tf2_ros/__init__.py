"""Coordinate frames over time: a part of rosless.

Frames are named by the convention of tf2: `lookup_transform(target, source)` gives `target_from_source`, the pose
of the source frame in the target frame.
"""

from tf2_ros.broadcaster import StaticTransformBroadcaster, TransformBroadcaster
from tf2_ros.buffer import (
    Buffer,
    BufferCore,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
    TypeException,
)
from tf2_ros.listener import TransformListener

__all__ = [
    "Buffer",
    "BufferCore",
    "ConnectivityException",
    "ExtrapolationException",
    "InvalidArgumentException",
    "LookupException",
    "StaticTransformBroadcaster",
    "TimeoutException",
    "TransformBroadcaster",
    "TransformException",
    "TransformListener",
    "TypeException",
]


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("tf2_ros", name)
