"""extrinsics_node: the frames of cameras that are fixed to something, from the cell's file onto /tf_static."""

from __future__ import annotations

from typing import NoReturn

from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster

from mini_diffuser_ros.cell import Cell
from mini_diffuser_ros.nodes.ros.cell_parameter import cameras_from, cell_from
from mini_diffuser_ros.nodes.ros.messages import transform_from_matrix
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError, run_node


class ExtrinsicsNode(ManagedNode):
    """Publishes once, latched, where each camera is; a camera without a parent in the file is left to others."""

    threads = 2

    def __init__(self) -> None:
        super().__init__("extrinsics_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        if cell is None:
            raise NodeError("parameter cell names no file; config/cells/example.yaml shows how one looks")
        names = cameras_from(parameters, cell, "names of the cameras to publish")
        fixed = [name for name in names if cell.cameras[name].parent]
        transforms = [self._transform(cell, name) for name in fixed]
        self._broadcaster = StaticTransformBroadcaster(self)
        if transforms:
            self._broadcaster.sendTransform(transforms)
        for name in fixed:
            camera = cell.cameras[name]
            self.get_logger().info(f"{cell.frame_of(name)} is at {camera.translation} in {camera.parent}")
        for name in sorted(set(names) - set(fixed)):
            self.get_logger().info(f"{name} has no parent in the cell: its TF has to come from elsewhere")

    def _transform(self, cell: Cell, name: str) -> TransformStamped:
        camera = cell.cameras[name]
        return TransformStamped(
            header=Header(stamp=self.get_clock().now().to_msg(), frame_id=camera.parent),
            child_frame_id=cell.frame_of(name),
            transform=transform_from_matrix(camera.parent_from_camera),
        )


def main() -> NoReturn:
    """Entry point of the executable ``extrinsics_node``."""
    run_node(ExtrinsicsNode)


if __name__ == "__main__":
    main()
