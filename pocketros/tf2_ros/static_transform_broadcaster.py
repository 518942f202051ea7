"""`StaticTransformBroadcaster` under its documented name."""

from tf2_ros.transform_broadcaster import StaticTransformBroadcaster as StaticTransformBroadcaster
