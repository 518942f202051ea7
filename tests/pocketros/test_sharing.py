"""Large samples of topics on which samples may be lost pass through memory, whole or not at all."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
import rclpy.entities
from hypothesis import given
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2

from pocketros.errors import PocketrosError
from pocketros.interfaces.codec import encode, encode_in_parts
from pocketros.wire import shared_memory, sharing
from pocketros.wire.session import Reader
from pocketros.wire.shared_memory import MOST, Inbox, Outbox, Place, PlaceError

PATIENCE = 60.0  # seconds, on a machine that does other things
LARGE = 300_000  # bytes
RELIABLE = QoSProfile(depth=5)
# Images whose pixels all have the same value, one more each time, until it is told to end
SOURCE = """
import rclpy, sys
from array import array
from collections import deque
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

rclpy.init()
node = Node("source")
publisher, sent = node.create_publisher(Image, "image", qos_profile_sensor_data), [0]

def publish():
    sent[0] = sent[0] % 255 + 1
    publisher.publish(Image(width=sent[0], data=array("B", bytes([sent[0]]) * 300_000)))

node.create_timer(0.02, publish)
rclpy.spin(node)
"""
SINK = """
import rclpy, sys
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

def heard(image):
    print(image.width, len(image.data), len(set(image.data)), flush=True)

rclpy.init()
node = Node("sink")
node.create_subscription(Image, "image", heard, qos_profile_sensor_data)
rclpy.spin(node)
"""


class Side:
    """A participant with a node."""

    def __init__(self, domain_id: int, name: str) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context, domain_id=domain_id)
        self.node = Node(name, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def until(self, condition: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> None:
        """Spins until something is true, doing something before each turn."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            before()
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def sides(domain_id: int) -> Iterator[tuple[Side, Side]]:
    """One that publishes and one that listens."""
    made = Side(domain_id, "source"), Side(domain_id, "sink")
    yield made
    for one in made:
        one.close()


