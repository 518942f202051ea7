"""How images travel: by which message, on which topic, and how they become arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from mini_diffuser_ros.nodes.cameras.compressed_images import color_from_compressed, depth_from_compressed
from mini_diffuser_ros.nodes.core.messages import color_from_image, depth_from_image


class ImageTransport(NamedTuple):
    """One of the ways that image_transport offers.

    Attributes:
        message: type of the messages.
        suffix: what the topic's name has after that of the raw images.
        decode: gives (H, W, 3) uint8 RGB or (H, W) float32 metres; raises MalformedMessageError.
    """

    message: type
    suffix: str
    decode: Callable[[Any], NDArray[Any]]


COLOR_TRANSPORTS: Mapping[str, ImageTransport] = {
    "raw": ImageTransport(Image, "", color_from_image),
    "compressed": ImageTransport(CompressedImage, "/compressed", color_from_compressed),
}
DEPTH_TRANSPORTS: Mapping[str, ImageTransport] = {
    "raw": ImageTransport(Image, "", depth_from_image),
    "compressedDepth": ImageTransport(CompressedImage, "/compressedDepth", depth_from_compressed),
}


def choose_transport(transports: Mapping[str, ImageTransport], name: str, parameter: str) -> ImageTransport:
    """The transport of that name.

    Raises:
        ValueError: if there is none, naming the parameter and the valid values.
    """
    if name not in transports:
        raise ValueError(f"parameter {parameter} is '{name}', expected one of {', '.join(transports)}")
    return transports[name]
