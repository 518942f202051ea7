"""page_node hears what it cannot read: it says so in a line, goes on, and shows the next that it can."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose
from mini_diffuser_msgs.action import ExecuteInstruction
from mini_diffuser_msgs.msg import KeyframeMode, KeyframeModes, ModeSureness, MotionQuestion, SpeedState
from sensor_msgs.msg import Image, JointState, PointCloud2, PointField
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from mini_diffuser_ros.bench.open_pages import open_pages
from mini_diffuser_ros.nodes.ros.messages import cloud_to_message
from mini_diffuser_ros.records import Cloud

from .conftest import LATCHED, Peer, Process
from .live_page import shown

SPACE = "/odd"
CLOUD, PICTURE = f"{SPACE}/mini_diffuser/cloud", f"{SPACE}/front/color/image_raw"
HUGE = "<b>" + "x" * 1_000_000
NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Odd:
    """A message, and what is said of it: empty where all can be shown, nothing is to be, or the like was said."""

    topic: str
    message: Any
    said: str = ""


def cloud(**values: Any) -> PointCloud2:
    """That of four points, but for these values."""
    points = np.array([[0.4, 0.1, 0.2]] * 4, np.float32)
    message = cloud_to_message(Cloud(points, np.full((4, 3), 90, np.uint8), "panda_link0", 1.0))
    for name, value in values.items():
        setattr(message, name, value)
    return message


def picture(**values: Any) -> Image:
    """A small one, but for these values."""
    made = {"height": 8, "width": 8, "encoding": "rgb8", "step": 24, **values}
    data = made.pop("data", bytes(192))
    message = Image(**made)
    message.data = array("B", data)
    return message


def lines(*places: tuple[float, float, float]) -> MarkerArray:
    points = [Point(x=x, y=y, z=z) for x, y, z in places]
    return MarkerArray(markers=[Marker(type=Marker.LINE_STRIP, ns="arm", points=points)])


def mode(value: float) -> KeyframeMode:
    pose = Pose()
    pose.position.x = pose.orientation.x = pose.orientation.w = value
    return KeyframeMode(pose=pose, share=value, spread=value)


def feedback(**values: Any) -> Any:
    return ExecuteInstruction.Impl.FeedbackMessage(feedback=ExecuteInstruction.Feedback(**values))


def diagnostic(name: str, level: int = 0, **values: str) -> DiagnosticArray:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(status=[DiagnosticStatus(name=name, level=bytes([level]), message=HUGE, values=pairs)])


STRIPPED = [PointField(name=name, offset=0, datatype=PointField.FLOAT64, count=1) for name in "xy"]
LAST = 2**32 - 1
ODD = {
    "a cloud of more points than it holds": Odd(CLOUD, cloud(width=5), "point cloud of 5x1 points"),
    "a cloud of as many as there are numbers": Odd(CLOUD, cloud(width=LAST, height=LAST)),
    "a cloud without rows": Odd(CLOUD, cloud(row_step=0)),
    "a cloud of other fields": Odd(CLOUD, cloud(fields=STRIPPED), "without 32 bit fields x, y, z, rgb"),
    "a big-endian cloud": Odd(CLOUD, cloud(is_bigendian=True), "big-endian True"),
    "an empty cloud": Odd(CLOUD, PointCloud2()),
    "a picture of an encoding that nobody knows": Odd(PICTURE, picture(encoding=HUGE), "front/color/image_raw cannot"),
    "a picture that is cut short": Odd(PICTURE, picture(data=bytes(191)), "holds 191 bytes"),
    "a picture without pixels": Odd(PICTURE, picture(height=0, width=0, step=0, data=b"")),
    "a picture of one row": Odd(PICTURE, picture(height=1, width=90_000, step=270_000, data=bytes(270_000))),
    "a picture of one column": Odd(PICTURE, picture(height=90_000, width=1, step=3, data=bytes(270_000))),
    "a motion to nowhere": Odd(f"{SPACE}/mini_diffuser/planned", lines((NAN, 0.0, 0.0), (INF, 1e300, 0.0))),
    "a motion without points": Odd(f"{SPACE}/mini_diffuser/planned", lines()),
    "a motion of many points": Odd(
        f"{SPACE}/mini_diffuser/planned", lines(*[(0.0, 0.0, 0.1 * k) for k in range(9000)]), "9000 points"
    ),
    "joints without positions": Odd(
        f"{SPACE}/joint_states",
        JointState(name=["panda_joint1", HUGE], velocity=[1.0]),
        "joint state of 2 names, 0 positions and 1 velocities",
    ),
    "positions without joints": Odd(f"{SPACE}/joint_states", JointState(position=[1.0] * 90, velocity=[NAN] * 7)),
    "joints that are nowhere": Odd(
        f"{SPACE}/joint_states",
        JointState(name=[f"panda_joint{k}" for k in range(1, 8)], position=[NAN, INF, 1e308, -1e308, 0.0, 0.0, 0.0]),
    ),
    "a decision of no numbers": Odd(
        f"{SPACE}/mini_diffuser/modes",
        KeyframeModes(modes=[mode(NAN), mode(INF), mode(0.0)], familiarity=NAN, sureness=[ModeSureness(share=INF)]),
    ),
    "a decision of thousands": Odd(f"{SPACE}/mini_diffuser/modes", KeyframeModes(modes=[mode(0.1)] * 3000)),
    "a sentence without end": Odd(f"{SPACE}/mini_diffuser/active_instruction", String(data=HUGE)),
    "a question without end": Odd(f"{SPACE}/mini_diffuser/question", MotionQuestion(id=7, text=HUGE)),
    "a goal in a state that nobody knows": Odd(
        f"{SPACE}/mini_diffuser/execute/_action/status", GoalStatusArray(status_list=[GoalStatus(status=99)])
    ),
    "a phase that nobody knows": Odd(
        f"{SPACE}/mini_diffuser/execute/_action/feedback", feedback(phase=HUGE, message=HUGE, keyframe=2**31 - 1)
    ),
    "a motion of a candidate that there is not": Odd(
        f"{SPACE}/mini_diffuser/execute/_action/feedback", feedback(phase="moved", chosen=2**31 - 1, refusals=[HUGE])
    ),
    "a speed that is none": Odd(f"{SPACE}/mini_diffuser/speed_state", SpeedState(percent=NAN, reason=HUGE)),
    "a part in a state that nobody knows": Odd("/diagnostics", diagnostic("odd/motion_node: gripper", 255)),
    "a part of no node": Odd("/diagnostics", diagnostic(HUGE)),
    "a width without end": Odd("/diagnostics", diagnostic("odd/motion_node: gripper", **{"held (mm)": HUGE})),
}


@pytest.fixture(scope="module")
def page(start: Callable[..., Process]) -> Process:
    return start("page_node", namespace=SPACE, port=0)


@pytest.fixture(scope="module")
def address(page: Process, peer: Peer) -> str:
    return peer.await_that(lambda: re.search(r"the page: (\S+)", page.said()))[1]


@pytest.fixture(scope="module")
def publishers(peer: Peer, address: str) -> Iterator[dict[str, Any]]:
    """Of all topics, while a page is open and page_node hears them."""
    made = {one.topic: peer.node.create_publisher(type(one.message), one.topic, LATCHED) for one in ODD.values()}
    with open_pages(address, 1):
        peer.await_that(lambda: all(each.get_subscription_count() for each in made.values()))
        yield made


def test_what_cannot_be_read_is_said_once_and_the_page_goes_on(
    page: Process, peer: Peer, address: str, publishers: dict[str, Any]
) -> None:
    faults = {}
    for name, odd in ODD.items():
        for _ in range(3):
            publishers[odd.topic].publish(odd.message)
        if odd.said:
            faults[name] = odd.said
            peer.await_that(lambda odd=odd: odd.said in page.said())
        assert page.is_running(), name
    publishers[CLOUD].publish(cloud())
    publishers[PICTURE].publish(picture())

    def is_right() -> bool:
        _, parts = shown(address)
        told = parts.get("state", {}).get("arm", "")
        rights = parts.get("cloud", {}).get("count") == 4, parts.get("camera front", {}).get("width") == 8
        if not told.startswith("joints move at 0.50 rad/s"):
            publishers[f"{SPACE}/joint_states"].publish(
                JointState(name=["panda_joint1"], position=[0.0], velocity=[0.5])
            )
        return all(rights) and told.startswith("joints move at 0.50 rad/s")

    peer.await_that(is_right)
    size, parts = shown(address)
    assert size < 300_000  # whatever was said
    assert page.is_running()
    said = [line for line in page.said().splitlines() if "cannot be read" in line]
    assert len(said) == len(faults) == sum("cannot be read" in line for line in parts["state"]["lines"])
    assert all(len(line) < 600 for line in said)
    assert "Traceback" not in page.said()
