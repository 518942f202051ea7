"""What bringup.launch.py starts for its arguments, and which arguments it refuses."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.bringup.parameter_file import check_parameter_file
from mini_diffuser_ros.bringup.policy_choice import chosen_policy, shipped_policy
from mini_diffuser_ros.cell import CAMERA_NAME, DRIVEN, NAMESPACE, NAMESPACE_FORM, Cell, read_cell
from mini_diffuser_ros.data.bags.mcap import require_mcap
from mini_diffuser_ros.running.policy_world import CONSENT
from mini_diffuser_ros.support.files import try_writing
from mini_diffuser_ros.support.settings import SettingsError, unknown_name

READ_CELL = frozenset(
    (
        "perception_node",
        "recorder_node",
        "bag_node",
        "motion_node",
        "guard_node",
        "run_node",
        "realsense_node",
        "extrinsics_node",
    )
)
"""Nodes with a parameter ``cell``: robot, cameras, names of drivers, gripper and limits they read in the file."""
NODES = READ_CELL | {"policy_node", "sim_node", "page_node"}
"""All that a launch may start."""
Value = str | int | float | bool | list[str]
SIMULATED_CAMERAS = ("front", "left_shoulder", "wrist")
PATHS = ("cell", "checkpoint", "params", "profile", "runs", "recordings", "bags")
OUTCOME = "outcome"
"""File in the launch's folder: the line about how its sentence ended."""
MOST_CHARACTERS = 1000
"""Of an argument: a longer one is no sentence, and no path that a person has typed."""
RVIZ_TOPICS = (
    "mini_diffuser/cloud",
    "mini_diffuser/markers",
    "mini_diffuser/planned",
    "robot_description",
    "front/color/image_raw",
    "left_shoulder/color/image_raw",
    "wrist/color/image_raw",
)
"""Topics in config/mini_diffuser.rviz, which a namespace moves."""
SIMULATED_TOPICS = ("tf", "tf_static", "clock")
"""Topics at the root of the graph that a simulated arm in a namespace has to itself: every one has the same frames."""


def moved_topics(namespace: str, simulated: bool) -> list[tuple[str, str]]:
    """Remapping rules of a stack in a namespace, for topics that its nodes name from the root.

    Frames of real arms differ as their drivers name them, and all share a TF tree; simulated ones are all alike.
    """
    below = namespace.strip("/")
    return [(f"/{topic}", f"/{below}/{topic}") for topic in SIMULATED_TOPICS] if below and simulated else []


@dataclass(frozen=True)
class Bringup:
    """The stack that a launch starts.

    Attributes:
        robot: ``sim``, or the name of a real arm.
        nodes: executables of the nodes without which nothing works; the guard is a process of its own, whatever else
            shares one.
        run: whether run_node sends a sentence.
        record: whether recorder_node runs.
        bag: whether bag_node runs.
        overrides: node: parameter: value, for what the launch's arguments say.
    """

    robot: str
    nodes: tuple[str, ...]
    run: bool
    record: bool
    bag: bool
    overrides: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    def parameter_file(self) -> str:
        """The overrides as a ROS parameter file. A text stays one, though it may look like a number: it is quoted."""
        lines = []
        for node, values in ((node, values) for node, values in self.overrides.items() if values):
            lines += [f"/**/{node}:", "  ros__parameters:"]
            lines += [f"    {name}: {_yaml(value)}" for name, value in values.items()]
        return "\n".join(lines) + "\n"


def _yaml(value: Value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, str):
        return str(yaml.safe_dump(value, default_style='"', width=float("inf"))).strip()
    return str(value).lower()


