"""What is read of a bag is what was written into it, or one line says why it is not."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String

from mini_diffuser_ros.data.bags.definitions import added_fields, fields_of, same_layout
from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.reader import MOST_BYTES, BagMessage, about_bag, bag_files, bags_in, read_bag
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.nodes.bags.message_types import definition_of, message_of, type_name

writer = pytest.importorskip("mcap.writer")


def channel_of(topic: str, kind: type) -> Channel:
    return Channel(topic, type_name(kind), definition_of(kind), "")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[BagMessage]]:
    """A bag in two chunks, and its messages."""
    path = tmp_path_factory.mktemp("bag") / "run.mcap"
    noise = np.random.default_rng(0)
    sent = []
    bag = BagWriter(path, {"cameras": "front"})
    for number in range(40):
        words = String(data=f"press button {number}")
        picture = Image(height=8, width=8, encoding="mono8", step=8, data=noise.integers(0, 255, 64, np.uint8))
        for topic, message in (("/said", words), ("/seen", picture)):
            one = BagMessage(channel_of(topic, type(message)), serialize_message(message), 10**18 + number)
            sent.append(one)
            bag.add(one.channel, one.data, one.stamp)
        if number == 20:
            bag.flush()
    bag.close()
    return path, sent


def test_messages_come_as_they_were_written(bag: tuple[Path, list[BagMessage]]) -> None:
    path, sent = bag
    assert list(read_bag(path)) == sent
    assert list(read_bag(path, {"/said"})) == sent[::2]
    assert message_of(sent[-2]) == String(data="press button 39")
    assert message_of(sent[-1]).width == 8
    assert about_bag(path) == {"cameras": "front"}


def read_or_refused(path: Path) -> tuple[list[BagMessage] | None, str]:
    """The messages of a bag, or None and why not."""
    try:
        return list(read_bag(path)), ""
    except DataError as error:
        return None, str(error)


def test_damaged_bags_are_refused_or_hold_the_same(bag: tuple[Path, list[BagMessage]], tmp_path: Path) -> None:
    path, sent = bag
    whole, random, damaged = path.read_bytes(), Random(0), tmp_path / "damaged.mcap"
    refused = 0
    for _ in range(300):
        data, at = bytearray(whole), random.randrange(len(whole))
        length = min(random.choice((1, 1, 8, 200)), len(data) - at)
        act = random.randrange(4)
        if act == 0:
            data[at] ^= 1 << random.randrange(8)
        elif act == 1:
            data[at : at + length] = bytes(length)
        elif act == 2:
            data[at : at + length] = random.randbytes(length)
        else:
            del data[at:]
        damaged.write_bytes(data)
        found, problem = read_or_refused(damaged)
        assert found == sent or (found is None and problem.startswith(f"{damaged}: ") and "\n" not in problem)
        refused += found is None
    assert refused > 150  # the rest hit the index at the end, which nobody reads


def test_a_bag_that_was_cut_off_is_read_as_far_as_its_chunks_are_whole(
    bag: tuple[Path, list[BagMessage]], tmp_path: Path
) -> None:
    path, sent = bag
    cut = tmp_path / "cut.mcap"
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) * 2 // 3):
        cut.write_bytes(whole[:size])
        with pytest.raises(DataError, match="is cut off: it ends within a record"):
            list(read_bag(cut))
        assert about_bag(cut) in ({}, {"cameras": "front"})
        taken = list(read_bag(cut, cut_off=True))
        assert taken in ([], sent[:42], sent)
    assert taken != []


def test_what_is_no_bag_is_one_line(tmp_path: Path) -> None:
    for content in (b"PK\x03\x04" + bytes(100), b"SQLite format 3\x00" * 10):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(DataError, match="no MCAP file"):
            list(read_bag(tmp_path / "file"))
    with pytest.raises(DataError, match="No such file"):
        list(read_bag(tmp_path / "none.mcap"))
    with pytest.raises(DataError, match=r"ros2 bag convert"):
        bag_files(tmp_path)


@pytest.mark.parametrize("compression", ["", "lz4", "zstd"])
def test_a_small_file_cannot_claim_much_memory(compression: str, tmp_path: Path) -> None:
    """A chunk of zeros that says less than it inflates to, and one that says more than is allowed."""
    import lz4.frame
    import zstandard

    zeros = bytes(2**22)
    packed = {"": zeros, "lz4": lz4.frame.compress(zeros), "zstd": zstandard.compress(zeros)}[compression]
    for claimed in (1000, MOST_BYTES + 1):
        name = compression.encode()
        body = struct.pack("<QQQII", 0, 0, claimed, 0, len(name)) + name + struct.pack("<Q", len(packed)) + packed
        magic = b"\x89MCAP0\r\n"
        header = struct.pack("<BQII", 1, 8, 0, 0)
        (tmp_path / "bomb.mcap").write_bytes(magic + header + struct.pack("<BQ", 6, len(body)) + body)
        with pytest.raises(DataError, match=r"damaged: (a chunk|claims)"):
            list(read_bag(tmp_path / "bomb.mcap"))


@pytest.mark.parametrize("error", [-30, -1, 1, 10**6, 2**60])
def test_without_checksums_lengths_that_do_not_fit_are_refused(error: int, tmp_path: Path) -> None:
    """Of one of two messages in a chunk; rosbag2 writes no checksums unless it is told to."""
    path = tmp_path / "plain.mcap"
    with path.open("wb") as stream:
        plain = writer.Writer(stream, compression=writer.CompressionType.NONE, enable_crcs=False)
        plain.start("ros2", "")
        schema = plain.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
        channel = plain.register_channel("/said", "cdr", schema)
        for words in (b"said first", b"said then"):
            plain.add_message(channel, 0, words, 0)
        plain.finish()
    assert [message.data for message in read_bag(path)] == [b"said first", b"said then"]
    content = path.read_bytes()
    length = struct.pack("<BQ", 5, 22 + len(b"said first"))
    assert content.count(length) == 1
    path.write_bytes(content.replace(length, struct.pack("<BQ", 5, 22 + len(b"said first") + error)))
    with pytest.raises(DataError, match="damaged"):
        list(read_bag(path))


def test_bags_of_rosbag2_come_in_their_order(bag: tuple[Path, list[BagMessage]], tmp_path: Path) -> None:
    for name in ("run_10.mcap", "run_9.mcap", "run_0.mcap"):
        (tmp_path / name).write_bytes(bag[0].read_bytes())
    assert [file.name for file in bag_files(tmp_path)] == ["run_0.mcap", "run_9.mcap", "run_10.mcap"]
    assert len(list(read_bag(tmp_path))) == 3 * len(bag[1])


def test_files_of_a_folder_are_one_bag_only_if_one_recorder_split_it(
    bag: tuple[Path, list[BagMessage]], tmp_path: Path
) -> None:
    other = tmp_path / "other.mcap"
    BagWriter(other, {}).close()

    def folder(name: str, source: Path, *files: str) -> Path:
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_bytes(source.read_bytes())
        return tmp_path / name

    split = folder("split", other, "run_0.mcap", "run_1.mcap")
    assert bags_in(split) == [split]
    copied = folder("copied", other, "mug_0.mcap", "cup_0.mcap")
    assert bags_in(copied) == [copied / "cup_0.mcap", copied / "mug_0.mcap"]
    (copied / "metadata.yaml").touch()
    assert bags_in(copied) == [copied]
    ours = folder("ours", bag[0], "run_10.mcap", "run_9.mcap")
    (ours / "metadata.yaml").touch()  # of an index that somebody made
    assert bags_in(ours) == [ours / "run_9.mcap", ours / "run_10.mcap"]
    assert bags_in(other) == [other]


def test_topics_that_are_not_of_ros_2_are_named_if_they_are_wanted(tmp_path: Path) -> None:
    with (tmp_path / "other.mcap").open("wb") as stream:
        other = writer.Writer(stream)
        other.start("", "")
        schema = other.register_schema("Said", "jsonschema", b"{}")
        other.add_message(other.register_channel("/said", "json", schema), 0, b"{}", 0)
        other.finish()
    assert list(read_bag(tmp_path / "other.mcap")) == []
    assert about_bag(tmp_path / "other.mcap") == {}
    with pytest.raises(DataError, match="/said holds json by jsonschema"):
        list(read_bag(tmp_path / "other.mcap", {"/said"}))


FOREIGN = """# as rosbag2 writes it
std_msgs/Header header   # when
uint32 height
uint32 width

