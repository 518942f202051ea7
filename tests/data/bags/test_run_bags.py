"""A run's bag is what came, in order, whole at its end and readable without one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mini_diffuser_msgs.msg import KeyframeMode, KeyframeModes
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import String

from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.reader import read_bag
from mini_diffuser_ros.data.bags.run_bags import Received, RunBags
from mini_diffuser_ros.nodes.bags.message_types import definition_of, type_name

mcap = pytest.importorskip("mcap.stream_reader")


def channel(topic: str, kind: type) -> Channel:
    return Channel(topic, type_name(kind), definition_of(kind), "")


def messages(path: Path) -> list[tuple[str, bytes]]:
    """Topic and bytes of all messages, as the package mcap reads them, checksums verified."""
    topics: dict[int, str] = {}
    found = []
    with path.open("rb") as stream:
        for record in mcap.StreamReader(stream, validate_crcs=True).records:
            if type(record).__name__ == "Channel":
                topics[record.id] = record.topic
            elif type(record).__name__ == "Message":
                found.append((topics[record.channel_id], bytes(record.data)))
    return found


def test_a_bag_holds_states_of_before_the_lead_and_the_run_and_nothing_of_later(tmp_path: Path) -> None:
    lines: list[str] = []
    bags = RunBags(tmp_path, {"cameras": "front"}, 0.0, 10**6, lines.append)
    text, modes = channel("/text", String), channel("/modes", KeyframeModes)
    second = 10**9

    def say(words: str, at: int, state: bool = False) -> bytes:
        data = serialize_message(String(data=words))
        bags.take(Received(text, data, at * second, state))
        return data

    state = say("state", 1, state=True)
    say("long ago", 2)
    lead = say("just before", 9)
    newer = say("newer state", 10, state=True)
    bags.begin("press_it")
    decided = KeyframeModes(instruction="press it", modes=[KeyframeMode(share=0.25)], seed=7, samples=64, steps=10)
    bags.take(Received(modes, serialize_message(decided), 11 * second))
    bags.end()
    bags.close(10.0)
    [path] = tmp_path.glob("*_press_it.mcap")
    assert "wrote" in lines[0]
    found = messages(path)
    assert found[:3] == [("/text", state), ("/text", lead), ("/text", newer)]  # in the order in which they came
    assert [topic for topic, _ in found[3:]] == ["/modes"]
    assert deserialize_message(found[3][1], KeyframeModes) == decided


def test_what_has_been_flushed_outlives_whoever_writes(tmp_path: Path) -> None:
    bags = RunBags(tmp_path, {}, 0.0, 10**6, lambda _: None)
    bags.begin("press_it")
    data = serialize_message(String(data="press it"))
    bags.take(Received(channel("/text", String), data, 1))
    deadline = time.monotonic() + 60.0
    found: list[bytes] = []
    while not found and time.monotonic() < deadline:  # what a kill would leave behind now
        found = [one.data for path in tmp_path.glob("*.mcap") for one in read_bag(path, cut_off=True)]
    assert found == [data]
    bags.close(10.0)


def test_what_does_not_fit_into_memory_is_dropped_and_said_and_small_messages_last_longer(tmp_path: Path) -> None:
    bags = RunBags(tmp_path, {}, 0.0, 1000, lambda _: None)
    bags.take(Received(channel("/image", String), bytes(100_000), 1))
    bags.take(Received(channel("/text", String), serialize_message(String(data="kept")), 2))
    assert bags.health().values["dropped"] == 1.0
    assert "1 of /image" in bags.health().message
    bags.close(10.0)


def test_a_folder_that_cannot_be_made_is_one_line_of_health(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bags = RunBags(tmp_path / "file" / "bags", {}, 0.0, 1000, lambda _: None)
    bags.begin("press_it")
    bags.close(10.0)
    assert "the run is not recorded" in bags.health().message
