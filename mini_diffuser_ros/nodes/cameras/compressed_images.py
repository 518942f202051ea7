"""Images as image_transport's plugins ``compressed`` and ``compressedDepth`` send them."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage

from mini_diffuser_ros.nodes.ros.messages import DEPTH_TYPES, MalformedMessageError

# enum of the compression, and the two parameters by which 32FC1 depth is made integers
DEPTH_HEADER = struct.Struct("<iff")
MOST_PIXELS = 4096 * 4096  # what claims to be larger is refused before it takes memory


def color_from_compressed(message: CompressedImage) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a JPEG or PNG.

    Raises:
        MalformedMessageError: if the bytes are no such picture.
    """
    # Whatever order of channels the format names, the files themselves follow their standards.
    return np.asarray(_open(bytes(message.data), message.format).convert("RGB"))


def depth_from_compressed(message: CompressedImage) -> NDArray[np.float32]:
    """(H, W) float32 metres of ``<16UC1|32FC1>; compressedDepth png``; 0 or NaN is "no measurement".

    Raises:
        MalformedMessageError: on another format, or if the bytes are no such picture.
    """
    encoding, _, how = message.format.partition(";")
    encoding = encoding.strip()
    # compressed_depth_image_transport before Humble says "compressedDepth" alone, and means PNG.
    if encoding not in DEPTH_TYPES or how.split() not in (["compressedDepth"], ["compressedDepth", "png"]):
        raise MalformedMessageError(
            f"depth format '{message.format}', expected '16UC1; compressedDepth png' or '32FC1; compressedDepth png'"
        )
    data = bytes(message.data)
    if len(data) <= DEPTH_HEADER.size:
        raise MalformedMessageError(f"'{message.format}' image holds {len(data)} bytes")
    picture = _open(data[DEPTH_HEADER.size :], message.format)
    if not picture.mode.startswith("I"):
        raise MalformedMessageError(
            f"'{message.format}' image whose PNG is of mode {picture.mode}, expected 16 bit grey"
        )
    samples = np.asarray(picture).astype(np.float32)
    if DEPTH_TYPES[encoding][1] != 1.0:
        return samples * np.float32(DEPTH_TYPES[encoding][1])
    _, numerator, offset = DEPTH_HEADER.unpack_from(data)
    metres = np.full(samples.shape, np.nan, np.float32)
    measured = samples > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        metres[measured] = np.float32(numerator) / (samples[measured] - np.float32(offset))
    return metres


def _open(data: bytes, name: str) -> PillowImage.Image:
    try:
        picture = PillowImage.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        if picture.width * picture.height > MOST_PIXELS:
            raise MalformedMessageError(f"'{name}' image of {picture.width}x{picture.height} pixels is too large")
        picture.load()
    # Pillow's plugins raise SyntaxError and others for damaged files.
    except (OSError, ValueError, SyntaxError, struct.error, PillowImage.DecompressionBombError) as error:
        raise MalformedMessageError(
            f"'{name}' image of {len(data)} bytes is no readable JPEG or PNG: {error}"
        ) from error
    return picture
