"""How images travel: by which message, on which topic, and how they become arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from mini_diffuser_ros.nodes.cameras.compressed_images import color_from_compressed, depth_from_compressed
from mini_diffuser_ros.nodes.ros.messages import color_from_image, depth_from_image
from mini_diffuser_ros.nodes.ros.parameters import Parameters


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


def transports_from_parameters(parameters: Parameters) -> tuple[ImageTransport, ImageTransport]:
    """Of colour and of depth, as the parameters that this declares say.

    Raises:
        ValueError: if there is none of that name, naming the parameter and the valid values.
    """
    color = parameters.text("color_transport", "raw", "raw, or compressed: <camera>/color/image_raw/compressed instead")
    depth = parameters.text(
        "depth_transport",
        "raw",
        "raw, or compressedDepth: <camera>/aligned_depth_to_color/image_raw/compressedDepth instead",
    )
    return _choose(COLOR_TRANSPORTS, color, "color_transport"), _choose(DEPTH_TRANSPORTS, depth, "depth_transport")


def _choose(transports: Mapping[str, ImageTransport], name: str, parameter: str) -> ImageTransport:
    if name not in transports:
        raise ValueError(f"parameter {parameter} is '{name}', expected one of {', '.join(transports)}")
    return transports[name]