def plan_bringup(arguments: Mapping[str, str], session: Path, shipped: Path) -> Bringup:
    """The stack for a launch's arguments.

    Args:
        arguments: by their names.
        session: folder that lives as long as the launch, for what a respawned node has to know.
        shipped: checkpoint of the simulated table.

    Raises:
        BringupError, CellError, CheckpointError: in one line, which argument cannot be followed, and what to do.
    """
    for name, text in arguments.items():
        _check_text(name, text)
    cell = read_cell(arguments["cell"]) if arguments["cell"] else None
    robot = _robot(arguments["robot"], cell)
    simulated = robot == "sim"
    instruction = arguments["instruction"].strip()
    recorded = arguments["record"] == "true"
    _check_togetherness(arguments, simulated, instruction)
    _check_namespace(arguments["namespace"])
    cameras = _cameras(arguments["cameras"], simulated, cell)
    sensor = _sensor(arguments["sensor"])
    own = shipped_policy(shipped, sensor)
    checkpoint = chosen_policy(arguments["checkpoint"], robot, own, arguments[CONSENT] == "true")
    seed = _seed(arguments["seed"])
    if arguments["params"] and not os.path.isfile(arguments["params"]):
        raise BringupError(f"params:={arguments['params']} is no file; name a ROS parameter file, or leave it out")
    if arguments["params"]:
        check_parameter_file(arguments["params"], arguments["namespace"], NODES)
    device = _device(arguments["device"])
    bagged = arguments["record"] == "bag"
    if bagged:
        require_mcap()

    # A cell names its cameras itself, in the file that its nodes read.
    shown: dict[str, Value] = {"cameras": list(cameras)} if cell is None or arguments["cameras"] else {}
    motion: dict[str, Value] = {"stop_file": str(session / "stop")}
    if arguments["speed"]:
        motion["speed"] = _speed(arguments["speed"])
    motion.update({name: arguments[name] == "true" for name in ("confirm", "dry_run")})
    if arguments["profile"]:
        motion["profile"] = _profile(arguments["profile"])
    elif cell is not None and cell.speeds.profile:
        _profile(cell.speeds.profile)
    overrides: dict[str, dict[str, Value]] = {
        "perception_node": {**shown, "checkpoint": checkpoint},
        "policy_node": {
            "checkpoint": checkpoint,
            "device": device,
            "seed": seed,
            CONSENT: simulated or arguments[CONSENT] == "true",
            "accept_unfamiliar": arguments["accept_unfamiliar"] == "true",
        },
        "motion_node": motion,
        "guard_node": {},
    }
    if simulated:
        overrides["sim_node"] = {"instruction": instruction, "seed": seed, "sensor": sensor}
    if arguments["camera_driver"] == "realsense":
        _check_serials(cameras, cell)
        overrides["realsense_node"] = dict(shown)
    if cell is not None and any(cell.cameras[name].parent for name in cameras):
        overrides["extrinsics_node"] = dict(shown)
    nodes = tuple(overrides)
    if instruction:
        overrides["run_node"] = {
            **shown,
            "instruction": instruction,
            "runs": arguments["runs"],
            "outcome_file": str(session / OUTCOME),
        }
    if recorded:
        # In one process the recorder is closed after the run; a process of its own has to know that no other run comes.
        last = arguments["exit_on_done"] == "true" and arguments["composed"] == "false"
        overrides["recorder_node"] = {
            **shown,
            "mark": "runs",
            "folder": arguments["recordings"],
            "exit_on_done": last,
        }
    if bagged:
        last = arguments["exit_on_done"] == "true" and arguments["composed"] == "false"
        overrides["bag_node"] = {**shown, "folder": arguments["bags"], "exit_on_done": last}
    if cell is not None:
        for node in overrides.keys() & READ_CELL:
            overrides[node]["cell"] = os.path.abspath(arguments["cell"])
    for name, written in (("runs", instruction), ("recordings", recorded), ("bags", bagged)):
        if written:
            _open_output(name, arguments[name])
    return Bringup(robot, nodes, bool(instruction), recorded, bagged, overrides)


def _robot(text: str, cell: Cell | None) -> str:
    """``sim``, or the name of a real arm."""
    if cell is None:
        known = ("sim", *DRIVEN)
        if text and text not in known:
            raise BringupError(f"robot:={text} is not known; known are {', '.join(known)}, and that of a cell:=FILE")
        return text or "sim"
    if text and text != cell.robot:
        own = "brings its own cell: leave out cell" if text == "sim" else f"is not the cell's, which is {cell.robot}"
        raise BringupError(f"robot:={text} {own}")
    return cell.robot


def _cameras(text: str, simulated: bool, cell: Cell | None) -> tuple[str, ...]:
    """Names of the cameras; left out, all that the cell has, or those of the simulation."""
    known = SIMULATED_CAMERAS if cell is None else tuple(cell.cameras)
    names = camera_names(text) if text else known
    for name in names:
        if name not in known and (simulated or cell is not None):
            where = "robot:=sim" if simulated else "the cell"
            raise BringupError(f"cameras:={text}, but {where} has no '{name}': {unknown_name(name, known, 'camera')}")
    return names


