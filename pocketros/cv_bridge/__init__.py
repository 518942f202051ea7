"""sensor_msgs/Image and CompressedImage to numpy arrays and back, without OpenCV: a part of pocketros.

Compressed images need Pillow.
"""

from __future__ import annotations

import io
from array import array
from typing import Any

import numpy as np
from pocketros.errors import left_out
from sensor_msgs.msg import CompressedImage, Image

DEPTHS = {"uint8": "8U", "int8": "8S", "uint16": "16U", "int16": "16S", "int32": "32S"}
DEPTHS |= {"float32": "32F", "float64": "64F"}
# The channels of an encoding that says what they mean; l is grey
COLORS = {
    f"{name.replace('l', 'mono')}{bits}": name for name in ("rgb", "bgr", "rgba", "bgra", "l") for bits in (8, 16)
}
# Sample type and number of channels by encoding
ENCODINGS = {f"{depth}C{count}": (kind, count) for kind, depth in DEPTHS.items() for count in (1, 2, 3, 4)}
ENCODINGS |= {name: ("uint16" if name.endswith("16") else "uint8", len(channels)) for name, channels in COLORS.items()}
PASSTHROUGH = "passthrough"
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, of red, green and blue


class CvBridgeError(TypeError):
    """An image that cannot be converted."""


def _layout(encoding: str) -> tuple[np.dtype[Any], int]:
    if encoding not in ENCODINGS:
        raise CvBridgeError(
            f"Unrecognized image encoding [{encoding}]; pocketros has {', '.join(COLORS)} and 8UC1 to 64FC4"
        )
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
                f"Image is wrongly formed: {width}x{height} {img_msg.encoding} with step {step} and "
                f"{len(img_msg.data)} bytes; expected a step of at least {row} and height * step bytes"
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
        own = f"{DEPTHS.get(cvim.dtype.name, cvim.dtype.name)}C{channels}"
        encoding = own if encoding == PASSTHROUGH else encoding
        dtype, wanted = _layout(encoding)
        if cvim.dtype != dtype or channels != wanted or cvim.ndim not in (2, 3):
            raise CvBridgeError(f"encoding specified as {encoding}, but image has incompatible type {own}")
        height, width = cvim.shape[:2]
        message = Image(height=height, width=width, encoding=encoding, step=width * channels * dtype.itemsize)
        message.header = header if header is not None else message.header
        message.data = array("B", np.ascontiguousarray(cvim).tobytes())
        return message

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: Any, desired_encoding: str = PASSTHROUGH) -> np.ndarray:
        """The pixels of a JPEG or PNG image: as bgr8, bgra8, mono8 or 16UC1 unless another encoding is wanted.

        Raises:
            CvBridgeError: data that are no image.
        """
        files = _pillow()
        try:
            file = files.open(io.BytesIO(bytes(cmprs_img_msg.data)))
            have = {"L": "mono8", "RGBA": "rgba8", "I;16": "16UC1", "I": "16UC1"}.get(file.mode, "rgb8")
            pixels = np.asarray(file.convert("RGB") if have == "rgb8" else file).astype(ENCODINGS[have][0])
        except OSError as error:
            raise CvBridgeError(f"a compressed image '{cmprs_img_msg.format}' cannot be read: {error}") from error
        passed = have.replace("rgb", "bgr")
        return _convert(pixels, have, passed if desired_encoding == PASSTHROUGH else desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> Any:
        """A compressed image of bgr8, bgra8, mono8 or 16UC1 pixels, as "jpg" or "png".

        Raises:
            CvBridgeError: pixels that the format cannot hold.
        """
        files, out = _pillow(), io.BytesIO()
        name = {3: "bgr8", 4: "bgra8"}.get(cvim.shape[2] if cvim.ndim == 3 else 1, "mono8")
        try:
            image = files.fromarray(_convert(cvim, name, name.replace("bgr", "rgb")))
            image.save(out, {"jpg": "JPEG"}.get(dst_format, dst_format.upper()))
        except (OSError, KeyError, TypeError) as error:
            what = f"pixels {cvim.shape} {cvim.dtype}"
            raise CvBridgeError(f"{what} cannot be written as '{dst_format}': {error}") from error
        return CompressedImage(format=dst_format, data=out.getvalue())


def _pillow() -> Any:
    try:
        from PIL import Image as Files
    except ImportError:
        raise CvBridgeError("compressed images need Pillow: pip install 'pocketros[compressed]'") from None
    return Files


def _convert(pixels: np.ndarray, have: str, want: str) -> np.ndarray:
    """Pixels in another encoding, as cv_bridge converts.

    Raises:
        CvBridgeError: there is no such conversion.
    """
    if want in (PASSTHROUGH, have):
        return pixels
    source, target, (dtype, channels) = COLORS.get(have), COLORS.get(want), _layout(want)
    if target and not source:
        raise CvBridgeError(f"[{have}] is not a color format. but [{want}] is. The conversion does not make sense")
    if not target and channels != _layout(have)[1]:
        raise CvBridgeError(f"[{have}] and [{want}] do not have the same number of channel")
    if source and target and source != target:
        pixels = _recolor(pixels, source, target)
    if dtype != pixels.dtype:
        raise CvBridgeError(f"pocketros does not convert the depth of [{have}] to that of [{want}]")
    return np.ascontiguousarray(pixels)


def _recolor(pixels: np.ndarray, source: str, target: str) -> np.ndarray:
    """Pixels whose channels are `source`, such as "bgra", with the channels `target`."""
    grey = source == "l"
    planes = dict.fromkeys("rgb", pixels) if grey else dict(zip(source, np.moveaxis(pixels, -1, 0), strict=True))
    if target == "l":
        return np.rint(np.stack([planes[one] for one in "rgb"], axis=-1) @ LUMA).astype(pixels.dtype)
    if "a" in target and "a" not in planes:
        planes["a"] = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
    return np.stack([planes[one] for one in target], axis=-1)


__getattr__ = left_out(__name__)
