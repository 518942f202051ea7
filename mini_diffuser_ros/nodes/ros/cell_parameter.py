"""The parameter by which a node reads the file of its cell, what the cell says where no parameter does, and boxes."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from mini_diffuser_ros.cell import Cell, driver_actions, read_cell
from mini_diffuser_ros.cell.quantities import check_numbers
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.records import StaticBox
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.settings import not_expected, unknown_name

DEFAULT_CAMERAS = ("front", "left_shoulder", "wrist")
"""Names of the cameras where no cell gives any: those of the simulated table."""
BOX_NUMBERS = 7
BOXES = (
    "obstacles: seven numbers a box, center x y z, half extents x y z (metres, robot's base frame) and yaw (radians), "
    "one box after another"
)


def cell_from(node: Node, parameters: Parameters) -> Cell | None:
    """Declare ``cell`` and read the file that it names; None if it names none.

    Raises:
        CellError: the file cannot be read, or something in it does not fit.
    """
    path = parameters.text(
        "cell", "", "file of the cell, as config/cells/example.yaml; what it says goes before the defaults here"
    )
    if not path:
        return None
    cell = read_cell(path)
    node.get_logger().info(f"cell {path}: {cell.robot}, cameras {', '.join(cell.cameras)}, {len(cell.boxes)} boxes")
    return cell


def cameras_from(
    parameters: Parameters, cell: Cell | None, description: str, default: Sequence[str] = DEFAULT_CAMERAS
) -> list[str]:
    """Declare ``cameras``, names of cameras: those of the cell, without one the default.

    Raises:
        NodeError: one is not in the cell.
    """
    known = list(default) if cell is None else list(cell.cameras)
    names = parameters.texts("cameras", known, description)
    for name in names:
        if cell is not None and name not in known:
            raise NodeError(f"parameter cameras: the cell has no '{name}': {unknown_name(name, known, 'camera')}")
    return names


def drivers_from(parameters: Parameters, cell: Cell | None, robot: RobotDescription) -> tuple[str, str]:
    """Declare ``arm_action`` and ``gripper_action``: those of the cell, where it names none those of the robot.

    Raises:
        NodeError: neither says how the arm's is called.
    """
    named, _ = driver_actions(cell, robot)
    arm = parameters.text("arm_action", named, "FollowJointTrajectory action of the arm")
    if not arm:
        raise NodeError(f"parameter arm_action is empty, and no driver of {robot.name} is known: name the arm's action")
    return arm, gripper_action_from(parameters, cell, robot)


def gripper_action_from(parameters: Parameters, cell: Cell | None, robot: RobotDescription) -> str:
    """Declare ``gripper_action`` as :func:`drivers_from`; empty where there is none."""
    _, named = driver_actions(cell, robot)
    return parameters.text(
        "gripper_action",
        named,
        "GripperCommand action of the gripper; grasp and move of franka_msgs are used where they lie beside it",
    )


def boxes_from(numbers: tuple[float, ...]) -> tuple[StaticBox, ...]:
    """Boxes, named after their place in the list, of a flat list as :data:`BOXES` describes it.

    Raises:
        SettingsError: if it does not hold seven numbers a box, or numbers that cannot be metres and radians.
    """
    if len(numbers) % BOX_NUMBERS:
        raise not_expected(
            "planner.boxes", f"{len(numbers)} numbers", "seven numbers a box: center, half extents, yaw", "parameters"
        )
    for start in range(0, len(numbers), BOX_NUMBERS):
        for kind, of_box in (("center", slice(0, 3)), ("half_extents", slice(3, 6)), ("yaw", slice(6, 7))):
            values = numbers[start : start + BOX_NUMBERS][of_box]
            name = f"planner.boxes, {kind} of box {start // BOX_NUMBERS + 1},"
            check_numbers(name, f"boxes.*.{kind}", values, "parameters")
    rows = [numbers[start : start + BOX_NUMBERS] for start in range(0, len(numbers), BOX_NUMBERS)]
    return tuple(
        StaticBox(f"box_{number}", (x, y, z), (half_x, half_y, half_z), yaw)
        for number, (x, y, z, half_x, half_y, half_z, yaw) in enumerate(rows, start=1)
    )
