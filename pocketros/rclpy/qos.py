"""Quality of service of topics and services."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any, ClassVar

from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos
from pocketros.interfaces.definitions import type_hash
from pocketros.wire.native import RemoteEndpoint

from rclpy.duration import Duration, Infinite


class QoSPolicyEnum(IntEnum):
    """Values of a policy, which command lines and files name by their short keys, such as `best_effort`."""

    @classmethod
    def short_keys(cls) -> list[str]:
        return [name.lower() for name in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> int:
        """The value of a short key.

        Raises:
            KeyError: there is none of that name.
        """
        return cls[name.upper()].value

    @property
    def short_key(self) -> str:
        return self.name.lower()


class HistoryPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT, KEEP_LAST, KEEP_ALL, UNKNOWN = range(4)


class ReliabilityPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT, RELIABLE, BEST_EFFORT, UNKNOWN = range(4)


class DurabilityPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT, TRANSIENT_LOCAL, VOLATILE, UNKNOWN = range(4)


class LivelinessPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT, AUTOMATIC, MANUAL_BY_TOPIC, UNKNOWN = 0, 1, 3, 4


QoSHistoryPolicy, QoSReliabilityPolicy = HistoryPolicy, ReliabilityPolicy
QoSDurabilityPolicy, QoSLivelinessPolicy = DurabilityPolicy, LivelinessPolicy


class QoSPolicyKind(IntEnum):
    INVALID, DURABILITY, DEADLINE, LIVELINESS, RELIABILITY, HISTORY, LIFESPAN = (1 << bit for bit in range(7))


def qos_policy_name_from_kind(policy_kind: QoSPolicyKind | int) -> str:
    """The name of a kind of policy."""
    return QoSPolicyKind(policy_kind).name


# Kinds of the policies that may be incompatible, by their DDS ids
INCOMPATIBLE_KINDS = {
    2: QoSPolicyKind.DURABILITY,
    4: QoSPolicyKind.DEADLINE,
    8: QoSPolicyKind.LIVELINESS,
    11: QoSPolicyKind.RELIABILITY,
}


class InvalidQoSProfileException(Exception):  # noqa: N818 - rclpy's name
    """A profile that contradicts itself."""

    def __init__(self, *args: object) -> None:
        super().__init__("Invalid QoSProfile", *args)


class QoSProfile:
    """A set of policies; zero durations mean the default of the middleware, which is infinite.

    Raises:
        InvalidQoSProfileException: neither history nor depth, or KEEP_LAST without depth.
        ValueError, TypeError: a value of a wrong kind.
    """

    history: HistoryPolicy
    depth: int
    reliability: ReliabilityPolicy
    durability: DurabilityPolicy
    liveliness: LivelinessPolicy
    deadline: Duration
    lifespan: Duration
    liveliness_lease_duration: Duration
    avoid_ros_namespace_conventions: bool

    _DEFAULTS: ClassVar[dict[str, Any]] = {
        "history": HistoryPolicy.KEEP_LAST,
        "depth": 0,
        "reliability": ReliabilityPolicy.RELIABLE,
        "durability": DurabilityPolicy.VOLATILE,
        "liveliness": LivelinessPolicy.SYSTEM_DEFAULT,
        **dict.fromkeys(("deadline", "lifespan", "liveliness_lease_duration"), Duration()),
        "avoid_ros_namespace_conventions": False,
    }

    def __init__(self, **policies: Any) -> None:
        if "depth" not in policies and policies.get("history", HistoryPolicy.KEEP_LAST) == HistoryPolicy.KEEP_LAST:
            raise InvalidQoSProfileException("History and/or depth settings are required; KEEP_LAST needs a depth.")
        for name, value in {**self._DEFAULTS, **policies}.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._DEFAULTS:
            raise AttributeError(f"QoSProfile has no policy '{name}'; it has {', '.join(self._DEFAULTS)}")
        kind = type(self._DEFAULTS[name])
        if issubclass(kind, IntEnum):
            value = kind(value)
        elif kind is not bool and (not isinstance(value, kind) or isinstance(value, bool)):
            raise TypeError(f"{name} must be of type {kind.__name__}, not {type(value).__name__}")
        elif name == "depth" and value < 0:
            raise ValueError(f"history depth must be greater than or equal to zero, not {value}")
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QoSProfile) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in vars(self).items())})"


def dds_qos(
    profile: QoSProfile, interface: str, is_writer: bool, identity: str = "", keep_all: bool | None = False
) -> Qos:
    """The DDS policies of a profile, with the USER_DATA of an endpoint of an interface.

    Args:
        keep_all: whatever the profile says of history: of a burst of calls all are answered, as with rmw_cyclonedds,
            since whoever calls waits for ever for an answer to a request that was dropped without a word.
    """

    def span(value: Duration) -> int:
        return dds_infinity if value in (Duration(), Infinite) else value.nanoseconds

    keep_all = keep_all or profile.history == HistoryPolicy.KEEP_ALL
    history = Policy.History.KeepAll if keep_all else Policy.History.KeepLast(max(profile.depth, 1))
    best_effort = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    manual = profile.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
    policies: list[Any] = [
        history,
        Policy.Reliability.BestEffort if best_effort else Policy.Reliability.Reliable(dds_infinity),
        Policy.Durability.TransientLocal if latched else Policy.Durability.Volatile,
        Policy.Deadline(span(profile.deadline)),
        (Policy.Liveliness.ManualByTopic if manual else Policy.Liveliness.Automatic)(
            span(profile.liveliness_lease_duration)
        ),
        Policy.Userdata(f"{identity}typehash={type_hash(interface)};".encode()),
    ]
    if is_writer:
        policies.append(Policy.Lifespan(span(profile.lifespan)))
    if latched:
        # What late joiners receive is governed by this policy, not by the history
        policies.append(Policy.DurabilityService(0, history, -1, -1, -1))
    return Qos(*policies)


def profile_of(endpoint: RemoteEndpoint) -> QoSProfile:
    """The profile of an endpoint anywhere in the domain, as far as it is told to others."""
    return QoSProfile(
        history=HistoryPolicy.UNKNOWN,
        reliability=ReliabilityPolicy.RELIABLE if endpoint.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if endpoint.latched else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC if endpoint.manual else LivelinessPolicy.AUTOMATIC,
        deadline=Duration(nanoseconds=endpoint.deadline),
        lifespan=Duration(nanoseconds=endpoint.lifespan),
        liveliness_lease_duration=Duration(nanoseconds=endpoint.lease),
    )


def profile_from(value: Any) -> QoSProfile:
    """A profile from what `create_publisher` and others accept: a profile, or a depth."""
    return value if isinstance(value, QoSProfile) else QoSProfile(depth=value)


qos_profile_default = qos_profile_services_default = QoSProfile(depth=10)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_parameters = qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_system_default = QoSProfile(depth=1, history=HistoryPolicy.SYSTEM_DEFAULT)
qos_profile_action_status_default = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
qos_profile_rosout_default = QoSProfile(
    depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL, lifespan=Duration(seconds=10)
)


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
        return [name.lower() for name in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        """The profile of a short key, such as `sensor_data`."""
        return cls[name.upper()].value
