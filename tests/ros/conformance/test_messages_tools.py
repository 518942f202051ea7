"""message_filters, point clouds and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from message_filters import ApproximateTimeSynchronizer, Subscriber, TimeSynchronizer
from sensor_msgs.msg import Image, JointState, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from .conftest import Ros


def stamped(kind: type, seconds: float) -> Any:
    made = kind()
    made.header.stamp.sec = int(seconds)
    made.header.stamp.nanosec = round(seconds % 1 * 1e9)
    return made


def stamps_of(sets: list[tuple[Any, ...]]) -> list[tuple[float, ...]]:
    return [tuple(round(one.header.stamp.sec + one.header.stamp.nanosec * 1e-9, 3) for one in each) for each in sets]


@pytest.mark.parametrize(
    ("slop", "expected"), [(None, [(1.0, 1.0), (3.0, 3.0)]), (0.05, [(1.0, 1.0), (2.0, 2.04), (3.0, 3.0)])]
)
def test_messages_with_like_stamps_come_together(
    ros: Ros, slop: float | None, expected: list[tuple[float, ...]]
) -> None:
    node = ros.node("node")
    sources = [Subscriber(node, Image, "image", qos_profile=10), Subscriber(node, JointState, "joints")]
    together: list[tuple[Any, ...]] = []
    filtered = TimeSynchronizer(sources, 10) if slop is None else ApproximateTimeSynchronizer(sources, 10, slop)
    filtered.registerCallback(lambda *messages: together.append(messages))
    publishers = [node.create_publisher(Image, "image", 10), node.create_publisher(JointState, "joints", 10)]
    heard: list[list[Any]] = [[], []]
    for source, one in zip(sources, heard, strict=True):
        source.registerCallback(one.append)
    for seconds in ((1.0, 1.0), (2.0, 2.04), (3.0, 3.0)):
        for publisher, kind, at, one in zip(publishers, (Image, JointState), seconds, heard, strict=True):
            one.clear()
            ros.deliver(publisher, stamped(kind, at), one)
    ros.spin_until(lambda: together and stamps_of(together)[-1] == (3.0, 3.0))
    assert list(dict.fromkeys(stamps_of(together))) == expected


def test_clouds_are_written_and_read() -> None:
    points = np.array([[1.0, 2.0, 3.0], [np.nan, 5.0, 6.0]], np.float32)
    cloud = point_cloud2.create_cloud_xyz32(Header(frame_id="base"), points)
    assert (cloud.width, cloud.height, cloud.point_step, cloud.header.frame_id) == (2, 1, 12, "base")
    read = point_cloud2.read_points(cloud, field_names=("x", "z"))
    assert read["z"].tolist() == [3.0, 6.0]
    numbers = point_cloud2.read_points_numpy(cloud, field_names=["x", "y", "z"], skip_nans=True)
    np.testing.assert_array_equal(numbers, points[:1])


def test_clouds_may_have_fields_of_several_types() -> None:
    fields = [
        PointField(name=name, offset=offset, datatype=datatype, count=1)
        for name, offset, datatype in (
            ("x", 0, PointField.FLOAT32),
            ("y", 4, PointField.FLOAT32),
            ("z", 8, PointField.FLOAT32),
            ("rgb", 16, PointField.UINT32),
        )
    ]
    cloud = point_cloud2.create_cloud(Header(), fields, [(1.0, 2.0, 3.0, 0xFF8800), (4.0, 5.0, 6.0, 1)])
    assert isinstance(cloud, PointCloud2)
    assert cloud.point_step == 20
    read = point_cloud2.read_points(cloud)
    assert read["rgb"].tolist() == [0xFF8800, 1]
    assert read["y"].tolist() == [2.0, 5.0]


@pytest.fixture
def bridge() -> Any:
    """A bridge; genuine ones do not import with every numpy."""
    try:
        from cv_bridge import CvBridge
    except Exception as error:
        pytest.skip(f"cv_bridge does not import here: {error}")
    return CvBridge()


@pytest.mark.parametrize(
    ("encoding", "dtype", "shape"),
    [
        ("rgb8", np.uint8, (4, 6, 3)),
        ("mono8", np.uint8, (4, 6)),
        ("16UC1", np.uint16, (4, 6)),
        ("32FC1", np.float32, (4, 6)),
    ],
)
def test_images_go_to_arrays_and_back(bridge: Any, encoding: str, dtype: type, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    message = bridge.cv2_to_imgmsg(pixels, encoding=encoding)
    assert (message.height, message.width, message.encoding) == (4, 6, encoding)
    assert message.step == pixels.strides[0]
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, desired_encoding="passthrough"), pixels)


def test_colours_are_converted(bridge: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    message = bridge.cv2_to_imgmsg(pixels, encoding="rgb8")
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, desired_encoding="bgr8"), pixels[..., ::-1])


def test_what_cannot_be_converted_is_refused(bridge: Any) -> None:
    from cv_bridge import CvBridgeError

    depth = bridge.cv2_to_imgmsg(np.ones((4, 6), np.float32), encoding="32FC1")
    with pytest.raises(CvBridgeError):
        bridge.imgmsg_to_cv2(depth, desired_encoding="rgb8")
    with pytest.raises(CvBridgeError):
        bridge.cv2_to_imgmsg(np.ones((4, 6), np.float32), encoding="rgb8")
