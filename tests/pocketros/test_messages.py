"""Message classes and their encoding, against the codec of rosbags."""

from __future__ import annotations

import contextlib
import copy
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from pocketros.errors import CodecError, InterfaceError
from pocketros.interfaces.codec import decode, encode
from pocketros.interfaces.definitions import FieldType, definition, names_in, rosbags_definitions, type_hash
from pocketros.interfaces.messages import interface_class, message_class

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = (
    "std_msgs/msg/String",
    "std_msgs/msg/Empty",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/JointState",
    "sensor_msgs/msg/PointCloud2",
    "diagnostic_msgs/msg/DiagnosticArray",
    "visualization_msgs/msg/Marker",
    "trajectory_msgs/msg/MultiDOFJointTrajectory",
    "rcl_interfaces/msg/ParameterEvent",
    "tf2_msgs/msg/TFMessage",
)
INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}


def values_of(kind: FieldType) -> st.SearchStrategy[Any]:
    """Values that a field of a type takes."""
    if kind.shape != "scalar":
        least = kind.size if kind.shape == "array" else 0
        most = kind.size if kind.size else 3
        return st.lists(values_of(kind.element), min_size=least, max_size=most)
    if kind.is_message:
        return messages_of(kind.base)
    if kind.base in INTEGERS or kind.base == "char":
        sign, bits = INTEGERS.get(kind.base, ("u", 8))
        return st.integers(0, 2**bits - 1) if sign else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if kind.base.startswith("float"):
        return st.floats(width=int(kind.base[5:]), allow_nan=False)
    text = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
    return {"bool": st.booleans(), "byte": st.binary(min_size=1, max_size=1)}.get(kind.base, text)


def messages_of(name: str) -> st.SearchStrategy[Any]:
    """Messages of a type."""
    fields = {field.name: values_of(field.type) for field in definition(name).fields}
    return st.fixed_dictionaries(fields).map(lambda values: message_class(name)(**values))


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_rosbags_reads_what_is_encoded_and_the_other_way_round(name: str, data: st.DataObject) -> None:
    message = data.draw(messages_of(name))
    kind = type(message)
    encoded = bytes(encode(kind, message))
    assert decode(kind, encoded) == message
    theirs = bytes(STORE.serialize_cdr(STORE.deserialize_cdr(encoded, name), name))
    assert encoded[: len(theirs)] == theirs
    assert decode(kind, theirs + bytes(-len(theirs) % 4)) == message


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truncated_and_garbled_bytes_are_refused_or_decoded_but_never_crash(data: st.DataObject) -> None:
    message = data.draw(messages_of("sensor_msgs/msg/JointState"))
    kind = type(message)
    encoded = bytearray(encode(kind, message))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        decode(kind, bytes(encoded[: data.draw(st.integers(0, len(encoded)))]))


def test_every_message_of_rosbags_has_a_class_and_a_codec() -> None:
    for name in rosbags_definitions():
        message = message_class(name)()
        kind = type(message)
        assert decode(kind, bytes(encode(kind, message))) == message


@pytest.mark.parametrize("name", ["std_msgs/msg/String", "sensor_msgs/msg/Image", "tf2_msgs/msg/TFMessage"])
def test_type_hashes_are_those_of_ros(name: str) -> None:
    assert type_hash(name) == STORE.hash_rihs01(name)


def test_the_hash_of_string_is_the_one_that_jazzy_announces() -> None:
    expected = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
    assert type_hash("std_msgs/msg/String") == expected


def test_defaults_constants_and_field_types() -> None:
    from diagnostic_msgs.msg import DiagnosticStatus
    from geometry_msgs.msg import Pose
    from sensor_msgs.msg import CameraInfo

    assert Pose().orientation.w == 1.0
    assert DiagnosticStatus.ERROR == b"\x02"
    assert CameraInfo().k.dtype == np.float64
    assert CameraInfo.get_fields_and_field_types()["k"] == "double[9]"
    assert Pose() == Pose()
    assert copy.deepcopy(Pose()) == Pose()


def test_numbers_are_taken_from_arrays_bytes_and_lists() -> None:
    from sensor_msgs.msg import Image, JointState

    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    for given_data in (pixels, pixels.tobytes(), array("B", pixels.tobytes()), list(range(12))):
        assert Image(data=given_data).data == array("B", range(12))
    assert JointState(position=np.array([1.0, 2.0])).position == array("d", [1.0, 2.0])


@pytest.mark.parametrize(
    ("name", "values", "field"),
    [
        ("std_msgs/msg/String", {"data": 5}, "data"),
        ("std_msgs/msg/Float64", {"data": 1}, "data"),
        ("sensor_msgs/msg/Image", {"height": -1}, "height"),
        ("sensor_msgs/msg/Image", {"data": np.zeros(3)}, "data"),
        ("sensor_msgs/msg/Image", {"colour": "red"}, "colour"),
        ("sensor_msgs/msg/CameraInfo", {"k": [1.0, 2.0]}, "k"),
        ("sensor_msgs/msg/JointState", {"name": ["a", 1]}, "name"),
        ("geometry_msgs/msg/PoseStamped", {"pose": "here"}, "pose"),
    ],
)
def test_wrong_values_are_refused_with_the_name_of_the_field(name: str, values: dict[str, Any], field: str) -> None:
    with pytest.raises(AssertionError, match=field):
        message_class(name)(**values)


def test_services_and_actions_have_their_parts() -> None:
    from control_msgs.action import FollowJointTrajectory
    from std_srvs.srv import Trigger

    assert Trigger.Response(success=True).success
    assert FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED == -4
    assert FollowJointTrajectory.Impl.FeedbackMessage().feedback == FollowJointTrajectory.Feedback()
    assert "FollowJointTrajectory" in names_in("control_msgs", "action")


def test_unknown_interfaces_are_named() -> None:
    with pytest.raises(InterfaceError, match="std_msgs/msg/Strong"):
        interface_class("std_msgs/msg/Strong")
    with pytest.raises(ImportError):
        from std_msgs.msg import Strong  # noqa: F401
