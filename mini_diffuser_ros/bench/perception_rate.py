"""How fast perception_node makes clouds of three 640x480 RGB-D cameras at 30 Hz.

A process of its own publishes pictures of the table-top, rgb8 and 16UC1 with noise and holes, under the names of
realsense2_camera; the cameras are a third of a period apart, as those without a trigger cable are. Stamps are the time
of publication. perception_node runs as its users run it; this process subscribes to the cloud and to /diagnostics.
``--alone`` times decoding and fusing the same images in one thread, without ROS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState, PointCloud2
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.resources import Reading, cpu_seconds
from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.messages import (
    color_from_image,
    depth_from_image,
    image_from_color,
    image_from_millimetres,
    info_from_intrinsics,
    seconds,
    transform_from_matrix,
)
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation import TabletopWorld

SIZE = (480, 640)
RATE, JOINT_RATE = 30.0, 50.0
DEPTH_NOISE = 0.002  # metres at a metre, growing with the square of the distance, as stereo cameras have it
HOLES = 0.02  # share of pixels without a measurement
WARM_UP = 5.0  # seconds, as long as the diagnostics look back
STARTS_WITHIN = 60.0


@dataclass(frozen=True, kw_only=True)
class PerceptionSetting:
    """How perception runs and for how long.

    Attributes:
        seconds: of measuring, after a warm-up.
        cores: that all processes share.
        max_rate: perception_node's parameter.
        alone: time the fusion without ROS.
        calls: with alone.
    """

    seconds: float = 20.0
    cores: int = at_least(1, 2)
    max_rate: float = 20.0
    alone: bool = False
    calls: int = at_least(1, 300)


@dataclass(frozen=True, eq=False)
class StillLife:
    """What the cameras see, and where the joints are."""

    views: tuple[CameraView, ...]
    depths: tuple[NDArray[np.uint16], ...]
    joints: dict[str, float]

    @classmethod
    def draw(cls, seed: int = 0) -> StillLife:
        world = TabletopWorld(renderer="rays", image_size=SIZE)
        world.reset("stack_blocks", seed)
        views, generator, depths = world.views(), np.random.default_rng(seed), []
        for view in views:
            depth = view.depth + generator.normal(0.0, DEPTH_NOISE, SIZE) * view.depth**2
            depth[generator.random(SIZE) < HOLES] = 0.0
            depths.append(np.rint(np.clip(depth, 0.0, 65.0) * 1000.0).astype(np.uint16))
        return cls(views, tuple(depths), world.joint_positions())


class StillCamera:
    """Publishes the same picture again and again, but for one byte of it: no sensor is without noise."""

    def __init__(self, node: Node, view: CameraView, depth: NDArray[np.uint16]) -> None:
        self._node, self._count = node, 0
        self.frame = f"{view.name}_color_optical_frame"
        header = Header(frame_id=self.frame)
        self._outputs = [
            (node.create_publisher(type(message), f"{view.name}/{topic}", qos_profile_sensor_data), message)
            for topic, message in (
                (INFO_TOPIC, info_from_intrinsics(view.intrinsics, SIZE, header)),
                (COLOR_TOPIC, image_from_color(view.color, header)),
                (DEPTH_TOPIC, image_from_millimetres(depth, header)),
            )
        ]

    def publish(self) -> None:
        stamp = self._node.get_clock().now().to_msg()
        for publisher, message in self._outputs:
            message.header.stamp = stamp
            if isinstance(message, Image):
                message.data[2 * (self._count % 10_000)] ^= 1
            publisher.publish(message)
        self._count += 1


def publish_cameras() -> None:
    """The camera process; ends with SIGINT."""
    scene = StillLife.draw()
    rclpy.init()
    node = rclpy.create_node("cameras")
    cameras = [StillCamera(node, view, depth) for view, depth in zip(scene.views, scene.depths, strict=True)]
    base = load_robot("panda").base_frame
    fixed = StaticTransformBroadcaster(node)
    fixed.sendTransform(
        [
            TransformStamped(
                header=Header(frame_id=base, stamp=node.get_clock().now().to_msg()),
                child_frame_id=camera.frame,
                transform=transform_from_matrix(view.base_from_camera),
            )
            for camera, view in zip(cameras, scene.views, strict=True)
        ]
    )
    joints = JointState(name=list(scene.joints), position=list(scene.joints.values()))
    joint_states = node.create_publisher(JointState, "joint_states", 10)
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())

    def publish_joints() -> None:
        joints.header.stamp = node.get_clock().now().to_msg()
        joint_states.publish(joints)

    # What is due when, how often it is repeated, and what it does.
    start = time.monotonic()
    agenda: list[tuple[float, float, Callable[[], None]]] = [(start, 1.0 / JOINT_RATE, publish_joints)]
    for number, camera in enumerate(cameras):
        agenda.append((start + number / RATE / len(cameras), 1.0 / RATE, camera.publish))
    while not ended.is_set():
        agenda.sort(key=lambda entry: entry[0])
        due, period, act = agenda[0]
        if ended.wait(max(0.0, due - time.monotonic())):
            break
        act()
        agenda[0] = (due + period, period, act)
    rclpy.shutdown()


class CloudListener:
    """Receives clouds and what the node says about itself."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ages: list[float] = []
        self.figures: list[dict[str, float]] = []
        self.problems: set[str] = set()
        node.create_subscription(PointCloud2, CLOUD_TOPIC, self._on_cloud, qos_profile_sensor_data)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def clear(self) -> None:
        self.ages, self.figures, self.problems = [], [], set()

    def _on_cloud(self, message: PointCloud2) -> None:
        self.ages.append(1e3 * (ros_seconds(self.node) - seconds(message.header.stamp)))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        figures: dict[str, float] = {}
        for status in message.status:
            if status.level != b"\0":
                self.problems.add(status.message)
            part = status.name.rsplit(": ", 1)[1]
            figures.update({f"{part}: {value.key}": float(value.value) for value in status.values})
        self.figures.append(figures)

    def spin(self, for_seconds: float) -> None:
        end = time.monotonic() + for_seconds
        while (left := end - time.monotonic()) > 0.0:
            rclpy.spin_once(self.node, timeout_sec=left)