def _check_serials(cameras: Sequence[str], cell: Cell | None) -> None:
    """RealSense cameras are told apart by their serial numbers; a single one needs none."""
    serials = [cell.cameras[name].serial if cell is not None else "" for name in cameras]
    if len(cameras) > 1 and "" in serials:
        raise BringupError(
            f"camera_driver:=realsense needs the serial number of '{cameras[serials.index('')]}' to tell the cameras "
            "apart: cell:=FILE, as in config/cells/example.yaml"
        )


def camera_names(text: str) -> tuple[str, ...]:
    """Names of cameras separated by commas.

    Raises:
        BringupError: there are none, one comes twice, or one cannot be part of a topic's name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BringupError(f"cameras:='{text}' names no camera; expected names such as front,wrist")
    for name in names:
        if not CAMERA_NAME.fullmatch(name):
            raise BringupError(
                f"cameras:={text}: '{name}' cannot be part of a topic's name; expected letters, digits and _"
            )
        if names.count(name) > 1:
            raise BringupError(f"camera '{name}' is named twice in cameras:={text}")
    return tuple(names)


def _check_togetherness(arguments: Mapping[str, str], simulated: bool, instruction: str) -> None:
    """Arguments that contradict each other."""
    if arguments["exit_on_done"] == "true" and not instruction:
        raise BringupError("exit_on_done:=true needs an instruction, e.g. instruction:='press the blue button'")
    if arguments["sensor"] and not simulated:
        raise BringupError("sensor is that of simulated cameras, robot:=sim: leave it out")
    if simulated and arguments["camera_driver"] != "none":
        raise BringupError("robot:=sim brings its own cameras: leave out camera_driver")
    if arguments["composed"] == "true" and arguments["respawn"] == "true" and instruction:
        raise BringupError(
            "composed:=true with respawn:=true would obey the instruction again after a crash: leave out one of them"
        )


def _check_namespace(text: str) -> None:
    if not NAMESPACE.fullmatch(text):
        raise BringupError(f"namespace:='{text}' cannot be a namespace of ROS: expected {NAMESPACE_FORM}")


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0.01 <= speed <= 1.0:
        raise BringupError(f"speed:={text} is no fraction of the profile's velocities, from 0.01 to 1")
    return speed


def _sensor(text: str) -> str:
    if not text:
        return "perfect"
    # Simulation takes time to import, which a launch without this argument need not wait for.
    from mini_diffuser_ros.simulation.sensor import sensor_of

    try:
        return str(sensor_of(text))
    except SettingsError as error:
        raise BringupError(f"sensor:={text}: {error}") from error


def _profile(text: str) -> str:
    # Planning takes a second to import, which a launch without this argument need not wait for.
    from mini_diffuser_ros.motion.profiles import load_profile

    try:
        load_profile(text)
    except SettingsError as error:
        raise BringupError(f"profile:={text}: {error}") from error
    return os.path.abspath(text) if "/" in text else text


def _check_text(argument: str, text: str) -> None:
    """Refuse what cannot be on a line, or in a file of parameters."""
    if len(text) > MOST_CHARACTERS:
        raise BringupError(
            f"{argument}:={text[:40]}... has {len(text)} characters, at most {MOST_CHARACTERS} are taken; shorten it"
        )
    strange = next((one for one in text if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")), None)
    if strange is not None:
        raise BringupError(
            f"{argument}:={text!r} has the character {strange!r}, which is none of a line of UTF-8; leave it out"
        )

    if argument in PATHS and text.startswith("~"):
        raise BringupError(f'{argument}:={text}: no shell expands ~ after :=, give the whole path, or "$HOME/..."')


def _device(text: str) -> str:
    if text != "cpu":
        # PyTorch takes seconds to import, which a launch on the CPU need not wait for.
        from mini_diffuser_ros.policy.policy import checked_device

        try:
            checked_device(text)
        except ValueError as error:
            raise BringupError(f"device:={text}: {error}; device:=cpu computes without a GPU") from error
    return text


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise BringupError(f"seed '{text}' is no whole number from 0 to {2**31 - 1}")
    return int(text)


def _open_output(argument: str, text: str) -> None:
    """Write into the folder of an argument, before anything starts that is to write there."""
    try:
        try_writing(text)
    except OSError as error:
        reason = error.strerror or error
        raise BringupError(f"{argument}:={text} cannot be written into ({reason}); choose another folder") from error
