"""cv_bridge, point_cloud2 and message_filters."""

from __future__ import annotations

import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from hypothesis import given
from hypothesis import strategies as st
from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer
from sensor_msgs.msg import CompressedImage, Image, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

BRIDGE = CvBridge()


@pytest.mark.parametrize(
    ("encoding", "shape", "dtype"),
    [
        ("rgb8", (3, 4, 3), np.uint8), ("bgra8", (3, 4, 4), np.uint8), ("mono8", (3, 4), np.uint8),
        ("16UC1", (3, 4), np.uint16), ("32FC1", (3, 4), np.float32),
    ],
)  # fmt: skip
def test_images_come_back_as_they_went(encoding: str, shape: tuple[int, ...], dtype: type) -> None:
    pixels = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    message = BRIDGE.cv2_to_imgmsg(pixels, encoding)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), pixels)


def test_colours_are_converted() -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    message = BRIDGE.cv2_to_imgmsg(rgb, "rgb8")
    assert BRIDGE.imgmsg_to_cv2(message, "bgr8").tolist() == [[[0, 0, 255], [0, 255, 0]]]
    assert BRIDGE.imgmsg_to_cv2(message, "rgba8").tolist() == [[[255, 0, 0, 255], [0, 255, 0, 255]]]
    assert BRIDGE.imgmsg_to_cv2(message, "mono8").tolist() == [[76, 150]]


def test_padded_rows_and_big_endian_depth_are_read() -> None:
    padded = Image(height=2, width=1, encoding="mono8", step=4, data=[1, 0, 0, 0, 2, 0, 0, 0])
    assert BRIDGE.imgmsg_to_cv2(padded).tolist() == [[1], [2]]
    big = Image(height=1, width=1, encoding="16UC1", step=2, is_bigendian=1, data=[1, 2])
    assert BRIDGE.imgmsg_to_cv2(big).tolist() == [[258]]


@pytest.mark.parametrize(("encoding", "format_"), [("bgr8", "png"), ("mono8", "png"), ("16UC1", "png")])
def test_compressed_images_come_back_as_they_went(encoding: str, format_: str) -> None:
    shape, kind = ((4, 5, 3), np.uint8) if encoding == "bgr8" else ((4, 5), np.uint16 if "16" in encoding else np.uint8)
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    message = BRIDGE.cv2_to_compressed_imgmsg(pixels, format_)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message), pixels)
    with pytest.raises(CvBridgeError, match="cannot be read"):
        BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="png", data=b"no image"))


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CvBridgeError, match="step 1"):
        BRIDGE.imgmsg_to_cv2(Image(height=2, width=2, encoding="rgb8", step=1, data=[0] * 12))
    with pytest.raises(CvBridgeError, match="yuv422"):
        BRIDGE.imgmsg_to_cv2(Image(encoding="yuv422"))
    with pytest.raises(CvBridgeError, match="rgb8"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "rgb8")


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 3), max_size=20))
def test_clouds_come_back_as_they_went(points: list[tuple[float, float, float]]) -> None:
    rows = np.array(points, np.float32).reshape(-1, 3)
    cloud = point_cloud2.create_cloud_xyz32(Header(frame_id="base"), rows)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), rows)


def test_fields_are_read_by_name_and_nans_are_skipped() -> None:
    fields = [
        PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1),
        PointField(name="rgb", offset=8, datatype=PointField.UINT32, count=1),
    ]
    cloud = point_cloud2.create_cloud(Header(), fields, [(1.0, 7), (float("nan"), 8)], step=16)
    assert (cloud.point_step, cloud.width) == (16, 2)
    assert point_cloud2.read_points(cloud, ["rgb"])["rgb"].tolist() == [7, 8]
    assert point_cloud2.read_points(cloud, skip_nans=True)["x"].tolist() == [1.0]
    with pytest.raises(ValueError, match="intensity"):
        point_cloud2.read_points(cloud, ["intensity"])


def image_at(seconds: float) -> Image:
    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = int(seconds), int(seconds % 1 * 1e9)
    return message


def test_messages_of_the_same_time_are_brought_together() -> None:
    left, right = SimpleFilter(), SimpleFilter()
    sets: list[tuple[Image, ...]] = []
    TimeSynchronizer([left, right], 5).registerCallback(lambda *messages: sets.append(messages))
    for seconds in (1.0, 2.0, 3.0):
        left.signalMessage(image_at(seconds))
    right.signalMessage(image_at(2.0))
    right.signalMessage(image_at(2.5))
    assert sets == [(image_at(2.0), image_at(2.0))]


def test_messages_of_about_the_same_time_are_brought_together() -> None:
    color, depth, info = SimpleFilter(), SimpleFilter(), SimpleFilter()
    sets: list[tuple[Image, ...]] = []
    synchronizer = ApproximateTimeSynchronizer([color, depth, info], 5, slop=0.02)
    synchronizer.registerCallback(lambda *messages: sets.append(messages))
    color.signalMessage(image_at(1.0))
    depth.signalMessage(image_at(1.25))
    info.signalMessage(image_at(1.0))
    depth.signalMessage(image_at(1.015625))
    assert sets == [(image_at(1.0), image_at(1.015625), image_at(1.0))]
