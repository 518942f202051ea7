"""Records to messages and back."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mini_diffuser_msgs.msg import KeyframeMode as KeyframeModeMessage
from sensor_msgs.msg import CameraInfo, Image, PointField
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMessage

from mini_diffuser_ros.nodes.ros import messages
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError
from mini_diffuser_ros.records import Cloud, JointTrajectory, KeyframeMode

HEADER = Header(frame_id="camera")


def image(encoding: str, rows: np.ndarray, width: int, padding: int = 0, big_endian: bool = False) -> Image:
    """An image whose rows (H, bytes) end in ``padding`` bytes of rubbish."""
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image(header=HEADER, encoding=encoding, height=len(rows), width=width, step=padded.shape[1])
    message.is_bigendian = int(big_endian)
    message.data = padded.ravel().astype(np.uint8)
    return message


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    ("encoding", "order"), [("rgb8", (0, 1, 2)), ("bgr8", (2, 1, 0)), ("rgba8", (0, 1, 2, 3)), ("bgra8", (2, 1, 0, 3))]
)
def test_colour_of_every_encoding_is_rgb(encoding: str, order: tuple[int, ...], padding: int) -> None:
    rgba = np.arange(2 * 5 * 4, dtype=np.uint8).reshape(2, 5, 4)
    rows = rgba[:, :, order].reshape(2, -1)
    assert np.array_equal(messages.color_from_image(image(encoding, rows, 5, padding)), rgba[:, :, :3])


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
def test_depth_is_metres_in_both_encodings(padding: int, big_endian: bool) -> None:
    metres = np.array([[0.0, 0.5, 1.25], [2.0, 65.535, 0.001]], dtype=np.float32)
    order = ">" if big_endian else "<"
    millimetres = np.rint(metres * 1000).astype(f"{order}u2").view(np.uint8).reshape(2, -1)
    floats = metres.astype(f"{order}f4").view(np.uint8).reshape(2, -1)
    for encoding, rows in (("16UC1", millimetres), ("32FC1", floats)):
        depth = messages.depth_from_image(image(encoding, rows, 3, padding, big_endian))
        assert depth.dtype == np.float32
        assert depth == pytest.approx(metres)


@pytest.mark.parametrize("encoding", ["mono8", "yuv422", ""])
def test_unknown_encodings_are_named(encoding: str) -> None:
    message = image(encoding, np.zeros((2, 4), np.uint8), 4)
    with pytest.raises(MalformedMessageError, match=f"'{encoding}'"):
        messages.color_from_image(message)
    with pytest.raises(MalformedMessageError, match=f"'{encoding}'"):
        messages.depth_from_image(message)


@given(st.sampled_from(sorted(messages.COLOR_CHANNELS)), st.integers(0, 5), st.binary(min_size=48, max_size=48))
def test_colours_of_every_encoding_are_those_that_were_put_in(encoding: str, padding: int, pixels: bytes) -> None:
    rgba = np.frombuffer(pixels, np.uint8).reshape(3, 4, 4)
    order = [("rgba").index(letter) for letter in encoding[:-1]]
    rows = rgba[:, :, order].reshape(3, -1)
    assert np.array_equal(messages.color_from_image(image(encoding, rows, 4, padding)), rgba[:, :, :3])


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5), st.integers(0, 60))
def test_images_that_contradict_themselves_are_refused(step: int, size: int, height: int, width: int) -> None:
    message = Image(header=HEADER, encoding="rgb8", height=height, width=width, step=step)
    message.data = np.zeros(size, np.uint8)
    if step >= 3 * width > 0 and size == step * height > 0:
        assert messages.color_from_image(message).shape == (height, width, 3)
    else:
        with pytest.raises(MalformedMessageError):
            messages.color_from_image(message)


def test_images_survive_the_way_there_and_back() -> None:
    generator = np.random.default_rng(1)
    color = generator.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    depth = generator.uniform(0.1, 3.0, (4, 6)).astype(np.float32)
    depth[0, 0] = np.nan
    assert np.array_equal(messages.color_from_image(messages.image_from_color(color, HEADER)), color)
    back = messages.depth_from_image(messages.image_from_depth(depth, HEADER))
    assert np.array_equal(back, depth, equal_nan=True)


def test_intrinsics_survive_and_an_uncalibrated_camera_is_refused() -> None:
    intrinsics = np.array([[310.5, 0.0, 127.5], [0.0, 311.0, 95.5], [0.0, 0.0, 1.0]])
    info = messages.info_from_intrinsics(intrinsics, (192, 256), HEADER)
    assert (info.height, info.width) == (192, 256)
    assert np.array_equal(messages.intrinsics_from_info(info), intrinsics)
    with pytest.raises(MalformedMessageError, match="not calibrated"):
        messages.intrinsics_from_info(CameraInfo())


def test_what_a_cloud_remembers_travels_with_it_for_those_who_ask() -> None:
    cloud = Cloud(np.ones((3, 3), np.float32), np.full((3, 3), 9, np.uint8), "base", 2.0)
    gone = np.array([[4.0, 5.0, 6.0], [7.0, 8.0, 9.0]], np.float32)
    message = messages.cloud_to_message(cloud, gone)
    assert np.array_equal(messages.cloud_from_message(message).points, cloud.points)
    assert np.array_equal(messages.cloud_from_message(message).colors, cloud.colors)
    assert np.array_equal(messages.cloud_from_message(message, with_remembered=True).points[3:], gone)
    plain = messages.cloud_to_message(cloud, gone[:0])
    assert plain.fields == messages.cloud_to_message(cloud).fields


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(3)), elements=st.floats(-9, 9, width=32)),
    st.integers(0, 2**32 - 1),
)
def test_clouds_survive_the_way_there_and_back(points: np.ndarray, seed: int) -> None:
    colors = np.random.default_rng(seed).integers(0, 256, points.shape, dtype=np.uint8)
    message = messages.cloud_to_message(Cloud(points, colors, "panda_link0", 12.25))
    assert [field.name for field in message.fields] == ["x", "y", "z", "rgb"]
    back = messages.cloud_from_message(message)
    assert np.array_equal(back.points, points)
    assert np.array_equal(back.colors, colors)
    assert (back.frame, back.stamp) == ("panda_link0", 12.25)


def test_cloud_points_that_are_not_finite_are_left_out() -> None:
    points = np.array([[0, 0, 0], [np.nan, 0, 0], [1, 1, 1]], np.float32)
    message = messages.cloud_to_message(Cloud(points, np.zeros((3, 3), np.uint8), "base", 0.0))
    assert len(messages.cloud_from_message(message)) == 2


def test_a_cloud_without_colour_or_with_a_wrong_size_is_refused() -> None:
    cloud = Cloud(np.zeros((4, 3), np.float32), np.zeros((4, 3), np.uint8), "base", 0.0)
    message = messages.cloud_to_message(cloud)
    message.fields[3] = PointField(name="intensity", offset=12, datatype=PointField.FLOAT32, count=1)
    with pytest.raises(MalformedMessageError, match="rgb"):
        messages.cloud_from_message(message)
    message = messages.cloud_to_message(cloud)
    message.width = 5
    with pytest.raises(MalformedMessageError, match="holds 64 bytes"):
        messages.cloud_from_message(message)


def test_modes_survive_even_when_they_are_not_finite() -> None:
    pose = np.array([0.5, np.nan, 0.1, 1.0, 0.0, 0.0, 0.0])
    message = messages.mode_to_message(KeyframeMode(pose, True, False, 0.75, 0.01))
    assert isinstance(message, KeyframeModeMessage)
    back = messages.mode_from_message(message)
    assert np.array_equal(back.pose, pose, equal_nan=True)
    assert (back.gripper_open, back.terminate, back.share) == (True, False, 0.75)


def trajectory() -> JointTrajectory:
    times = np.array([0.0, 0.5, 1.0])
    positions = np.arange(6.0).reshape(3, 2)
    return JointTrajectory(("a", "b"), times, positions, positions / 2, positions / 4)


def test_trajectories_survive_and_columns_follow_the_wanted_joints() -> None:
    message = messages.trajectory_to_message(trajectory())
    back = messages.trajectory_from_message(message, ("b", "a"))
    assert back.joint_names == ("b", "a")
    assert np.array_equal(back.positions, trajectory().positions[:, ::-1])
    assert np.array_equal(back.velocities, trajectory().velocities[:, ::-1])
    assert np.allclose(back.times, trajectory().times)


@given(st.integers(1, 8), st.integers(1, 5), st.randoms())
def test_an_arm_may_have_any_number_of_joints(joints: int, points: int, order: Random) -> None:
    names = [f"joint{number}" for number in range(joints)]
    shape = (points, joints)
    values = np.arange(points * joints, dtype=np.float64).reshape(shape)
    sent = JointTrajectory(tuple(names), np.arange(1.0, points + 1.0), values, values + 0.25, values + 0.5)
    wanted = list(names)
    order.shuffle(wanted)
    back = messages.trajectory_from_message(messages.trajectory_to_message(sent), wanted)
    columns = [names.index(name) for name in wanted]
    assert back.joint_names == tuple(wanted)
    assert np.array_equal(back.positions, sent.positions[:, columns])
    assert np.array_equal(back.accelerations, sent.accelerations[:, columns])


def test_a_trajectory_of_positions_alone_is_taken() -> None:
    message = messages.trajectory_to_message(trajectory())
    for point in message.points:
        point.velocities = []
        point.accelerations = []
    assert not messages.trajectory_from_message(message, ("a", "b")).velocities.any()


def spoilt(kind: str) -> JointTrajectoryMessage:
    message = messages.trajectory_to_message(trajectory())
    if kind == "joints":
        message.joint_names = ["a", "c"]
    elif kind == "without points":
        message.points = []
    elif kind == "positions":
        message.points[1].positions = [1.0]
    elif kind == "finite":
        message.points[1].positions = [1.0, float("nan")]
    else:
        message.points[2].time_from_start = message.points[1].time_from_start
    return message


@pytest.mark.parametrize("kind", ["joints", "without points", "positions", "finite", "time"])
def test_spoilt_trajectories_are_refused_by_name(kind: str) -> None:
    with pytest.raises(MalformedMessageError, match=kind):
        messages.trajectory_from_message(spoilt(kind), ("a", "b"))


@given(st.floats(0.0, 2e9))
def test_stamps_keep_a_microsecond(value: float) -> None:
    assert messages.seconds(messages.stamp_from_seconds(value)) == pytest.approx(value, abs=1e-6)


def test_of_a_cloud_of_a_million_points_a_few_are_looked_at_and_those_remembered_stay_last() -> None:
    shown = np.linspace(0.0, 1.0, 3_000_000, dtype=np.float32).reshape(-1, 3)
    cloud = Cloud(shown, np.full((1_000_000, 3), 9, np.uint8), "base", 1.0)
    message = messages.cloud_to_message(cloud, np.full((100_000, 3), 5.0, np.float32))
    few = messages.cloud_from_message(message, most_points=8000)
    everything = messages.cloud_from_message(message, with_remembered=True, most_points=8000)
    assert len(everything) == 8000
    assert np.array_equal(everything.points[: len(few)], few.points)
    assert np.all(everything.points[len(few) :] == 5.0)
    assert len(few) == pytest.approx(8000 * 10 / 11, abs=2)
    assert np.isin(few.points[:, 0], shown[:, 0]).all()
