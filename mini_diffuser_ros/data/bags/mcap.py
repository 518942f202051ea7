"""The package mcap, imported when it is needed, and what files of it hold here."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from mini_diffuser_ros.data.errors import DataError

ABOUT = "mini_diffuser"
"""Name of the metadata record that says how a bag of ours was recorded."""

DISTRIBUTION = "ros_distribution"
"""Field of it: that of ROS 2 as whose bag rosbag2 takes it, where that makes a difference."""


@dataclass(frozen=True)
class Channel:
    """A topic of a bag.

    Attributes:
        topic: its name, absolute.
        type_name: of its messages, as ``sensor_msgs/msg/Image``.
        definition: of that type and of all that it is made of, as ``ros2msg`` of MCAP has it.
        qos: ``offered_qos_profiles`` of rosbag2, YAML.
    """

    topic: str
    type_name: str
    definition: str
    qos: str


def require_mcap() -> ModuleType:
    """The module mcap, with ``writer`` and ``stream_reader``.

    Raises:
        DataError: if it is not installed.
    """
    try:
        import mcap
        import mcap.exceptions
        import mcap.records
        import mcap.stream_reader
        import mcap.writer
    except ImportError as error:
        raise DataError(f"bags need mcap ({error}): pip install 'mini_diffuser_ros[bag]'") from error
    return mcap  # type: ignore[no-any-return, unused-ignore]
