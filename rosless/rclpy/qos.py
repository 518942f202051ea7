"""Quality of service of topics and services."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any

from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

from rclpy.duration import Duration, Infinite


class _PolicyEnum(IntEnum):
    @property
    def short_key(self) -> str:
        return self.name.lower()

    @classmethod
    def short_keys(cls) -> list[str]:
        return [member.short_key for member in cls if member.name not in ("UNKNOWN", "SYSTEM_DEFAULT")]

    @classmethod
    def get_from_short_key(cls, name: str) -> Any:
        return cls[name.upper()]


class HistoryPolicy(_PolicyEnum):
    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(_PolicyEnum):
    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3


class DurabilityPolicy(_PolicyEnum):
    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3


class LivelinessPolicy(_PolicyEnum):
    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4


QoSHistoryPolicy, QoSReliabilityPolicy = HistoryPolicy, ReliabilityPolicy
QoSDurabilityPolicy, QoSLivelinessPolicy = DurabilityPolicy, LivelinessPolicy


class InvalidQoSProfileException(Exception):  # noqa: N818 - rclpy's name
    """A profile that contradicts itself."""

    def __init__(self, *args: object) -> None:
        super().__init__("Invalid QoSProfile", *args)


class QoSProfile:
    """A set of policies; zero durations mean the default of the middleware, which is infinite."""

    __slots__ = ("_avoid_ros_namespace_conventions", "_deadline", "_depth", "_durability", "_history", "_lifespan",
                 "_liveliness", "_liveliness_lease_duration", "_reliability")

    def __init__(self, **policies: Any) -> None:
        unknown = sorted(set(policies) - {name[1:] for name in self.__slots__})
        if unknown:
            raise TypeError(f"Invalid arguments: {', '.join(unknown)}")
        if "history" not in policies:
            if "depth" not in policies:
                raise InvalidQoSProfileException("History and/or depth settings are required.")
            policies["history"] = HistoryPolicy.KEEP_LAST
        if policies["history"] == HistoryPolicy.KEEP_LAST and "depth" not in policies:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        self._history = HistoryPolicy(policies["history"])
        self.depth = policies.get("depth", 0)
        self._reliability = ReliabilityPolicy(policies.get("reliability", ReliabilityPolicy.RELIABLE))
        self._durability = DurabilityPolicy(policies.get("durability", DurabilityPolicy.VOLATILE))
        self._liveliness = LivelinessPolicy(policies.get("liveliness", LivelinessPolicy.SYSTEM_DEFAULT))
        for name in ("deadline", "lifespan", "liveliness_lease_duration"):
            setattr(self, name, policies.get(name, Duration()))
        self._avoid_ros_namespace_conventions = bool(policies.get("avoid_ros_namespace_conventions", False))

    @property
    def depth(self) -> int:
        return self._depth

    @depth.setter
    def depth(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"depth must be a non-negative int, not {value!r}")
        self._depth = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QoSProfile):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n[1:]}={getattr(self, n)}' for n in self.__slots__)})"

    def get_c_qos_profile(self) -> Any:
        raise AttributeError("rosless does not provide QoSProfile.get_c_qos_profile; it needs a genuine ROS 2")


def _policy_property(name: str, kind: Callable[[Any], Any]) -> property:
    def set_policy(profile: QoSProfile, value: Any) -> None:
        setattr(profile, f"_{name}", kind(value))

    return property(lambda profile: getattr(profile, f"_{name}"), set_policy)


def _duration(value: Any) -> Duration:
    if not isinstance(value, Duration):
        raise TypeError(f"expected an rclpy.duration.Duration, not {type(value).__name__}")
    return value


for _name, _kind in (("history", HistoryPolicy), ("reliability", ReliabilityPolicy), ("durability", DurabilityPolicy),
                     ("liveliness", LivelinessPolicy), ("deadline", _duration), ("lifespan", _duration),
                     ("liveliness_lease_duration", _duration), ("avoid_ros_namespace_conventions", bool)):
    setattr(QoSProfile, _name, _policy_property(_name, _kind))


def dds_qos(profile: QoSProfile, user_data: bytes, is_writer: bool) -> Qos:
    """The DDS policies of a profile."""
    def span(value: Duration) -> int:
        return dds_infinity if value in (Duration(), Infinite) else value.nanoseconds

    keep_all = profile.history == HistoryPolicy.KEEP_ALL
    history = Policy.History.KeepAll if keep_all else Policy.History.KeepLast(max(profile.depth, 1))
    best_effort = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    policies: list[Any] = [
        history,
        Policy.Reliability.BestEffort if best_effort else Policy.Reliability.Reliable(dds_infinity),
        Policy.Durability.Volatile,
        Policy.Deadline(span(profile.deadline)),
        Policy.Userdata(user_data),
    ]
    lease = span(profile.liveliness_lease_duration)
    manual = profile.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
    policies.append(Policy.Liveliness.ManualByTopic(lease) if manual else Policy.Liveliness.Automatic(lease))
    if is_writer:
        policies.append(Policy.Lifespan(span(profile.lifespan)))
    if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        policies[2] = Policy.Durability.TransientLocal
        # What late joiners receive is governed by this policy, not by the history
        policies.append(Policy.DurabilityService(0, history, -1, -1, -1))
    return Qos(*policies)


def profile_of(qos: Qos) -> QoSProfile:
    """The profile that DDS policies of a remote endpoint stand for (history is not told to others)."""
    return QoSProfile(
        history=HistoryPolicy.UNKNOWN,
        reliability=ReliabilityPolicy.BEST_EFFORT if Policy.Reliability.BestEffort in qos else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if Policy.Durability.TransientLocal in qos else DurabilityPolicy.VOLATILE,
    )


# DDS ids of the policies that may be incompatible
POLICY_NAMES = {2: "DURABILITY", 4: "DEADLINE", 8: "LIVELINESS", 11: "RELIABILITY", 23: "DATA_REPRESENTATION"}

qos_profile_default = QoSProfile(depth=10)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_system_default = QoSProfile(depth=1, history=HistoryPolicy.SYSTEM_DEFAULT)
qos_profile_action_status_default = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
qos_profile_rosout_default = QoSProfile(
    depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL, lifespan=Duration(seconds=10))


class QoSPresetProfiles(Enum):
    """The profiles of rmw."""

    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events
    ACTION_STATUS_DEFAULT = qos_profile_action_status_default

    @classmethod
    def short_keys(cls) -> list[str]:
        return [member.name.lower() for member in cls]

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        return cls[name.upper()].value


def profile_from(value: Any) -> QoSProfile:
    """A profile from what `create_publisher` and others accept: a profile, or a depth."""
    if isinstance(value, QoSProfile):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("history depth must be greater than or equal to zero")
        return QoSProfile(depth=value)
    raise TypeError(f"Expected QoSProfile or int, got {type(value).__name__}")