PointField[] fields
bool    is_bigendian # byte order
uint32  point_step
uint32  row_step
uint8[] data
bool is_dense
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
================================================================================
MSG: sensor_msgs/PointField
uint8 INT8    = 1
uint8 FLOAT64=8
string name
uint32 offset
uint8  datatype
uint32 count
"""


def test_definitions_are_compared_by_what_they_lay_out() -> None:
    name = "sensor_msgs/msg/PointCloud2"
    ours = fields_of(definition_of(PointCloud2), name)
    assert same_layout(fields_of(FOREIGN, name), ours, name)
    for old, new in (("uint32 offset", "uint64 offset"), ("bool is_dense\n", ""), ("int32 sec", "uint32 sec")):
        assert not same_layout(fields_of(FOREIGN.replace(old, new), name), ours, name)


@pytest.mark.parametrize(
    ("recorded", "here", "added"),
    [
        ("int8 a\nT b\n", "int8 a\nT b\nfloat32 c\nT[] d\nuint8[<=3] e\n", ("c", "d", "e")),
        ("int8 a\n", "int8 a\n", ()),
        ("int8 a\n", "float32 b\nint8 a\n", None),
        ("int8 a\n", "int8 a\nstring b\n", None),
        ("int8 a\n", "int8 a\nfloat32[2] b\n", None),
        ("int8 a\n", "int8 a\nT b\n", None),
        ("int8 a\nint8 b\n", "int8 a\n", None),
        ("", "int8 a\n", None),  # what has no field takes a byte all the same
        ("T a\n", "T a\nint8 b\nSECOND", None),
    ],
)
def test_fields_may_have_come_at_the_end_since(recorded: str, here: str, added: tuple[str, ...] | None) -> None:
    inner = f"{'=' * 80}\nMSG: p/T\nint8 x\n"
    grown = f"{'=' * 80}\nMSG: p/T\nint8 x\nint8 y\n"
    now = here.replace("SECOND", grown) if "SECOND" in here else here + inner
    assert added_fields(fields_of(recorded + inner, "p/msg/A"), fields_of(now, "p/msg/A"), "p/msg/A") == added


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (Channel("/a", "no_such_msgs/msg/Thing", "string data\n", ""), "not installed"),
        (Channel("/a", "nonsense", "string data\n", ""), "not installed"),
        (Channel("/a", "std_msgs/msg/String", "string data\nstring more\n", ""), "had other fields"),
        (Channel("/a", "std_msgs/msg/String", "what?\n", ""), "not understood"),
        (Channel("/a", "std_msgs/msg/String", "string data\n", ""), "holds bytes that are no"),
    ],
)
def test_messages_that_are_not_what_is_installed_are_refused_by_topic(channel: Channel, words: str) -> None:
    with pytest.raises(DataError, match=f"^/a.*{words}"):
        message_of(BagMessage(channel, b"\x00\x01\x00\x00\xff\xff\xff\xff", 0))


@given(st.text(max_size=300))
def test_any_text_is_a_definition_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert "a_msgs/A" in fields_of(text, "a_msgs/msg/A")
