"""Messages of one camera as a record that perception takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.cell import CameraIntrinsics
from mini_diffuser_ros.nodes.cameras.image_transports import ImageTransport
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError, distortion_from_info, intrinsics_from_info
from mini_diffuser_ros.perception import check_view
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.sensing.camera_monitor import RgbdPair

ImageFrame = RgbdPair[Any, CameraInfo]


def view_from_messages(
    frame: ImageFrame,
    transports: tuple[ImageTransport, ImageTransport],
    base_from_camera: NDArray[np.floating],
    lens: CameraIntrinsics | None = None,
) -> CameraView:
    """Colour, depth and calibration of one time.

    Args:
        frame: the messages.
        transports: how colour and how depth travelled.
        base_from_camera: (4, 4) pose of the optical frame at the images' time.
        lens: calibrated by hand, in place of what camera_info says; None where it is not.

    Raises:
        MalformedMessageError: if a message is not understood, or they do not fit one another.
        InvalidViewError: if they do not make a view that can be back-projected.
    """
    color_transport, depth_transport = transports
    color, depth = color_transport.decode(frame.color), depth_transport.decode(frame.depth)
    _check_sizes(color.shape[:2], depth.shape, (frame.info.height, frame.info.width))
    view = CameraView(
        name=frame.camera,
        color=color,
        depth=depth,
        intrinsics=intrinsics_from_info(frame.info) if lens is None else _matrix_for(lens, color.shape[:2]),
        base_from_camera=base_from_camera,
        stamp=frame.stamp,
        distortion=distortion_from_info(frame.info) if lens is None else lens.distortion,
    )
    check_view(view)
    return view


def frame_of(frame: ImageFrame) -> str:
    """The frame that the images are in.

    Raises:
        MalformedMessageError: if colour, depth and camera_info do not agree on it.
    """
    color, depth, info = (message.header.frame_id for message in (frame.color, frame.depth, frame.info))
    if depth != color:
        raise MalformedMessageError(
            f"depth is in frame '{depth}', colour in '{color}'; depth must be aligned to colour "
            "(realsense2_camera: align_depth.enable:=true)"
        )
    # Some drivers leave the frame of camera_info empty.
    if info not in (color, ""):
        raise MalformedMessageError(f"camera_info is of frame '{info}', the images are of '{color}': another camera's?")
    return str(color)


def _matrix_for(lens: CameraIntrinsics, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Pinhole matrix (3, 3) of a calibrated lens for images of a shape (height, width).

    Raises:
        MalformedMessageError: it was calibrated on images of another size.
    """
    if shape != (lens.height, lens.width):
        raise MalformedMessageError(
            f"the cell's intrinsics are of {lens.width}x{lens.height} pixels, colour is of {shape[1]}x{shape[0]}; "
            "calibrate the size that is used"
        )
    return lens.matrix


def _check_sizes(color: tuple[int, ...], depth: tuple[int, ...], info: tuple[int, int]) -> None:
    """Refuse images that do not fit each other or their calibration; sizes are (height, width).

    Raises:
        MalformedMessageError: naming both sizes.
    """
    shown = {"colour": color, "depth": depth, "camera_info": info}
    texts = {name: f"{name} is of {width}x{height} pixels" for name, (height, width) in shown.items()}
    if color != depth:
        raise MalformedMessageError(
            f"{texts['colour']}, {texts['depth']}; depth must be aligned to colour "
            "(realsense2_camera: align_depth.enable:=true)"
        )
    # Some drivers leave the size of camera_info 0.
    if info not in (color, (0, 0)):
        raise MalformedMessageError(f"{texts['camera_info']}, {texts['colour']}; calibrate the size that is used")
