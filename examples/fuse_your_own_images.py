"""Your own RGB-D images become the cloud that a policy decides on.

python examples/fuse_your_own_images.py [FOLDER]     FOLDER holds for each camera <name>_color.png, <name>_depth.png (16
bits, millimetres) and <name>.yaml: intrinsics (3, 3) in pixels, base_from_camera (4, 4), the pose of the optical frame
(x right, y down, z forward) in the arm's base frame, metres.
"""

import sys
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.records import CameraView, Workspace
from mini_diffuser_ros.support.drawing import draw_cloud

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("images")


def read_view(calibration: Path) -> CameraView:
    """The image of a camera, with depth in metres; 0 where nothing was measured."""
    name = calibration.stem
    values = yaml.safe_load(calibration.read_text(encoding="utf-8"))
    return CameraView(
        name,
        color=np.asarray(Image.open(folder / f"{name}_color.png").convert("RGB")),
        depth=np.asarray(Image.open(folder / f"{name}_depth.png")).astype(np.float32) / 1000,
        intrinsics=np.array(values["intrinsics"], np.float64),
        base_from_camera=np.array(values["base_from_camera"], np.float64),
    )


# The lower side of the workspace lies a few millimetres above the table top, which leaves the table out. With a robot
# and its joint positions as third and fourth argument, the arm is taken out as well.
config = FusionConfig(workspace=Workspace((0.25, -0.38, 0.004), (0.80, 0.38, 0.55)), voxel_size=0.005)
views = [read_view(file) for file in sorted(folder.glob("*.yaml"))]
cloud = fuse_views(views, config)
print(f"{len(cloud)} points of {', '.join(view.name for view in views)} in {cloud.frame}")

draw_cloud(cloud, title=str(folder.name)).save("fused.png")
print("fused.png shows them")
