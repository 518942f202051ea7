"""What is asked of the nodes of a stack once: robot, cell, sentences that the policy knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import GetParameters

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls
from mini_diffuser_ros.nodes.ros.cell_parameter import boxes_from
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.records import StaticBox, Workspace
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.running.recovery import RecoveryError
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.viewing.live.sights import StandingThings

OF_MOTION = ("robot", "cell", "planner.workspace.lower", "planner.workspace.upper")
OF_BOXES = ("planner.boxes",)  # asked for by itself: of a list with one that has no value rclpy answers nothing


@dataclass(frozen=True, kw_only=True)
class MotionFacts:
    """What motion_node plans with: the robot, and what stands still."""

    robot: RobotDescription
    standing: StandingThings


def motion_facts(calls: ServiceCalls) -> MotionFacts | None:
    """What the running motion_node plans with; None where there is none that answers.

    Raises:
        UserError: it names a robot that is not known here, or numbers that are no boxes.
    """
    try:
        values, boxes = (_parameters(calls, "motion_node", names) for names in (OF_MOTION, OF_BOXES))
    except RecoveryError:  # it serves before it answers: what it loads meanwhile takes a busy machine its time
        return None
    if values is None:
        return None
    robot, cell, lower, upper = values
    low, high = (list(map(float, each.double_array_value)) for each in (lower, upper))
    known = len(low) == len(high) == 3
    workspace = Workspace((low[0], low[1], low[2]), (high[0], high[1], high[2])) if known else None
    own = boxes_from(tuple(map(float, boxes[0].double_array_value))) if boxes else ()
    standing = StandingThings(workspace=workspace, boxes=(*_of_cell(cell.string_value), *own))
    return MotionFacts(robot=load_robot(robot.string_value), standing=standing)


def known_sentences(calls: ServiceCalls) -> tuple[list[str], str] | None:
    """Sentences that the running policy was taught, and a line where they are not known; None where none answers."""
    try:
        values = _parameters(calls, "policy_node", ("checkpoint",))
    except RecoveryError:  # as above
        return None
    if values is None:
        return None
    try:
        tasks = read_checkpoint(values[0].string_value, with_knowledge=False).tasks
    except (UserError, OSError) as error:  # it may lie on another machine
        return [], f"the policy's sentences cannot be read here: {one_line(error)}"
    # One of each task, then the next of each: a list of suggestions is cut off somewhere.
    most = max(map(len, tasks.values()), default=0)
    return [sentences[k] for k in range(most) for sentences in tasks.values() if k < len(sentences)], ""


def _parameters(calls: ServiceCalls, node: str, names: tuple[str, ...]) -> list[Any] | None:
    """Values of a node's parameters; None where there is no such node, or it has not all of them.

    Raises:
        RecoveryError: it does not answer.
    """
    service = f"{node}/get_parameters"
    if not calls.is_there(GetParameters, service):
        return None
    values = list(calls.call(GetParameters, service, GetParameters.Request(names=list(names))).values)
    return values if len(values) == len(names) else None


def _of_cell(path: str) -> tuple[StaticBox, ...]:
    return read_cell(path).boxes if path and Path(path).is_file() else ()