def measure(setting: PerceptionSetting) -> dict[str, Any]:
    """Cameras, node and listener together."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setting.cores])
    rclpy.init()
    listener = CloudListener(rclpy.create_node("rate_listener"))
    node = [sys.executable, "-m", "mini_diffuser_ros.nodes.perception_node", "--ros-args"]
    node += ["-p", f"max_rate:={setting.max_rate}"]
    with (
        subprocess.Popen([sys.executable, "-m", "mini_diffuser_ros.bench.perception_rate"]) as cameras,
        subprocess.Popen(node, stderr=subprocess.DEVNULL) as perception,
    ):
        try:
            deadline = time.monotonic() + STARTS_WITHIN
            while not listener.ages and time.monotonic() < deadline:
                listener.spin(0.1)
            listener.spin(WARM_UP)
            listener.clear()
            processes = {"cameras": cameras.pid, "perception": perception.pid, "listener": os.getpid()}
            before, began = {name: cpu_seconds(pid) for name, pid in processes.items()}, time.monotonic()
            listener.spin(setting.seconds)
            span = time.monotonic() - began
            cpu = {name: round((cpu_seconds(pid) - before[name]) / span, 3) for name, pid in processes.items()}
        finally:
            for process in (cameras, perception):
                process.send_signal(signal.SIGINT)
    rclpy.shutdown()
    return report(listener, span, cpu)


def report(listener: CloudListener, span: float, cpu: dict[str, float]) -> dict[str, Any]:
    """What is printed."""
    ages = np.array(listener.ages or [np.nan])
    last, figures = (listener.figures[-1] if listener.figures else {}), listener.figures

    def largest(key: str) -> float:
        return max((one[key] for one in figures if key in one), default=float("nan"))

    def median(key: str) -> float:
        return round(float(np.median([one[key] for one in figures if key in one] or [np.nan])), 2)

    return {
        "config": "3 x 640x480 rgb8 + 16UC1 at 30 Hz",
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(span, 1),
        "clouds_per_s": round(len(listener.ages) / span, 2),
        "points": last.get("fusion: points"),
        "stamp_to_cloud_received_ms": {
            "p50": round(float(np.percentile(ages, 50)), 1),
            "p99": round(float(np.percentile(ages, 99)), 1),
            "max": round(float(ages.max()), 1),
        },
        "oldest_image_at_use_ms": {
            "p50": median("fusion: age of the oldest image at use p50 (ms)"),
            "max": largest("fusion: age of the oldest image at use max (ms)"),
        },
        "fusion_ms": {"p50": median("fusion: fusion p50 (ms)"), "p99": median("fusion: fusion p99 (ms)")},
        "fusion_cpu_ms": {"p50": median("fusion: fusion cpu p50 (ms)"), "p99": median("fusion: fusion cpu p99 (ms)")},
        "sets_dropped": last.get("fusion: sets dropped"),
        "images_per_s": {
            key.removesuffix(" rate (Hz)"): value for key, value in sorted(last.items()) if key.endswith("rate (Hz)")
        },
        "pairs_dropped_for_age": sum(value for key, value in last.items() if key.endswith("dropped for their age")),
        "cpu_per_s": cpu,
        "problems": sorted(listener.problems),
    }


def measure_alone(calls: int) -> dict[str, Any]:
    """Decoding and fusing in one thread."""
    scene, robot, config = StillLife.draw(), load_robot("panda"), FusionConfig()
    header = Header(frame_id="camera")
    images = [
        (view, image_from_color(view.color, header), image_from_millimetres(depth, header))
        for view, depth in zip(scene.views, scene.depths, strict=True)
    ]

    def fuse() -> int:
        views = [
            CameraView(v.name, color_from_image(c), depth_from_image(d), v.intrinsics, v.base_from_camera)
            for v, c, d in images
        ]
        return len(fuse_views(views, config, robot, scene.joints))

    points = fuse()
    readings = []
    for _ in range(calls):
        began = Reading.now()
        fuse()
        readings.append(Reading.now() - began)
    wall, cpu = (1e3 * np.array([getattr(each, name) for each in readings]) for name in ("wall_s", "cpu_s"))
    return {
        "config": "3 x 640x480 rgb8 + 16UC1, decode and fuse, one thread",
        "calls": calls,
        "points": points,
        "wall_ms": {"p50": round(float(np.median(wall)), 2), "p99": round(float(np.percentile(wall, 99)), 2)},
        "cpu_ms": {"p50": round(float(np.median(cpu)), 2), "p99": round(float(np.percentile(cpu, 99)), 2)},
        "per_s": round(1e3 / float(np.mean(wall)), 1),
    }


def measure_perception(settings: Sequence[PerceptionSetting]) -> Iterator[dict[str, Any]]:
    """A report of each run."""
    for setting in settings:
        yield measure_alone(setting.calls) if setting.alone else measure(setting)


BENCHMARK = Benchmark(PerceptionSetting, measure_perception, __doc__)

if __name__ == "__main__":
    publish_cameras()