@pytest.fixture
def process(domain_id: int) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes of nodes, which end with the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(program: str, **environment: str) -> subprocess.Popen[str]:
        known = {**os.environ, "ROS_DOMAIN_ID": str(domain_id), **environment}
        words = [sys.executable, "-c", program]
        begun.append(subprocess.Popen(words, env=known, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()
        one.communicate(timeout=PATIENCE)


def shared_memories(pid: int | str = "self") -> int:
    """How many memories of writers a process has open or mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return sum("/memfd:pocketros" in line for line in lines)


def image(value: int, size: int = LARGE) -> Image:
    return Image(width=value, data=array("B", bytes([value]) * size))


def test_large_samples_pass_through_memory_whole_and_in_order(sides: tuple[Side, Side]) -> None:
    source, sink = sides
    heard: list[Image] = []
    publisher = source.node.create_publisher(Image, "image", qos_profile_sensor_data)
    sink.node.create_subscription(Image, "image", heard.append, qos_profile_sensor_data)
    before, values = shared_memories(), iter(range(1, 1000))
    sink.until(lambda: shared_memories() > before + 1, lambda: publisher.publish(image(next(values) % 256)))
    heard.clear()
    for value, size in enumerate((LARGE, LARGE + 7, 2 * LARGE, 70_000, 3 * LARGE + 1), start=1):
        publisher.publish(image(value, size))
        sink.until(lambda value=value: heard and heard[-1].width == value)  # type: ignore[misc]
        assert heard[-1] == image(value, size)


@pytest.mark.process
def test_a_sample_larger_than_the_buffer_of_a_socket_arrives(
    sides: tuple[Side, Side], process: Callable[..., subprocess.Popen[str]]
) -> None:
    _, sink = sides
    heard: list[Image] = []
    sink.node.create_subscription(Image, "image", heard.append, qos_profile_sensor_data)
    process(SOURCE.replace("300_000", "16_000_000").replace("0.02", "0.5"))
    sink.until(lambda: len(heard) > 3)
    assert all(one == image(one.width, 16_000_000) for one in heard)


def test_small_samples_and_those_of_reliable_topics_are_sent(sides: tuple[Side, Side]) -> None:
    source, sink = sides
    before = shared_memories()
    for topic, qos, size in (("small", qos_profile_sensor_data, 1000), ("reliable", RELIABLE, LARGE)):
        heard: list[Image] = []
        publisher = source.node.create_publisher(Image, topic, qos)
        sink.node.create_subscription(Image, topic, heard.append, qos)
        turns = iter(range(1, 1000))
        sink.until(lambda heard=heard: len(heard) > 20, lambda: publisher.publish(image(next(turns) % 256, size)))  # type: ignore[misc] # noqa: B023
    assert shared_memories() == before


@pytest.mark.process
def test_a_reader_that_knows_nothing_of_memory_gets_samples_beside_one_that_does(
    sides: tuple[Side, Side], process: Callable[..., subprocess.Popen[str]]
) -> None:
    source, sink = sides
    heard: list[Image] = []
    publisher = source.node.create_publisher(Image, "image", qos_profile_sensor_data)
    sink.node.create_subscription(Image, "image", heard.append, qos_profile_sensor_data)
    before, turns = shared_memories(), iter(range(1, 10**6))
    sink.until(lambda: shared_memories() > before + 1, lambda: publisher.publish(image(next(turns) % 255 + 1)))
    plain = process(SINK, POCKETROS_SHARED_MEMORY="0")
    told: list[str] = []
    listening = threading.Thread(target=lambda: told.extend(iter(plain.stdout.readline, "")))  # type: ignore[union-attr]
    listening.start()
    sink.until(lambda: len(told) > 5, lambda: publisher.publish(image(next(turns) % 255 + 1)))
    assert {line.split()[1:] == [str(LARGE), "1"] for line in told} == {True}
    assert shared_memories(plain.pid) == 0
    heard.clear()
    sink.until(lambda: len(heard) > 5, lambda: publisher.publish(image(next(turns) % 255 + 1)))
    plain.kill()
    listening.join(PATIENCE)


@pytest.mark.process
def test_of_a_killed_writer_nothing_is_left_and_the_next_one_is_heard(
    sides: tuple[Side, Side], process: Callable[..., subprocess.Popen[str]]
) -> None:
    _, sink = sides
    heard: list[Image] = []
    before = shared_memories()
    sink.node.create_subscription(Image, "image", heard.append, qos_profile_sensor_data)
    first = process(SOURCE)
    sink.until(lambda: shared_memories() > before)
    first.send_signal(signal.SIGKILL)
    first.wait(PATIENCE)
    process(SOURCE)
    heard.clear()
    sink.until(lambda: len(heard) > 5 and shared_memories() == before + 1)  # once DDS knows that the first one is gone
    assert all(one == image(one.width) for one in heard)


def test_a_reader_that_cannot_look_gets_the_samples_themselves(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *_: Any) -> int:
        raise PermissionError(path)

    source, sink = sides
    heard: list[Image] = []
    publisher = source.node.create_publisher(Image, "image", qos_profile_sensor_data)
    sink.node.create_subscription(Image, "image", heard.append, qos_profile_sensor_data)
    monkeypatch.setattr(shared_memory.os, "readlink", refuse)
    before, turns = shared_memories(), iter(range(1, 10**6))
    sink.until(lambda: shared_memories() > before, lambda: publisher.publish(image(next(turns) % 255 + 1)))
    heard.clear()
    sink.until(lambda: len(heard) > 5, lambda: publisher.publish(image(next(turns) % 255 + 1)))
    assert all(one == image(one.width) for one in heard)


def test_a_writer_that_can_be_looked_into_does_not_hide_one_that_cannot(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, refused = os.readlink, set[str]()

    def refuse_the_first(path: str, *_: Any) -> str:
        if str(path).startswith("/proc/") and refused <= {path}:
            refused.add(path)
            raise PermissionError(path)
        return known(path)

    source, sink = sides
    heard: list[int] = []
    first, second = (source.node.create_publisher(Image, "image", qos_profile_sensor_data) for _ in range(2))
    sink.node.create_subscription(Image, "image", lambda one: heard.append(one.width), qos_profile_sensor_data)
    monkeypatch.setattr(shared_memory.os, "readlink", refuse_the_first)

    def publish() -> None:
        first.publish(image(1))
        second.publish(image(2))

    sink.until(lambda: refused, publish)
    heard.clear()
    sink.until(lambda: {1, 2} <= set(heard), publish)


@pytest.mark.parametrize("depth", [1, 5])
def test_a_subscriber_that_decodes_slower_than_samples_are_kept_is_not_left_without(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    source, sink = sides
    qos, heard, values = QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT), [], iter(range(1, 10**6))
    publisher = source.node.create_publisher(Image, "image", qos)
    sink.node.create_subscription(Image, "image", heard.append, qos)
    before, known = shared_memories(), rclpy.entities.decode

    def publish() -> None:
        publisher.publish(image(next(values) % 255 + 1))

    def decode_meanwhile(msg_type: type, *data: Any) -> Any:
        for _ in range(3 * depth + 3 if msg_type is Image else 0):
            publish()
        return known(msg_type, *data)

    sink.until(lambda: shared_memories() > before + 1, publish)
    monkeypatch.setattr(rclpy.entities, "decode", decode_meanwhile)
    heard.clear()
    sink.until(lambda: len(heard) > 3, publish)
    assert all(one == image(one.width) for one in heard)


def test_samples_of_one_writer_keep_their_order_whatever_their_sizes(sides: tuple[Side, Side]) -> None:
    source, sink = sides
    qos, heard = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT), []
    publisher = source.node.create_publisher(Image, "image", qos)
    gate = source.node.create_publisher(Image, "gate", RELIABLE)
    sink.node.create_subscription(Image, "image", lambda one: heard.append(one.width), qos)
    before = shared_memories()
    sink.until(lambda: shared_memories() > before + 1, lambda: publisher.publish(image(0)))

    busy, opened = threading.Event(), threading.Event()

    def wait(_: Any) -> None:
        busy.set()
        opened.wait(PATIENCE)

    session, policies = sink.node.context.session, gate._endpoint.entity.get_qos()
    Reader(session, gate._endpoint.topic_name, gate._endpoint.type_name, policies, on_sample=wait)
    sink.until(busy.is_set, lambda: gate.publish(image(0, 10)))
    heard.clear()
    for value in range(1, 13):
        publisher.publish(image(value, (LARGE, 100, 60_000)[value % 3]))
    opened.set()
    sink.until(lambda: 12 in heard and 11 in heard)
    assert [value for value in heard if value] == sorted(value for value in heard if value)


def test_a_writer_closed_while_it_publishes_for_the_first_time_leaves_nothing(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = sides
    publisher, opens, closing = (
        source.node.create_publisher(Image, "image", qos_profile_sensor_data),
        sharing.Writer,
        [],
    )

    def close_meanwhile(*names: Any) -> Any:
        closing.append(threading.Thread(target=publisher._endpoint.close))
        closing[0].start()
        closing[0].join(1.0)  # which ends, unless it waits for what is being opened
        return opens(*names)

    before = set(source.node.context.session._own) - {publisher._endpoint}
    monkeypatch.setattr(sharing, "Writer", close_meanwhile)
    with pytest.raises(PocketrosError, match="is closed"):
        publisher.publish(image(1))
    closing[0].join(PATIENCE)
    assert set(source.node.context.session._own) == before


def test_a_sample_is_whole_or_known_to_be_lost() -> None:
    outbox, inbox, size, lost, whole = Outbox(1), Inbox(), 100_000, 0, 0
    newest: deque[Place] = deque(maxlen=8)  # more than are kept
    ended = threading.Event()

    def write() -> None:
        value = 0
        while not ended.is_set():
            value = value % 255 + 1
            place = outbox.put([memoryview(bytes([value]) * size)], size)
            assert place is not None
            newest.append(place)

    writing = threading.Thread(target=write)
    writing.start()
    deadline = time.monotonic() + PATIENCE
    while (whole < 100 or lost < 20) and time.monotonic() < deadline:
        place = next(iter(tuple(newest)[-1 - lost % 8 :]), None)
        shown = inbox.get(place, 1) if place is not None else None
        copied = b"" if shown is None else bytes(shown.data)
        if place is None or shown is None or int(shown.number[0]) != place.number:
            lost += 1
        else:
            whole += 1
            assert copied == copied[:1] * size
    ended.set()
    writing.join(PATIENCE)
    outbox.close()
    assert whole >= 100


def foreign(kind: str, place: Place, path: Path) -> Place:
    """The place of a sample in what is no memory of a writer, or not the one that was told of."""
    if kind == "beyond the end":
        return place._replace(offset=place.offset + 64 * 10**9)
    if kind == "another size":
        return place._replace(size=2**63)
    if kind == "another place":
        return place._replace(offset=place.offset + 8)
    if kind == "no such process":
        return place._replace(process=2**31)
    if kind == "another memory":
        return place._replace(memory=bytes(16))
    if kind == "a file":
        return place._replace(file=os.open(path, os.O_RDONLY))
    may_shrink = os.memfd_create("pocketros")
    os.ftruncate(may_shrink, 10**6)
    os.pwrite(may_shrink, place.memory, 0)
    return place._replace(file=may_shrink)


@pytest.mark.parametrize(
    "kind",
    ["beyond the end", "another size", "another place", "no such process", "another memory", "a file", "may shrink"],
)
def test_what_is_no_memory_of_a_writer_is_not_looked_into(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10**6))
    outbox = Outbox(5)
    place = outbox.put([memoryview(bytes(1000))], 1000)
    assert place is not None
    told = foreign(kind, place, tmp_path / "file")
    with pytest.raises(PlaceError):
        Inbox().get(told, 1)
    if told.file != place.file:
        os.close(told.file)
    outbox.close()


def test_memory_can_only_be_sealed_against_shrinking() -> None:
    outbox = Outbox(2)
    place = outbox.put([memoryview(bytes(1000))], 1000)
    assert place is not None
    with pytest.raises(PermissionError):
        os.ftruncate(place.file, 64)
    assert fcntl.fcntl(place.file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SEAL
    outbox.close()


def test_what_is_larger_than_all_memory_is_not_shared_nor_what_comes_after_it() -> None:
    outbox = Outbox(5)
    assert outbox.put([], MOST) is None
    assert outbox.put([memoryview(bytes(1000))], 1000) is None  # else each large one would take the memory of this away


@given(st.binary())
def test_what_is_no_place_is_refused(sample: bytes) -> None:
    with pytest.raises(PlaceError):
        Place.decoded(sample)


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4),
)
def test_places_come_back_from_samples(memory: bytes, process: int, file: int, numbers: list[int]) -> None:
    place = Place(memory, process, file, *numbers)
    assert Place.decoded(place.encoded()) == place


@given(size=st.integers(2**16 - 9, 2**16 + 40), name=st.text(max_size=9), count=st.integers(0, 3))
def test_parts_joined_are_what_is_encoded_at_once(size: int, name: str, count: int) -> None:
    name = name.replace("\0", "")
    bytes_of = array("B", bytes(range(256)) * (size // 256 + 1))[:size]
    numbers = array("d", [float(value) for value in range(size // 8 + count)])
    for message in (
        Image(encoding=name, data=bytes_of),
        PointCloud2(data=bytes_of, is_dense=True),
        JointState(name=[name] * count, position=numbers, velocity=numbers[:count], effort=numbers),
        CameraInfo(distortion_model=name, d=numbers),
    ):
        whole, parts = encode(type(message), message), encode_in_parts(type(message), message)
        assert parts.joined() == whole
        assert b"".join(parts.pieces()) == whole
        assert parts.size == len(whole)


@pytest.mark.process
def test_the_doctor_takes_no_memory_for_a_participant(
    domain_id: int, sides: tuple[Side, Side], process: Callable[..., subprocess.Popen[str]]
) -> None:
    _, sink = sides
    before = shared_memories()
    sink.node.create_subscription(Image, "image", lambda _: None, qos_profile_sensor_data)
    process(SOURCE)
    sink.until(lambda: shared_memories() > before)
    words = [sys.executable, "-m", "pocketros.commands.main", "doctor", "--spin-time", "2", "--timeout", "0.5"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    told = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=environment).stdout
    assert "/source " in told
    assert "names no node" not in told


def test_files_and_threads_are_given_back(domain_id: int) -> None:
    def once() -> None:
        source, sink = Side(domain_id, "source"), Side(domain_id, "sink")
        publisher = source.node.create_publisher(Image, "image", qos_profile_sensor_data)
        sink.node.create_subscription(Image, "image", lambda _: None, qos_profile_sensor_data)
        before, turns = shared_memories(), iter(range(1, 10**6))
        sink.until(lambda: shared_memories() > before + 1, lambda: publisher.publish(image(next(turns) % 255 + 1)))
        source.close()
        sink.close()
        gc.collect()

    once()
    before = shared_memories(), len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(3):
        once()
    assert (shared_memories(), len(os.listdir("/proc/self/fd")), threading.active_count()) == before
