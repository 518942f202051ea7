"""sensor_msgs/Image to numpy arrays and back, without OpenCV: a part of rosless.

Encodings: rgb8, bgr8, rgba8, bgra8, mono8, 8UC1, 8UC3, 8UC4, mono16, 16UC1, 32FC1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image

ENCODINGS: dict[str, tuple[str, int]] = {
    "rgb8": ("uint8", 3),
    "bgr8": ("uint8", 3),
    "rgba8": ("uint8", 4),
    "bgra8": ("uint8", 4),
    "mono8": ("uint8", 1),
    "8UC1": ("uint8", 1),
    "8UC3": ("uint8", 3),
    "8UC4": ("uint8", 4),
    "mono16": ("uint16", 1),
    "16UC1": ("uint16", 1),
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
        pixels = pixels.astype(dtype, copy=False).reshape(shape)
        if desired_encoding in (PASSTHROUGH, img_msg.encoding):
            return pixels
        return _convert(pixels, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = PASSTHROUGH, header: Any = None) -> Any:
        """An image message of pixels (H, W) or (H, W, C).

        Raises:
            CvBridgeError: the pixels do not fit the encoding.
        """
        if not isinstance(cvim, np.ndarray) or cvim.ndim not in (2, 3):
            raise CvBridgeError("Your input type is not a numpy array of two or three dimensions")
        channels = cvim.shape[2] if cvim.ndim == 3 else 1
        if encoding == PASSTHROUGH:
            name = {"uint8": "8UC", "uint16": "16UC", "float32": "32FC"}.get(cvim.dtype.name, f"{cvim.dtype.name} C")
            encoding = f"{name}{channels}"
        dtype, wanted = _layout(encoding)
        if cvim.dtype != dtype or channels != wanted:
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {cvim.dtype} with "
                f"{channels} channels"
            )
        message = Image(
            height=cvim.shape[0], width=cvim.shape[1], encoding=encoding, step=cvim.shape[1] * channels * dtype.itemsize
        )
        if header is not None:
            message.header = header
        message.data = np.ascontiguousarray(cvim).view(np.uint8)
        return message

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: Any, desired_encoding: str = PASSTHROUGH) -> np.ndarray:
        raise AttributeError("rosless does not provide CvBridge.compressed_imgmsg_to_cv2; it needs a genuine cv_bridge")


def _convert(pixels: np.ndarray, have: str, want: str) -> np.ndarray:
    _layout(want)
    if ENCODINGS[have] == ENCODINGS[want] and not (have in COLORS and want in COLORS):
        return pixels
    if have not in COLORS or want not in COLORS:
        raise CvBridgeError(
            f"[{have}] is not a color format, and cannot be converted to [{want}]"
            if have not in COLORS
            else f"[{want}] is not a color format, and [{have}] cannot be converted to it"
        )
    if have == "mono8":
        rgb = np.repeat(pixels[..., None], 3, axis=2)
    else:
        rgb = pixels[..., :3] if have.startswith("rgb") else pixels[..., 2::-1]
    if want == "mono8":
        return np.rint(rgb @ LUMA).astype(np.uint8)
    colors = rgb if want.startswith("rgb") else rgb[..., ::-1]
    if want.endswith("a8"):
        opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        alpha = pixels[..., 3:4] if have.endswith("a8") else opaque
        colors = np.concatenate([colors, alpha], axis=2)
    return np.ascontiguousarray(colors)


__all__ = ["CvBridge", "CvBridgeError"]
