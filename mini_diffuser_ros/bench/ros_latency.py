"""How old is an image when it reaches a callback in another process, and what does an idle node cost?

Another process publishes images of 640 by 480 pixels in rgb8 at 30 Hz with sensor-data QoS; their age is the time from
the stamp, set right before `publish`, to the callback, which gets the whole message. After that a node with nothing but
a timer of 10 Hz runs for some seconds. Exit code 1 if the median age is above the limit, if more than 5 % of the images
are lost, or if the idle node takes more than 5 % of a core. Of ROS it uses nothing but rclpy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.resources import Reading

TOPIC, RATE, HEIGHT, WIDTH = "latency_image", 30.0, 480, 640
WARM_UP = 30  # images
PATIENCE = 60.0  # seconds
MOST_LOST, MOST_IDLE_LOAD = 0.05, 0.05


@dataclass(frozen=True, kw_only=True)
class LatencySetting:
    """How much to measure, and what passes.

    Attributes:
        count: images.
        idle_s: seconds of the idle node.
        limit_ms: of the median age.
    """

    count: int = at_least(1, 300)
    idle_s: float = 20.0
    limit_ms: float = 3.0


def publish() -> None:
    """The process that publishes; tells its CPU time per image at the end."""
    rclpy.init()
    node = Node("latency_source")
    publisher = node.create_publisher(Image, TOPIC, qos_profile_sensor_data)
    image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    image.data = array("B", np.random.default_rng(0).bytes(3 * HEIGHT * WIDTH))
    start, sent = Reading.now().cpu_s, 0

    def tick() -> None:
        nonlocal sent
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        publisher.publish(image)
        sent += 1

    node.create_timer(1.0 / RATE, tick)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        sys.stdout.write(json.dumps(1e3 * (Reading.now().cpu_s - start) / max(sent, 1)) + "\n")
    node.destroy_node()
    rclpy.try_shutdown()


def ages(count: int) -> tuple[list[float], float]:
    """Ages of images in milliseconds, and the CPU time in milliseconds that receiving one takes."""
    node, executor = Node("latency_sink"), SingleThreadedExecutor()
    executor.add_node(node)
    found: list[float] = []

    def heard(image: Image) -> None:
        found.append((time.time_ns() - image.header.stamp.sec * 10**9 - image.header.stamp.nanosec) / 1e6)

    node.create_subscription(Image, TOPIC, heard, qos_profile_sensor_data)
    deadline = time.monotonic() + PATIENCE
    while len(found) < WARM_UP and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    found.clear()
    start, deadline = Reading.now().cpu_s, time.monotonic() + count / RATE
    with tqdm(total=count, unit="image", disable=None) as progress:
        while time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
            progress.update(len(found) - progress.n)
    cpu = 1e3 * (Reading.now().cpu_s - start) / max(len(found), 1)
    executor.shutdown()
    node.destroy_node()
    return found, cpu


def idle_load(seconds: float) -> float:
    """The part of a core that a node with a timer of 10 Hz takes."""
    node, executor = Node("latency_idle"), SingleThreadedExecutor()
    executor.add_node(node)
    node.create_timer(0.1, lambda: None)
    for _ in range(10):
        executor.spin_once(timeout_sec=0.1)
    start, end = Reading.now().cpu_s, time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=1.0)
    load = (Reading.now().cpu_s - start) / seconds
    executor.shutdown()
    node.destroy_node()
    return load


def measure_latency(settings: Sequence[LatencySetting]) -> Iterator[dict[str, Any]]:
    """Measure and judge."""
    for setting in settings:
        yield _report(setting)


def _report(setting: LatencySetting) -> dict[str, Any]:
    rclpy.init(args=[])
    words = [sys.executable, "-m", "mini_diffuser_ros.bench.ros_latency"]
    source = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        found, cpu = ages(setting.count)
    finally:
        source.terminate()
        told = source.communicate(timeout=PATIENCE)[0]
    load = idle_load(setting.idle_s)
    rclpy.try_shutdown()
    p50, p90, p99 = np.percentile(found, (50, 90, 99)) if found else (np.inf,) * 3
    lost = 1.0 - len(found) / setting.count
    passed = bool(p50 <= setting.limit_ms and lost <= MOST_LOST and load <= MOST_IDLE_LOAD)
    row = {"images": len(found), "passed": passed, "lost": round(max(lost, 0.0), 4)}
    row |= {"p50_ms": round(float(p50), 3), "p90_ms": round(float(p90), 3), "p99_ms": round(float(p99), 3)}
    row |= {"publish_cpu_ms": round(json.loads(told or "0"), 3), "receive_cpu_ms": round(cpu, 3)}
    return row | {"idle_cores": round(load, 4)}


BENCHMARK = Benchmark(LatencySetting, measure_latency, __doc__)

if __name__ == "__main__":
    publish()
