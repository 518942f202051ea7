"""The parameter by which a node reads the file of its cell."""

from __future__ import annotations

from rclpy.node import Node

from mini_diffuser_ros.cell import Cell, read_cell
from mini_diffuser_ros.nodes.ros.parameters import Parameters


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
