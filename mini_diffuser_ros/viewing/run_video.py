"""The cameras' views side by side, with the sentence below them, as an MP4."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CAPTION_HEIGHT = 32  # pixels
FONT_SIZE = 15


class RunVideo:
    """Encodes frames as they come, so that a long run needs no memory.

    Args:
        path: of the MP4.
        cameras: names, from left to right.
        image_size: width and height of each view, pixels.
        rate: frames per second.

    Raises:
        RuntimeError: if there is no ffmpeg, or it does not start.
    """

    def __init__(self, path: Path, cameras: Sequence[str], image_size: tuple[int, int], rate: float) -> None:
        self._cameras = tuple(cameras)
        self._image_size = image_size
        # The codec wants even sides.
        width = image_size[0] * len(self._cameras) // 2 * 2
        self._size = (width, (image_size[1] + CAPTION_HEIGHT) // 2 * 2)
        self._font = ImageFont.load_default(FONT_SIZE)
        self._encoder: Generator[None, bytes, None] = imageio_ffmpeg.write_frames(
            str(path),
            self._size,
            fps=rate,
            codec="libx264",
            macro_block_size=2,
            ffmpeg_log_level="error",
            # Encoding must not take cores from the robot.
            output_params=["-preset", "veryfast", "-crf", "20", "-threads", "1", "-movflags", "+faststart"],
        )
        self._encoder.send(None)  # starts ffmpeg

    def add(self, images: Mapping[str, NDArray[np.uint8]], caption: str) -> None:
        """Add a frame of (H, W, 3) RGB images; a camera without one stays black."""
        canvas = Image.new("RGB", self._size)
        draw = ImageDraw.Draw(canvas)
        width, height = self._image_size
        for column, camera in enumerate(self._cameras):
            left = column * width
            if camera in images:
                view = Image.fromarray(images[camera])
                canvas.paste(view if view.size == self._image_size else view.resize(self._image_size), (left, 0))
            draw.text((left + 6, 4), camera, fill=(255, 255, 255), font=self._font, stroke_width=2, stroke_fill=0)
        draw.text((8, height + 6), caption, fill=(255, 255, 255), font=self._font)
        self._encoder.send(canvas.tobytes())

    def close(self) -> None:
        """Finish the file."""
        self._encoder.close()
