"""sensor_msgs/Image and CompressedImage to numpy arrays and back, without OpenCV: a part of rosless.

Compressed images need Pillow.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from rosless.errors import left_out
from sensor_msgs.msg import CompressedImage, Image

# Sample type and channels by encoding
ENCODINGS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("rgb8", "bgr8", "8UC3"), ("uint8", 3)),
    **dict.fromkeys(("rgba8", "bgra8", "8UC4"), ("uint8", 4)),
    **dict.fromkeys(("mono8", "8UC1"), ("uint8", 1)),
    **dict.fromkeys(("mono16", "16UC1"), ("uint16", 1)),
    "32FC1": ("float32", 1),
}
COLORS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
PASSTHROUGH = "passthrough"
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, of red, green and blue


class CvBridgeError(TypeError):
    """An image that cannot be converted."""


def _layout(encoding: str) -> tuple[np.dtype[Any], int]:
    if encoding not in ENCODINGS:
        raise CvBridgeError(f"rosless does not provide the encoding '{encoding}'; it has {', '.join(ENCODINGS)}")
    kind, channels = ENCODINGS[encoding]
    return np.dtype(kind), channels


class CvBridge:
    """Converts images."""

    def imgmsg_to_cv2(self, img_msg: Any, desired_encoding: str = PASSTHROUGH) -> np.ndarray:
        """The pixels (H, W) or (H, W, C) of an image, in another encoding if wanted.

        Raises:
            CvBridgeError: an unknown encoding, or data that do not fit height, width and step.
        """
        dtype, channels = _layout(img_msg.encoding)
        height, width, step = img_msg.height, img_msg.width, img_msg.step
        row = width * channels * dtype.itemsize
        if step < row or len(img_msg.data) < step * height:
            raise CvBridgeError(
                f"an image {width}x{height} {img_msg.encoding} with step {step} does not fit its "
                f"{len(img_msg.data)} bytes; expected a step of at least {row}"
            )
        data = np.frombuffer(img_msg.data, np.uint8)[: step * height].reshape(height, step)[:, :row]
        pixels = np.ascontiguousarray(data).view(dtype.newbyteorder(">" if img_msg.is_bigendian else "<"))
        shape = (height, width, channels) if channels > 1 else (height, width)
        return _convert(pixels.astype(dtype, copy=False).reshape(shape), img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = PASSTHROUGH, header: Any = None) -> Any:
        """An image message of pixels (H, W) or (H, W, C).

        Raises:
            CvBridgeError: the pixels do not fit the encoding.
        """
        channels = cvim.shape[2] if cvim.ndim == 3 else 1
        if encoding == PASSTHROUGH:
            kind = {"uint8": "8UC", "uint16": "16UC", "float32": "32FC"}.get(cvim.dtype.name, f"{cvim.dtype.name} C")
            encoding = f"{kind}{channels}"
        dtype, wanted = _layout(encoding)
        if cvim.dtype != dtype or channels != wanted or cvim.ndim not in (2, 3):
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {cvim.dtype} {cvim.shape}"
            )
        height, width = cvim.shape[:2]
        message = Image(height=height, width=width, encoding=encoding, step=width * channels * dtype.itemsize)
        message.header = header if header is not None else message.header
        message.data = np.ascontiguousarray(cvim).view(np.uint8)
        return message

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: Any, desired_encoding: str = PASSTHROUGH) -> np.ndarray:
        """The pixels of a JPEG or PNG image: as bgr8, mono8 or 16UC1 unless another encoding is wanted.

        Raises:
            CvBridgeError: data that are no image.
        """
        from PIL import Image as Files
        from PIL import UnidentifiedImageError

        try:
            file = Files.open(io.BytesIO(bytes(cmprs_img_msg.data)))
            have = {"L": "mono8", "I;16": "16UC1", "I": "16UC1"}.get(file.mode, "rgb8")
            pixels = np.asarray(file.convert("RGB") if have == "rgb8" else file).astype(ENCODINGS[have][0])
        except (UnidentifiedImageError, OSError) as error:
            raise CvBridgeError(f"a compressed image '{cmprs_img_msg.format}' cannot be read: {error}") from error
        return _convert(pixels, have, "bgr8" if (desired_encoding, have) == (PASSTHROUGH, "rgb8") else desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> Any:
        """A compressed image of bgr8, mono8 or 16UC1 pixels, as "jpg" or "png"."""
        from PIL import Image as Files

        out = io.BytesIO()
        rgb = np.ascontiguousarray(cvim[..., ::-1]) if cvim.ndim == 3 else cvim
        Files.fromarray(rgb).save(out, {"jpg": "JPEG"}.get(dst_format, dst_format.upper()))
        return CompressedImage(format=dst_format, data=out.getvalue())


def _convert(pixels: np.ndarray, have: str, want: str) -> np.ndarray:
    if want in (PASSTHROUGH, have):
        return pixels
    if _layout(want) == _layout(have) and not {have, want} <= set(COLORS):
        return pixels
    if not {have, want} <= set(COLORS):
        raise CvBridgeError(f"[{have}] cannot be converted to [{want}]; colours are {', '.join(COLORS)}")
    if have == "mono8":
        rgb = np.repeat(pixels[..., None], 3, axis=2)
    else:
        rgb = pixels[..., :3] if have.startswith("rgb") else pixels[..., 2::-1]
    if want == "mono8":
        return np.rint(rgb @ LUMA).astype(np.uint8)
    colors = rgb if want.startswith("rgb") else rgb[..., ::-1]
    if want.endswith("a8"):
        opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        colors = np.concatenate([colors, pixels[..., 3:4] if have.endswith("a8") else opaque], axis=2)
    return np.ascontiguousarray(colors)


__getattr__ = left_out(__name__)
