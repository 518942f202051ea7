"""How old is an image when it reaches a callback in another process, and what does an idle node cost?

    python benchmarks/ros_latency.py [--count 300] [--limit-ms 3.0]

Another process publishes images of 640 by 480 pixels in rgb8 at 30 Hz with sensor-data QoS; their age is the time from
the stamp, set right before `publish`, to the callback, which gets the whole message. After that a node with nothing but
a timer of 10 Hz runs for some seconds. Prints one JSON object; ends with 1 if the median age is above the limit, if
more than 5 % of the images are lost, or if the idle node takes more than 5 % of a core. Uses nothing but rclpy.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from tqdm import tqdm

TOPIC, RATE, HEIGHT, WIDTH = "latency_image", 30.0, 480, 640
WARM_UP = 30  # images
PATIENCE = 60.0  # seconds
MOST_LOST, MOST_IDLE_LOAD = 0.05, 0.05


def cpu_seconds() -> float:
    """What the process used up so far, with all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def publish() -> int:
    """The process that publishes; tells its CPU time per image at the end."""
    rclpy.init()
    node = Node("latency_source")
    publisher = node.create_publisher(Image, TOPIC, qos_profile_sensor_data)
    image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    image.data = array("B", np.random.default_rng(0).bytes(3 * HEIGHT * WIDTH))
    start, sent = cpu_seconds(), 0

    def tick() -> None:
        nonlocal sent
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        publisher.publish(image)
        sent += 1

    node.create_timer(1.0 / RATE, tick)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        sys.stdout.write(json.dumps(1e3 * (cpu_seconds() - start) / max(sent, 1)) + "\n")
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


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
    start, deadline = cpu_seconds(), time.monotonic() + count / RATE
    with tqdm(total=count, unit="image", disable=None) as progress:
        while time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
            progress.update(len(found) - progress.n)
    cpu = 1e3 * (cpu_seconds() - start) / max(len(found), 1)
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
    start, end = cpu_seconds(), time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=1.0)
    load = (cpu_seconds() - start) / seconds
    executor.shutdown()
    node.destroy_node()
    return load


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=300, help="images (default: %(default)s)")
    parser.add_argument("--idle-s", type=float, default=20.0, help="seconds of the idle node (default: %(default)s)")
    parser.add_argument("--limit-ms", type=float, default=3.0, help="of the median age (default: %(default)s)")
    parser.add_argument("--publish", action="store_true", help="be the process that publishes")
    options = parser.parse_args(arguments)
    if options.publish:
        return publish()
    rclpy.init(args=[])
    source = subprocess.Popen([sys.executable, __file__, "--publish"], stdout=subprocess.PIPE, text=True)
    try:
        found, cpu = ages(options.count)
    finally:
        source.terminate()
        told = source.communicate(timeout=PATIENCE)[0]
    load = idle_load(options.idle_s)
    rclpy.try_shutdown()
    p50, p90, p99 = np.percentile(found, (50, 90, 99)) if found else (np.inf,) * 3
    lost = 1.0 - len(found) / options.count
    passed = bool(p50 <= options.limit_ms and lost <= MOST_LOST and load <= MOST_IDLE_LOAD)
    row = {"images": len(found), "passed": passed, "lost": round(max(lost, 0.0), 4)}
    row |= {"p50_ms": round(float(p50), 3), "p90_ms": round(float(p90), 3), "p99_ms": round(float(p99), 3)}
    row |= {"publish_cpu_ms": round(json.loads(told or "0"), 3), "receive_cpu_ms": round(cpu, 3)}
    row |= {"idle_cores": round(load, 4)}
    sys.stdout.write(json.dumps(row) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
