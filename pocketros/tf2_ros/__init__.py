"""Coordinate frames over time: a part of pocketros.

Frames are named by the convention of tf2: `lookup_transform(target, source)` gives `target_from_source`, the pose
of the source frame in the target frame.
"""

from pocketros.errors import left_out

from tf2_ros.buffer import Buffer as Buffer
from tf2_ros.buffer import BufferCore as BufferCore
from tf2_ros.buffer import ConnectivityException as ConnectivityException
from tf2_ros.buffer import ExtrapolationException as ExtrapolationException
from tf2_ros.buffer import InvalidArgumentException as InvalidArgumentException
from tf2_ros.buffer import LookupException as LookupException
from tf2_ros.buffer import TransformException as TransformException
from tf2_ros.transform_broadcaster import StaticTransformBroadcaster as StaticTransformBroadcaster
from tf2_ros.transform_broadcaster import TransformBroadcaster as TransformBroadcaster
from tf2_ros.transform_listener import TransformListener as TransformListener

__getattr__ = left_out(__name__)
