"""The actions by which a gripper is commanded: those of franka_msgs where a driver serves them, GripperCommand else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

from action_msgs.msg import GoalStatus
from control_msgs.action import GripperCommand
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.cell import Cell
from mini_diffuser_ros.nodes.motion.controller_client import ControllerClient
from mini_diffuser_ros.nodes.motion.controller_state import FRANKA_GRIPPER, beside
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.printable import printable
from mini_diffuser_ros.support.settings import bounded, check_fields


@dataclass(frozen=True)
class GripperCommandConfig:
    """How a gripper is commanded.

    Attributes:
        force: newtons that the gripper may squeeze with.
        speed: metres a second by which the distance of the fingers changes; only franka_msgs/Grasp and Move take it.
        opening: fraction of the largest width that is asked for to open. A homed gripper may measure its own range a
            little smaller, and refuses more.
        width: metres of the objects that are grasped; only franka_msgs/Grasp takes it.
        epsilon_inner: metres by which they may be narrower for the driver to call the grasp good. What it calls it
            decides nothing here: the measured fingers do.
        epsilon_outer: metres by which they may be wider.
    """

    force: float = bounded(20.0, 0.0, 140.0)
    speed: float = bounded(0.1, 0.005, 0.5)
    opening: float = bounded(0.98, 0.01, 1.0)
    width: float = bounded(0.0, 0.0, 0.2)
    epsilon_inner: float = bounded(0.2, 0.0, 0.2)
    epsilon_outer: float = bounded(0.2, 0.0, 0.2)

    def __post_init__(self) -> None:
        check_fields(self)


def opened_in(cell: Cell | None, robot: RobotDescription) -> float:
    """The fraction of its largest width to which a robot's gripper opens in a cell."""
    if cell is None or cell.gripper.width is None:
        return 1.0
    return min(1.0, cell.gripper.width / robot.max_gripper_width)


def command_in(cell: Cell | None, robot: RobotDescription) -> GripperCommandConfig:
    """How the gripper is commanded in a cell, where no parameter says otherwise."""
    usual = GripperCommandConfig()
    force = usual.force if cell is None or cell.gripper.force is None else cell.gripper.force
    return replace(usual, force=force, opening=min(usual.opening, opened_in(cell, robot)))


@dataclass(frozen=True)
class Verdict:
    """What a driver says about a command.

    Attributes:
        good: whether it reports success, or fingers that press on something.
        text: the same in a few words.
    """

    good: bool
    text: str


class GripperCommandActions:
    """control_msgs/GripperCommand: position of one finger and effort, as MoveIt and franka_gripper take it.

    Args:
        node: that sends the goals.
        name: of the action.
        group: of all callbacks.
        config: forces and widths.
        finger_travel: metres that one finger has.
    """

    def __init__(
        self, node: Node, name: str, group: CallbackGroup, config: GripperCommandConfig, finger_travel: float
    ) -> None:
        self._config = config
        self._finger_travel = finger_travel
        self.clients = (ControllerClient(node, GripperCommand, name, group),)

    def are_there(self) -> bool:
        """Whether a driver serves them."""
        return self.clients[0].is_there()

    def command(self, opens: bool) -> tuple[ControllerClient, Any]:
        """Where a goal goes to, and the goal."""
        goal = GripperCommand.Goal()
        goal.command.position = self._config.opening * self._finger_travel if opens else 0.0
        goal.command.max_effort = self._config.force
        return self.clients[0], goal

    @staticmethod
    def verdict(wrapped: Any) -> Verdict:
        """What the driver says of a goal that has ended."""
        result = wrapped.result
        flags = f"reached_goal {str(result.reached_goal).lower()}, stalled {str(result.stalled).lower()}"
        return Verdict(bool(result.reached_goal or result.stalled), f"{_ended(wrapped.status)}, {flags}")


class FrankaActions:
    """Grasp and Move of franka_msgs, which lie beside the driver's GripperCommand action.

    Args:
        node: that sends the goals.
        actions: the module ``franka_msgs.action``.
        name: of the driver's GripperCommand action.
        group: of all callbacks.
        config: forces and widths.
        max_width: metres between the fingers of the open gripper.
    """

    def __init__(
        self,
        node: Node,
        actions: ModuleType,
        name: str,
        group: CallbackGroup,
        config: GripperCommandConfig,
        max_width: float,
    ) -> None:
        self._actions = actions
        self._config = config
        self._max_width = max_width
        grasp, move = (beside(name, part) for part in FRANKA_GRIPPER)
        self._grasp = ControllerClient(node, actions.Grasp, grasp, group)
        self._move = ControllerClient(node, actions.Move, move, group)
        self.clients = (self._grasp, self._move)

    def are_there(self) -> bool:
        """Whether a driver serves them."""
        return all(client.is_there() for client in self.clients)

    def command(self, opens: bool) -> tuple[ControllerClient, Any]:
        """Where a goal goes to, and the goal."""
        config = self._config
        if opens:
            return self._move, self._actions.Move.Goal(width=config.opening * self._max_width, speed=config.speed)
        goal = self._actions.Grasp.Goal(width=config.width, speed=config.speed, force=config.force)
        goal.epsilon.inner, goal.epsilon.outer = config.epsilon_inner, config.epsilon_outer
        return self._grasp, goal

    @staticmethod
    def verdict(wrapped: Any) -> Verdict:
        """What the driver says of a goal that has ended."""
        result = wrapped.result
        reason = f", {printable(result.error)}" if result.error else ""
        return Verdict(bool(result.success), f"{_ended(wrapped.status)}, success {str(result.success).lower()}{reason}")


def franka_actions() -> ModuleType | None:
    """The module ``franka_msgs.action``, None where its package is not installed: only Franka's drivers bring it."""
    try:
        return import_module("franka_msgs.action")
    except ImportError:
        return None


def _ended(status: int) -> str:
    names = {GoalStatus.STATUS_SUCCEEDED: "succeeded", GoalStatus.STATUS_ABORTED: "aborted"}
    return names.get(status, f"ended with status {status}")
