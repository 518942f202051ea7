"""Coordinate frames over time: a part of rosless.

Frames are named by the convention of tf2: `lookup_transform(target, source)` gives `target_from_source`, the pose
of the source frame in the target frame.
"""

from rosless.errors import left_out

from tf2_ros.broadcaster import StaticTransformBroadcaster, TransformBroadcaster
from tf2_ros.buffer import (
    Buffer,
    BufferCore,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
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
    "TransformBroadcaster",
    "TransformException",
    "TransformListener",
]
__getattr__ = left_out(__name__)
