"""Others decode our bags by the definitions in them alone, and find what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TransformStamped
from mini_diffuser_msgs.msg import KeyframeMode, KeyframeModes, SpeedState
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Header, String
from tf2_msgs.msg import TFMessage

from mini_diffuser_ros.data.bags.mcap import DISTRIBUTION, Channel
from mini_diffuser_ros.data.bags.reader import about_bag
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.nodes.bags.message_types import definition_of, type_name
from mini_diffuser_ros.nodes.bags.offered_qos import offered_qos
from mini_diffuser_ros.nodes.ros.messages import cloud_to_message
from mini_diffuser_ros.records import Cloud

reader = pytest.importorskip("mcap.reader")
typesys = pytest.importorskip("rosbags.typesys")

HEADER = Header(frame_id="base")
MESSAGES = (
    String(data="press it"),
    Bool(data=True),
    JointState(header=HEADER, name=["a", "bb"], position=[0.5, -1.0], velocity=[], effort=[3.0, 4.0]),
    Image(header=HEADER, height=1, width=2, encoding="rgb8", step=6, data=np.arange(6, dtype=np.uint8)),
    CompressedImage(header=HEADER, format="jpeg", data=np.arange(7, dtype=np.uint8)),
    CameraInfo(height=3, width=4, distortion_model="plumb_bob", d=[0.1, 0.2], k=np.arange(9.0)),
    cloud_to_message(Cloud(np.ones((3, 3), np.float32), np.full((3, 3), 7, np.uint8), "base", 12.5)),
    TFMessage(transforms=[TransformStamped(child_frame_id="hand")] * 2),
    GoalStatusArray(status_list=[GoalStatus(status=4)]),
    DiagnosticArray(status=[DiagnosticStatus(level=DiagnosticStatus.WARN, values=[KeyValue(key="k", value="v")])]),
    SpeedState(),
    KeyframeModes(instruction="press it", modes=[KeyframeMode(share=0.25), KeyframeMode(terminate=True)], seed=-7),
)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "run.mcap"
    writer = BagWriter(path, {})
    for number, message in enumerate(MESSAGES):
        kind = type(message)
        channel = Channel(f"/topic_{number}", type_name(kind), definition_of(kind), "")
        writer.add(channel, serialize_message(message), number)
    writer.close()
    return path


def test_values_are_found_by_the_definitions_in_the_bag(bag: Path) -> None:
    with bag.open("rb") as stream:
        found = list(reader.make_reader(stream, validate_crcs=True).iter_messages())
    assert len(found) == len(MESSAGES)
    for (schema, channel, message), written in zip(found, MESSAGES, strict=True):
        store = typesys.get_typestore(typesys.Stores.EMPTY)
        store.register(typesys.get_types_from_msg(schema.data.decode(), schema.name))
        decoded: Any = store.deserialize_cdr(message.data, schema.name)
        # Whatever is left out, or taken for something of another size, is not in what comes of it.
        again = bytes(store.serialize_cdr(decoded, schema.name))
        assert again.ljust(len(message.data), b"\0") == message.data, channel.topic
        for name in ("data", "instruction", "seed", "distortion_model", "width", "name"):
            if hasattr(written, name):
                assert np.array_equal(getattr(decoded, name), getattr(written, name)), f"{schema.name}.{name}"


def test_what_is_said_of_a_file_is_told_by_its_summary(bag: Path) -> None:
    with bag.open("rb") as stream:
        summary = reader.make_reader(stream).get_summary()
        profile = reader.make_reader(stream).get_header().profile
    assert profile == "ros2"
    assert summary.statistics.message_count == len(MESSAGES)
    assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
    assert {channel.message_encoding for channel in summary.channels.values()} == {"cdr"}


@pytest.mark.parametrize("distribution", ["", "humble", "jazzy"])
def test_qos_is_read_by_rosbags_as_it_was(distribution: str) -> None:
    from rosbags.rosbag2.metadata import parse_qos

    latched = QoSProfile(depth=7, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    sensors = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    for qos in (latched, sensors):
        [found] = parse_qos(offered_qos(qos, distribution))
        assert (found.history.name, found.depth, found.liveliness.name) == ("KEEP_LAST", qos.depth, "AUTOMATIC")
        assert (found.reliability.name == "BEST_EFFORT") is (qos is sensors)
        assert (found.durability.name == "TRANSIENT_LOCAL") is (qos is latched)
    assert ("history: 1" in offered_qos(latched, distribution)) is (distribution == "humble")


def test_a_bag_for_an_old_distribution_says_of_which(tmp_path: Path) -> None:
    bag = BagWriter(tmp_path / "run.mcap", {DISTRIBUTION: "humble"})
    bag.close()
    with bag.path.open("rb") as stream:
        told = {one.name: one.metadata for one in reader.make_reader(stream).iter_metadata()}
    assert told["rosbag2"] == {"ROS_DISTRO": "humble"}
    assert about_bag(bag.path) == {DISTRIBUTION: "humble"}
