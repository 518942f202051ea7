"""extrinsics_node: the frames of cameras that are fixed to something, from a file onto /tf_static."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster

from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, run_node
from mini_diffuser_ros.perception.camera_file import FixedCamera, read_camera_file


class ExtrinsicsNode(ManagedNode):
    """Publishes once, latched, where each camera is; a camera without a parent in the file is left to others."""

    threads = 2

    def __init__(self) -> None:
        super().__init__("extrinsics_node")
        parameters = Parameters(self)
        path = parameters.text("cameras_file", "config/cameras.yaml", "YAML file with the cameras' poses")
        names = parameters.texts("cameras", ["front", "wrist"], "names of the cameras to publish")
        fixed = [camera for camera in read_camera_file(Path(path), names) if camera.parent]
        self._broadcaster = StaticTransformBroadcaster(self)
        if fixed:
            self._broadcaster.sendTransform([self._transform(camera) for camera in fixed])
        for camera in fixed:
            self.get_logger().info(f"{camera.frame} is at {camera.translation} in {camera.parent}")
        for name in sorted(set(names) - {camera.name for camera in fixed}):
            self.get_logger().info(f"{name} has no parent in {path}: its TF has to come from elsewhere")

    def _transform(self, camera: FixedCamera) -> TransformStamped:
        x, y, z, w = camera.quaternion
        across, along, up = camera.translation
        return TransformStamped(
            header=Header(stamp=self.get_clock().now().to_msg(), frame_id=camera.parent),
            child_frame_id=camera.frame,
            transform=Transform(translation=Vector3(x=across, y=along, z=up), rotation=Quaternion(x=x, y=y, z=z, w=w)),
        )


def main() -> NoReturn:
    """Entry point of the executable ``extrinsics_node``."""
    run_node(ExtrinsicsNode)


if __name__ == "__main__":
    main()
