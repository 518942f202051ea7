"""RLBench's cameras: calibration, depth and mask images in our conventions, and the cloud they make together.

RLBench's camera frame is x left, y up, z forward, and its focal lengths are negative, so that pixels still count right
and down. Turned by half a circle about z it is the optical frame that everything here uses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.data.formats.arm_boxes import ArmBox, without_arm
from mini_diffuser_ros.data.formats.described_arm import ArmPosture, without_described_arm
from mini_diffuser_ros.data.formats.images import decode_color
from mini_diffuser_ros.perception import fuse_views
from mini_diffuser_ros.records import CameraView, Cloud, FusionConfig, Workspace

RLBENCH_FRAME = "world"
"""Frame of all poses and clouds that come from RLBench: that of its simulator, z up, the table top at z = 0.75."""

RLBENCH_FUSION = FusionConfig(
    frame=RLBENCH_FRAME,
    workspace=Workspace((-0.5, -1.0, 0.2), (1.5, 1.0, 2.0)),
    voxel_size=0.01,
    min_depth=0.0,
    max_depth=10.0,
    drop_flying_points=False,
)
"""How RLBench's views become a cloud: the published workspace and voxels of 1 cm. The table is still in it, the
policy's own workspace begins above. Nothing else is dropped, as a simulator's depth has no flying points."""

_CAMERA_FROM_OPTICAL = np.diag([-1.0, -1.0, 1.0])


def camera_view(
    name: str,
    color: NDArray[np.uint8],
    depth: NDArray[np.floating],
    intrinsics: ArrayLike,
    world_from_camera: ArrayLike,
    stamp: float = 0.0,
) -> CameraView:
    """A view in our conventions of what RLBench says of a camera.

    Args:
        name: camera name.
        color: (H, W, 3) uint8, RGB.
        depth: (H, W) metres along the optical axis.
        intrinsics: (3, 3) with RLBench's negative focal lengths, ``<name>_camera_intrinsics``.
        world_from_camera: (4, 4), ``<name>_camera_extrinsics``.
        stamp: seconds.

    Raises:
        ValueError: if the calibration is of another kind, or of another resolution than the images.
    """
    matrix = np.asarray(intrinsics, dtype=np.float64)
    extrinsics = np.asarray(world_from_camera, dtype=np.float64)
    if matrix.shape != (3, 3) or extrinsics.shape != (4, 4):
        raise ValueError(
            f"camera {name}: intrinsics {matrix.shape} and extrinsics {extrinsics.shape}, expected (3, 3) and (4, 4)"
        )
    if not (matrix[0, 0] < 0.0 and matrix[1, 1] < 0.0):
        raise ValueError(
            f"camera {name}: focal lengths {matrix[0, 0]:.6g}, {matrix[1, 1]:.6g}; RLBench's are both negative"
        )
    height, width = depth.shape
    if color.shape[:2] != depth.shape:
        raise ValueError(
            f"camera {name}: colour is {color.shape[1]}x{color.shape[0]}, depth is {width}x{height} pixels"
        )
    if abs(matrix[0, 2] - width / 2) > 1.0 or abs(matrix[1, 2] - height / 2) > 1.0:
        raise ValueError(
            f"camera {name}: images of {width}x{height} pixels, intrinsics of {2 * matrix[0, 2]:g}x{2 * matrix[1, 2]:g}"
        )
    world_from_optical = extrinsics.copy()
    world_from_optical[:3, :3] = extrinsics[:3, :3] @ _CAMERA_FROM_OPTICAL
    return CameraView(name, color, depth.astype(np.float32), matrix @ _CAMERA_FROM_OPTICAL, world_from_optical, stamp)


def rlbench_cloud(
    views: Sequence[CameraView],
    boxes: tuple[ArmBox, ...] = (),
    fusion: FusionConfig = RLBENCH_FUSION,
    posture: ArmPosture | None = None,
) -> Cloud:
    """The cloud of a keyframe in RLBench's world frame: fused, then the arm's links taken out.

    Demonstrations and the simulator's evaluation both come through here, so that a policy meets the clouds that it was
    trained on.

    Args:
        views: of one or more cameras, see :func:`camera_view`.
        boxes: around the arm's links, see :func:`arm_boxes`.
        fusion: what to keep.
        posture: of the arm, by which its links are found where there are no boxes; without either they stay in.

    Raises:
        PerceptionError: if a view is malformed.
    """
    cloud = fuse_views(views, fusion)
    return without_described_arm(cloud, posture) if posture is not None and not boxes else without_arm(cloud, boxes)


def decode_rgb_depth(data: bytes, near: float, far: float) -> NDArray[np.float32]:
    """Planar depth (H, W), metres, of a PNG whose red, green and blue are the three bytes of 24 bits.

    Args:
        near, far: metres at 0 and at the largest value.

    Raises:
        ValueError: if the bytes are no readable RGB PNG.
    """
    red, green, blue = np.moveaxis(decode_color(data).astype(np.int64), 2, 0)
    share = (red * 65536 + green * 256 + blue) / (2**24 - 1)
    return (near + share * (far - near)).astype(np.float32)


def decode_mask(data: bytes) -> NDArray[np.int32]:
    """The simulator's object handle (H, W) of each pixel.

    Masks tell what a robot cannot know; nothing that makes clouds reads them.

    Raises:
        ValueError: if the bytes are no readable RGB PNG.
    """
    red, green, blue = np.moveaxis(decode_color(data).astype(np.int32), 2, 0)
    return np.asarray(red + 256 * green + 65536 * blue, dtype=np.int32)
