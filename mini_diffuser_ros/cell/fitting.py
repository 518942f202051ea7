"""Whether the parts of a cell fit the robot and one another: who sees, reaches, holds or blocks what."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.cell.cell import DRIVEN, Cell, CellCamera, frame_from_optical
from mini_diffuser_ros.cell.drivers import driver_actions
from mini_diffuser_ros.cell.fault import CellFault
from mini_diffuser_ros.cell.robot_shape import RobotShape, shape_of
from mini_diffuser_ros.geometry import inverse_transform, matrix_from_pose, quaternion_from_matrix, transform_points
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.support.settings import unknown_name

Array = NDArray[np.float64]

# The middleware's names, of which these are parts, end at 255 characters.
CAMERA_NAME = re.compile(r"(?=.{1,100}\Z)[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")
NAMESPACE = re.compile(r"(?=.{0,100}\Z)/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*/?)?")
NAMESPACE_FORM = "letters, digits and _, at most 100, as in left or lab/left"
ACTION_NAME = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
FRAME_NAME = re.compile(r"[^\s/]\S*")
USUAL_VIEW = (0.75, 0.5)
"""Tangents of half the angles of view, across and down, of a camera without intrinsics: a little wider than a D435."""
PROFILES = ("collaborative", "fast", "simulation")
"""Named sets of limits that motion has."""
REDUCED_SPEED = 0.25  # m/s, as ISO 10218-2 calls it
NEAREST = 0.1  # metres in front of a camera that it does not see
WELL_SEEN, WELL_REACHED = 0.25, 0.75  # shares of the workspace
OVERLAP = 0.01  # metres that a box may reach into the coarse shapes of the robot
TABLE_CLOUD = 0.002  # metres over the table within which depth cameras still see the table


def unknown_robot(name: str) -> CellFault:
    """A robot of which there is no description."""
    near = difflib.get_close_matches(name.lower(), DRIVEN, n=1)
    remedy = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(DRIVEN)};"
    own = "a robot of your own is the path of its folder, with a slash in it"
    return CellFault("error", "robot", f"is '{name}', of which no driver is known", f"{remedy} {own}")


def name_faults(cell: Cell, robot: RobotDescription | None) -> Iterator[CellFault]:
    """Names that nobody has, and things of which there are two; ``robot``: None where it is not known."""
    if robot is not None and not all(driver_actions(cell, robot)):
        remedy = "give arm_action and gripper.action, the names of its driver's actions"
        yield CellFault("error", "robot", f"is '{cell.robot}', of which no driver is known", remedy)
    if not cell.cameras:
        yield CellFault("error", "cameras", "are none", "name at least one")
    for name in cell.cameras:
        if not CAMERA_NAME.fullmatch(name):
            yield CellFault("error", f"cameras.{name}", "cannot be part of a topic's name", "use letters, digits and _")
    for name, camera in cell.cameras.items():
        if camera.serial != camera.serial.strip():
            remedy = f"write '{camera.serial.strip()}', without blanks"
            yield CellFault("error", f"cameras.{name}.serial", f"is '{camera.serial}'", remedy)
    named = {"arm_action": cell.arm_action, "gripper.action": cell.gripper.action}
    for place, action in named.items():
        if action and not ACTION_NAME.fullmatch(action):
            yield CellFault("error", place, f"is '{action}'", "expected a name of ROS, e.g. arm/follow")
    for name, camera in cell.cameras.items():
        if camera.frame and not FRAME_NAME.fullmatch(camera.frame):
            remedy = "expected a frame of TF, without blanks and without a slash before it"
            yield CellFault("error", f"cameras.{name}.frame", f"is '{camera.frame}'", remedy)
    devices = {name: camera.serial.strip() for name, camera in cell.cameras.items() if camera.serial}
    yield from _doubled(devices, "serial", "a device has one name; rs-enumerate-devices lists the numbers")
    yield from _doubled({name: cell.frame_of(name) for name in cell.cameras}, "frame", "give each camera its own")
    boxes = [box.name for box in cell.boxes]
    for number, name in enumerate(boxes):
        if name in boxes[:number] or name == "table":
            taken = "the table's" if name == "table" else "that of another box"
            yield CellFault("error", f"boxes.{number}.name", f"is '{name}', {taken}", "give each box its own name")


def fitting_faults(cell: Cell, unfit: Collection[str]) -> Iterator[CellFault]:
    """What does not fit the robot, the table and the workspace.

    Args:
        cell: with a robot that :func:`load_robot` knows.
        unfit: dotted names of what has faults already and is left alone.
    """
    shape = shape_of(cell.robot)
    if not _any_below("workspace", unfit) and not _any_below("table", unfit):
        yield from _workspace_faults(cell, shape)
    if not _any_below("table", unfit):
        yield from _table_faults(cell, shape)
    for number, box in enumerate(cell.boxes):
        if not _any_below(f"boxes.{number}", unfit):
            link, depth = shape.deepest_in_box(box)
            if depth > OVERLAP:
                problem = f"('{box.name}') holds {link} of the robot at home, {depth:.3f} m deep"
                yield CellFault(
                    "error", f"boxes.{number}", problem, "set center and half_extents right, or leave it out"
                )
    if not _any_below("speeds", unfit):
        yield from _speed_faults(cell, shape)
    if not _any_below("gripper", unfit) and cell.gripper.width is not None:
        widest = shape.robot.max_gripper_width
        if cell.gripper.width > widest + 1e-6:
            problem = f"is {cell.gripper.width:g} m, but the fingers of {cell.robot} open to {widest:g} m"
            yield CellFault("error", "gripper.width", problem, f"give at most {widest:g}")
    for name, camera in cell.cameras.items():
        if camera.parent and not _any_below(f"cameras.{name}", unfit):
            yield from _camera_faults(cell, name, camera, shape, workspace=not _any_below("workspace", unfit))


def _any_below(name: str, names: Collection[str]) -> bool:
    return any(one == name or one.startswith(f"{name}.") for one in names)


def _doubled(values: dict[str, str], what: str, remedy: str) -> Iterator[CellFault]:
    first: dict[str, str] = {}
    for name, value in values.items():
        if value in first:
            yield CellFault("error", f"cameras.{name}.{what}", f"is {value}, that of {first[value]}", remedy)
        first.setdefault(value, name)


def _workspace_faults(cell: Cell, shape: RobotShape) -> Iterator[CellFault]:
    lower, upper, height = cell.workspace.lower, cell.workspace.upper, cell.table.height
    if upper[2] <= height:
        problem = f"is {list(upper)}: all of the workspace lies beneath the table at z = {height:g} m"
        yield CellFault("error", "workspace.upper", problem, "set z above the table, or table.height right")
        return
    if lower[2] < height:
        problem = f"is {list(lower)}: the workspace begins {height - lower[2]:.3f} m beneath the table"
        yield CellFault(
            "error", "workspace.lower", problem, f"set its z to {height + 0.004:g}, a little above the table"
        )
    elif lower[2] < height + TABLE_CLOUD:
        remedy = f"set its z to {height + 0.004:g}, that the table is left out of the cloud"
        yield CellFault("warning", "workspace.lower", f"is {list(lower)}, on the table itself", remedy)
    elif lower[2] > height + 0.05:
        problem = f"is {list(lower)}: nothing lower than {lower[2] - height:.3f} m over the table is seen or reached"
        yield CellFault("warning", "workspace.lower", problem, f"set its z to {height + 0.004:g} if that is not meant")
    reached = float(np.mean(shape.reaches(_grid(cell))))
    text = f"lies {'wholly' if reached == 0.0 else f'to {100.0 * (1.0 - reached):.0f} %'} farther than "
    text += f"{shape.reach:.2f} m from the shoulder of {cell.robot}"
    if reached < 0.5:
        yield CellFault("error", "workspace", text, "give the box in the base frame, within the arm's reach")
    elif reached < WELL_REACHED:
        yield CellFault("warning", "workspace", text, "make it smaller: keyframes out of reach are refused")
    tool = shape.tool_at_home
    if not np.all((np.array(lower) <= tool) & (tool <= np.array(upper))):
        at = ", ".join(f"{value:.3f}" for value in tool)
        yield CellFault("warning", "workspace", f"leaves out the tool at home ({at})", "let it hold the home pose")


def _table_faults(cell: Cell, shape: RobotShape) -> Iterator[CellFault]:
    link, lowest = shape.lowest_at_home()
    if cell.table.height > lowest:
        problem = f"is {cell.table.height:g} m, but {link} at home reaches down to {lowest:.3f} m"
        yield CellFault("error", "table.height", problem, "measure it from the robot's base, metres, upwards")


def _speed_faults(cell: Cell, shape: RobotShape) -> Iterator[CellFault]:
    speed, maker = cell.speeds.max_tool_speed, shape.robot.cartesian_limits
    if speed is not None and maker is not None and speed > maker.velocity:
        problem = f"is {speed:g} m/s, but the maker of {cell.robot} allows {maker.velocity:g} m/s"
        yield CellFault("error", "speeds.max_tool_speed", problem, f"give at most {maker.velocity:g}")
    elif speed is not None and speed > REDUCED_SPEED and cell.speeds.profile in (None, "collaborative"):
        problem = (
            f"is {speed:g} m/s, but with people beside the arm (profile collaborative) it is {REDUCED_SPEED:g} m/s"
        )
        yield CellFault(
            "error", "speeds.max_tool_speed", problem, f"give at most {REDUCED_SPEED:g}, or another profile"
        )
    profile = cell.speeds.profile
    if profile is not None and profile not in PROFILES and "/" not in profile:
        problem = unknown_name(profile, PROFILES, "profile")
        yield CellFault("error", "speeds.profile", f"is '{profile}': {problem}", "a file of your own has a slash in it")
    elif profile is not None and "/" in profile and not Path(profile).is_file():
        yield CellFault("error", "speeds.profile", f"is '{profile}', where no file is", "give the path of the file")
    percent = cell.speeds.speed
    if percent == 1.0:
        yield CellFault("warning", "speeds.speed", "is 1 percent", "write 100 if a share is meant")


def _camera_faults(
    cell: Cell, name: str, camera: CellCamera, shape: RobotShape, workspace: bool
) -> Iterator[CellFault]:
    place = f"cameras.{name}"
    if camera.parent not in shape.links_at_home:
        yield _unknown_parent(place, camera.parent, cell, shape)
        return
    base_from_frame = shape.links_at_home[camera.parent] @ camera.parent_from_camera
    position = base_from_frame[:3, 3]
    at = f"at z = {position[2]:.3f} m" + ("" if camera.parent == shape.robot.base_frame else ", with the arm at home")
    if position[2] < cell.table.height:
        problem = f"puts it {at}, inside the table, whose top is at {cell.table.height:g} m"
        yield CellFault("error", f"{place}.translation", problem, "expected metres in the parent frame, upwards")
    link, depth = shape.deepest_at_point(position)
    if depth > OVERLAP:
        problem = f"is {list(camera.translation or ())}, {depth:.3f} m inside of {link}"
        yield CellFault("error", f"{place}.translation", problem, f"give the place of the camera in {camera.parent}")
    elif workspace:
        yield from _view_faults(cell, name, camera, shape, base_from_frame)


def _view_faults(
    cell: Cell, name: str, camera: CellCamera, shape: RobotShape, base_from_frame: Array
) -> Iterator[CellFault]:
    """Whether the camera looks at the workspace; one on the arm, at what is before the fingers or in the workspace."""
    at_base = camera.parent == shape.robot.base_frame
    points = _grid(cell) if at_base else np.concatenate([_grid(cell), shape.before_the_fingers()])
    lens = frame_from_optical(cell.frame_of(name))
    share = _share_seen(base_from_frame @ lens, camera, points)
    if share >= WELL_SEEN or (share > 0.0 and not at_base):
        return
    hint = _hint(cell, camera, shape.links_at_home[camera.parent], points, lens, 2.0 * share)
    if share == 0.0:
        problem = "looks away from the workspace: none of it is in its view"
        remedy = f"expected the pose of {cell.frame_of(name)} in {camera.parent}{hint}"
        yield CellFault("error", f"cameras.{name}", problem, remedy)
    else:
        problem = f"sees {100.0 * share:.0f} % of the workspace"
        yield CellFault(
            "warning", f"cameras.{name}", problem, f"turn it, move it back or make the workspace smaller{hint}"
        )


def _hint(
    cell: Cell, camera: CellCamera, base_from_parent: Array, points: Array, frame_from_lens: Array, least: float
) -> str:
    """What to write if the pose was meant otherwise, where the camera would see more so; empty if none is better."""
    best, hint = max(WELL_SEEN, least), ""
    for meaning, parent_from_frame in _mistaken(camera):
        pose = base_from_parent @ parent_from_frame @ frame_from_lens
        share = _share_seen(pose, camera, points)
        if share >= best and pose[2, 3] >= cell.table.height:
            turned = ", ".join(f"{value + 0.0:.4f}" for value in quaternion_from_matrix(parent_from_frame).round(4))
            place = ", ".join(f"{value + 0.0:.4g}" for value in parent_from_frame[:3, 3].round(6))
            best, hint = share, f"; {meaning}: write translation [{place}], quaternion [{turned}]"
    return hint


def _mistaken(camera: CellCamera) -> Iterator[tuple[str, Array]]:
    """What else the pose may have been meant as: words for it, and parent_from_frame (4, 4)."""
    written = camera.parent_from_camera
    yield "seen if this is the parent in the camera instead", inverse_transform(written)
    if camera.quaternion is not None:
        w, x, y, z = camera.quaternion
        yield "seen if w was written first", matrix_from_pose((*written[:3, 3], x, y, z, w))
    yield "seen if this is the pose of the camera's body, x forward", written @ frame_from_optical("body")
    transposed = written.copy()
    transposed[:3, :3] = written[:3, :3].T
    yield "seen if the rotation is transposed", transposed


def _share_seen(base_from_optical: Array, camera: CellCamera, points: Array) -> float:
    x, y, z = transform_points(inverse_transform(base_from_optical), points).T
    lens = camera.intrinsics
    if lens is None:
        across, down = USUAL_VIEW
        inside = (np.abs(x) <= across * z) & (np.abs(y) <= down * z)
    else:
        u, v = lens.fx * x + lens.cx * z, lens.fy * y + lens.cy * z
        inside = (u >= 0.0) & (u <= lens.width * z) & (v >= 0.0) & (v <= lens.height * z)
    return float(np.mean(inside & (z > NEAREST)))


def _unknown_parent(place: str, parent: str, cell: Cell, shape: RobotShape) -> CellFault:
    for other in DRIVEN:
        if parent in {link.name for link in load_robot(other).links}:
            frames = f"{shape.robot.base_frame} or {shape.robot.hand_frame}"
            problem = f"is '{parent}', a frame of {other}, but the robot is {cell.robot}"
            return CellFault("error", f"{place}.parent", problem, f"expected {frames}, or set robot right")
    near = difflib.get_close_matches(parent, shape.links_at_home, n=1, cutoff=0.8)
    if near:
        return CellFault(
            "error", f"{place}.parent", f"is '{parent}', no frame of {cell.robot}", f"did you mean {near[0]}?"
        )
    remedy = f"its pose is taken as it is; with {shape.robot.base_frame} or {shape.robot.hand_frame} it can be checked"
    return CellFault("warning", f"{place}.parent", f"is '{parent}', no frame of {cell.robot}", remedy)


def _grid(cell: Cell) -> Array:
    """Points (N, 3) all over the workspace."""
    axes = [np.linspace(low, high, 6) for low, high in zip(cell.workspace.lower, cell.workspace.upper, strict=True)]
    return np.array(list(product(*axes)))
