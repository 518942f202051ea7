"""What the drivers of a cell are called."""

from __future__ import annotations

from mini_diffuser_ros.cell.cell import Cell
from mini_diffuser_ros.robots import RobotDescription


def driver_actions(cell: Cell | None, robot: RobotDescription) -> tuple[str, str]:
    """Names of the actions of arm and gripper: those that the cell gives, else the robot's; empty if neither does."""
    arm, gripper = ("", "") if cell is None else (cell.arm_action, cell.gripper.action)
    return arm or robot.arm_action, gripper or robot.gripper_action
