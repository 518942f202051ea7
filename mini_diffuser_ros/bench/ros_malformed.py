"""Send malformed, truncated and random payloads to a node: does it refuse them and live on?

Another process runs a node with a subscription, a service and an action server. This one joins its domain with a
publisher, a client and an action client, asks the graph for their DDS identities, and sends RTPS packets over UDP in
their names, as a foreign participant with a broken serialisation would: no writer checks what is in them. Every 50th
payload is a valid one, to see that the stream reaches the node. At the end a new publisher, client and action client
are served as if nothing had happened. Exit code 1 if the node died or serves no longer. Uses
rclpy and plain sockets; the ports are those of DDS on this machine's loopback interface.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from control_msgs.action import GripperCommand
from rcl_interfaces.srv import GetParameters
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least

TOPIC, SERVICE, ACTION, REPORT = "malformed_topic", "malformed_service", "malformed_action", "malformed_report"
PROBE_EVERY, PAUSE = 50, 0.02
PATIENCE = 60.0  # seconds
HEADER = b"\x00\x01\x00\x00"  # plain CDR, little endian
KNOWN_HEADERS = (b"\x00\x00", b"\x00\x01")
PROBE = "probe"


@dataclass(frozen=True, kw_only=True)
class MalformedSetting:
    """What is sent.

    Attributes:
        count: payloads.
        seed: of the payloads.
    """

    count: int = at_least(1, 10_000)
    seed: int = at_least(0, 0)


def run_node() -> None:
    """The node that has to live on; tells what it served in the reply of a service."""
    rclpy.init()
    node = Node("malformed_target")
    sys.stdout.write("joined\n")
    sys.stdout.flush()
    served = {"topic": 0, "service": 0, "action": 0}

    def count(kind: str, answer: Any = None) -> Any:
        served[kind] += 1
        return answer

    def execute(goal: Any) -> GripperCommand.Result:
        goal.succeed()
        return count("action", GripperCommand.Result(reached_goal=True))

    def report(request: Any, response: Any) -> Any:
        response.success, response.message = True, json.dumps(served)
        return response

    node.create_subscription(String, TOPIC, lambda message: message.data == PROBE and count("topic"), 1000)
    node.create_service(GetParameters, SERVICE, lambda request, response: count("service", response))
    node.create_service(Trigger, REPORT, report)
    server = ActionServer(node, GripperCommand, ACTION, execute)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        server.destroy()
    node.destroy_node()
    rclpy.try_shutdown()


@dataclass
class Stream:
    """What one writer is made to send: its identity and a valid payload."""

    gid: bytes
    valid: Callable[[], bytes]
    number: int = 1
    probes: int = 0

    def packet(self, payload: bytes) -> bytes:
        """An RTPS message with one DATA submessage for every reader of the writer."""
        payload += bytes(-len(payload) % 4)
        # DDS drops a packet whose payload has no known header, and waits for another with its number
        self.number += payload[:2] in KNOWN_HEADERS
        body = struct.pack("<HHI", 0, 16, 0) + self.gid[12:16] + struct.pack("<iI", 0, self.number) + payload
        return b"RTPS\x02\x01\x01\x10" + self.gid[:12] + struct.pack("<BBH", 0x15, 0x05, len(body)) + body


def string(text: bytes) -> bytes:
    """CDR of a string, with what aligns the next one."""
    return struct.pack("<I", len(text) + 1) + text + b"\0" + bytes(-(len(text) + 1) % 4)


def request(body: bytes) -> bytes:
    """CDR of a request with the identity of a call."""
    return HEADER + struct.pack("<Qq", random.getrandbits(63), 1) + body


def malformed(valid: bytes, dice: random.Random) -> bytes:
    """A valid payload with something wrong, or something else altogether."""
    data = bytearray(valid)
    kind = dice.randrange(6)
    if kind == 0:
        return bytes(data[: dice.randrange(len(data))])
    if kind == 1:
        return dice.randbytes(dice.randrange(0, 200))
    if kind == 2:
        return HEADER + dice.randbytes(dice.randrange(0, 200))
    if kind == 3:  # a length, or a number, of absurd size
        position = 4 * dice.randrange(1, len(data) // 4)
        data[position : position + 4] = struct.pack("<I", dice.choice((2**32 - 1, 2**31, 2**24, len(data), 0)))
    elif kind == 4:
        data[:4] = struct.pack(">HH", dice.randrange(16), dice.randrange(4))
    else:
        for _ in range(dice.randrange(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


class Foreigner:
    """The node in whose name the packets are sent."""

    def __init__(self) -> None:
        self.node = Node("malformed_source")
        self.clients: list[Any] = []

    def wait(self, ready: Callable[[], Any], what: str) -> Any:
        """Spins until something is there."""
        deadline = time.monotonic() + PATIENCE
        while not (value := ready()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} within {PATIENCE:.0f} s")
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return value

    def result(self, future: Any, what: str) -> Any:
        """The result of a future."""
        self.wait(future.done, what)
        return future.result()

    def use(self) -> None:
        """One message, one call and one goal over new endpoints, all of which must be served."""
        before = self.report()
        publisher = self.node.create_publisher(String, TOPIC, 10)
        client = self.node.create_client(GetParameters, SERVICE)
        action = ActionClient(self.node, GripperCommand, ACTION)
        self.clients += [publisher, client, action]
        self.wait(publisher.get_subscription_count, "a subscription")
        self.wait(client.service_is_ready, "the service")
        self.wait(action.server_is_ready, "the action server")
        publisher.publish(String(data=PROBE))
        self.result(client.call_async(GetParameters.Request(names=["a"])), "a reply")
        goal = self.result(action.send_goal_async(GripperCommand.Goal()), "an answer to a goal")
        self.result(goal.get_result_async(), "the result of a goal")
        self.wait(lambda: self.report()["topic"] > before["topic"], "a message")

    def report(self) -> dict[str, int]:
        """What the node served so far."""
        client = self.node.create_client(Trigger, REPORT)
        self.wait(client.service_is_ready, "the service that reports")
        counts: dict[str, int] = json.loads(self.result(client.call_async(Trigger.Request()), "a report").message)
        self.node.destroy_client(client)
        return counts

    def streams(self, dice: random.Random) -> dict[str, Stream]:
        """The writers of this node, by what they write to."""

        def gid(topic: str) -> bytes:
            def own() -> list[bytes]:
                found = self.node.get_publishers_info_by_topic(topic, no_mangle=True)
                return [bytes(one.endpoint_gid[:16]) for one in found if one.node_name == self.node.get_name()]

            return bytes(self.wait(own, f"the writer of {topic}")[0])

        goal = struct.pack("<dd", 0.02, 1.0)
        return {
            "topic": Stream(gid(f"rt/{TOPIC}"), lambda: HEADER + string(PROBE.encode())),
            "service": Stream(
                gid(f"rq/{SERVICE}Request"), lambda: request(struct.pack("<I", 2) + string(b"a") + string(b"bc"))
            ),
            "action": Stream(gid(f"rq/{ACTION}/_action/send_goalRequest"), lambda: request(dice.randbytes(16) + goal)),
        }


def send(streams: dict[str, Stream], count: int, domain_id: int, dice: random.Random) -> None:
    """Sends malformed payloads to the first participant of a domain, and a valid one now and then."""
    address = ("127.0.0.1", 7400 + 250 * domain_id + 11)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in tqdm(range(count), unit="payload", disable=None):
            stream = list(streams.values())[number % len(streams)]
            is_probe = number // len(streams) % PROBE_EVERY == 0
            stream.probes += is_probe
            packet = stream.packet(stream.valid() if is_probe else malformed(stream.valid(), dice))
            sender.sendto(packet, address)
            if number % PROBE_EVERY == 0:
                time.sleep(PAUSE)


def measure_malformed(settings: Sequence[MalformedSetting]) -> Iterator[dict[str, Any]]:
    """Send the payloads and say what became of the node."""
    for setting in settings:
        yield _report(setting)


def _report(setting: MalformedSetting) -> dict[str, Any]:
    # A domain that nobody else is likely to be in: the payloads go to the port of its first participant.
    dice, domain_id = random.Random(setting.seed), random.SystemRandom().randrange(215, 232)
    os.environ["ROS_DOMAIN_ID"] = str(domain_id)
    row: dict[str, Any] = {"payloads": setting.count, "passed": False}
    words = [sys.executable, "-m", "mini_diffuser_ros.bench.ros_malformed"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        target = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
        target.stdout.readline()  # type: ignore[union-attr] # it joins first, so that its port is known
        rclpy.init(args=[])
        foreigner = Foreigner()
        try:
            foreigner.use()
            streams, start = foreigner.streams(dice), foreigner.report()
            send(streams, setting.count, domain_id, dice)
            row["probes_sent"] = {kind: stream.probes for kind, stream in streams.items()}
            row["probes_served"] = {kind: count - start[kind] for kind, count in foreigner.report().items()}
            foreigner.use()
            # Malformed ones may be valid by chance; a packet lost on the way holds up what comes after
            reached = all(row["probes_served"][kind] >= sent / 2 for kind, sent in row["probes_sent"].items())
            row["passed"] = reached and target.poll() is None
        except TimeoutError as error:
            row["missing"] = str(error)
        finally:
            row["node"] = "lives" if target.poll() is None else f"ended with {target.returncode}"
            target.terminate()
            row["exit_code"] = target.wait(PATIENCE)
            log.seek(0)
            lines = log.read().splitlines()
            row["log_lines"] = len(lines)
            row["log_lines_of_the_node"] = sum("[malformed_target]" in line for line in lines)
            foreigner.node.destroy_node()
            rclpy.try_shutdown()
    return row


BENCHMARK = Benchmark(MalformedSetting, measure_malformed, __doc__)

if __name__ == "__main__":
    run_node()
