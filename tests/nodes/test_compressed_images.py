"""Pictures as image_transport's plugins send them."""

from __future__ import annotations

import io
import struct
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage

from mini_diffuser_ros.nodes.cameras.compressed_images import color_from_compressed, depth_from_compressed
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError


def packed(picture: np.ndarray, kind: str, how: str, header: bytes = b"") -> CompressedImage:
    file = io.BytesIO()
    PillowImage.fromarray(picture).save(file, kind, quality=95)
    message = CompressedImage(format=how)
    message.data = array("B", header + file.getvalue())
    return message


def random_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def test_a_png_gives_back_the_very_colours() -> None:
    picture = random_picture(1)
    assert np.array_equal(color_from_compressed(packed(picture, "PNG", "rgb8; png compressed bgr8")), picture)


def test_a_jpeg_gives_back_red_as_red() -> None:
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, :, 0] = 200
    decoded = color_from_compressed(packed(picture, "JPEG", "bgr8; jpeg compressed bgr8"))
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(int) - picture).max() < 8


@pytest.mark.parametrize("how", ["16UC1; compressedDepth png", "16UC1; compressedDepth"])
def test_depth_in_millimetres_survives(how: str) -> None:
    millimetres = np.random.default_rng(2).integers(0, 65536, (5, 7)).astype(np.uint16)
    decoded = depth_from_compressed(packed(millimetres, "PNG", how, struct.pack("<iff", 0, 0.0, 0.0)))
    assert decoded.dtype == np.float32
    assert decoded == pytest.approx(millimetres / 1000.0)


def test_depth_in_metres_is_told_from_its_two_parameters_and_zero_is_no_measurement() -> None:
    metres = np.array([[0.5, 1.0], [2.5, np.nan]], np.float32)
    numerator, offset = 10100.0, 2.0  # of the inverse depth: value = numerator / metres + offset
    values = np.where(np.isnan(metres), 0.0, numerator / metres + offset).astype(np.uint16)
    message = packed(values, "PNG", "32FC1; compressedDepth png", struct.pack("<iff", 0, numerator, offset))
    assert depth_from_compressed(message) == pytest.approx(metres, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize("how", ["16UC1; compressedDepth rvl", "jpeg", "", "8UC1; compressedDepth png"])
def test_other_formats_of_depth_are_named(how: str) -> None:
    with pytest.raises(MalformedMessageError, match=f"'{how}', expected '16UC1; compressedDepth png'"):
        depth_from_compressed(packed(random_picture(3), "PNG", how))


@given(st.binary(max_size=200), st.integers(0, 150))
def test_damaged_pictures_are_refused_in_one_line(rubbish: bytes, cut: int) -> None:
    whole = bytes(packed(random_picture(4), "PNG", "rgb8; png compressed").data)
    for data in (rubbish, whole[:cut]):
        message = CompressedImage(format="rgb8; png compressed")
        message.data = array("B", data)
        with pytest.raises(MalformedMessageError, match="no readable JPEG or PNG"):
            color_from_compressed(message)


def test_a_picture_of_unreasonable_size_is_refused_before_it_is_unpacked() -> None:
    picture = PillowImage.new("1", (5000, 5000))
    file = io.BytesIO()
    picture.save(file, "PNG")
    message = CompressedImage(format="png")
    message.data = array("B", file.getvalue())
    with pytest.raises(MalformedMessageError, match="5000x5000"):
        color_from_compressed(message)
