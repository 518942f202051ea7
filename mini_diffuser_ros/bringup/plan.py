"""What bringup.launch.py starts for its arguments, and which arguments it refuses."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mini_diffuser_ros.perception.camera_file import FixedCamera, read_camera_file
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError

Value = str | int | bool | list[str]
CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")
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


class BringupError(UserError, ValueError):
    """Arguments of the launch that cannot be followed."""


@dataclass(frozen=True)
class Bringup:
    """The stack that a launch starts.

    Attributes:
        nodes: executables of the nodes without which nothing works; the guard is a process of its own, whatever else
            shares one.
        run: whether run_node sends a sentence.
        record: whether recorder_node runs.
        overrides: node: parameter: value, for what the launch's arguments say.
    """

    nodes: tuple[str, ...]
    run: bool
    record: bool
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


def plan_bringup(arguments: Mapping[str, str], session: Path) -> Bringup:
    """The stack for a launch's arguments.

    Args:
        arguments: by their names.
        session: folder that lives as long as the launch, for what a respawned node has to know.

    Raises:
        BringupError, CameraFileError: in one line, which argument cannot be followed, and what to do.
    """
    simulated = arguments["robot"] == "sim"
    instruction = arguments["instruction"].strip()
    recorded = arguments["record"] == "true"
    _check_togetherness(arguments, instruction)
    cameras = camera_names(arguments["cameras"])
    checkpoint = _checkpoint(arguments["checkpoint"])
    fixed = _fixed_cameras(arguments, cameras)
    seed = _seed(arguments["seed"])
    if arguments["params"] and not Path(arguments["params"]).is_file():
        raise BringupError(f"params:={arguments['params']} is no file")
    if instruction:
        _check_writable("runs", arguments["runs"])
    if recorded:
        _check_writable("recordings", arguments["recordings"])

    shown = {"cameras": list(cameras)}
    motion: dict[str, Value] = {"stop_file": str(session / "stop")}
    motion.update({name: arguments[name] == "true" for name in ("confirm", "dry_run")})
    if arguments["profile"]:
        motion["profile"] = _profile(arguments["profile"])
    overrides: dict[str, dict[str, Value]] = {
        "perception_node": {**shown, "checkpoint": checkpoint},
        "policy_node": {"checkpoint": checkpoint, "device": arguments["device"], "seed": seed},
        "motion_node": motion,
        "guard_node": {},
    }
    if simulated:
        overrides["sim_node"] = {"instruction": instruction, "seed": seed}
    if arguments["camera_driver"] == "realsense":
        overrides["realsense_node"] = {**shown, "serials": [camera.serial for camera in fixed] or [""]}
    if any(camera.parent for camera in fixed):
        overrides["extrinsics_node"] = {**shown, "cameras_file": os.path.abspath(arguments["cameras_file"])}
    nodes = tuple(overrides)
    if instruction:
        overrides["run_node"] = {**shown, "instruction": instruction, "runs": arguments["runs"]}
    if recorded:
        # In one process the recorder is closed after the run; a process of its own has to know that no other run comes.
        last = arguments["exit_on_done"] == "true" and arguments["composed"] == "false"
        overrides["recorder_node"] = {
            **shown,
            "mark": "runs",
            "folder": arguments["recordings"],
            "exit_on_done": last,
        }
    return Bringup(nodes, bool(instruction), recorded, overrides)


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
            raise BringupError(f"camera '{name}' cannot be part of a topic's name; expected letters, digits and _")
        if names.count(name) > 1:
            raise BringupError(f"camera '{name}' is named twice in cameras:={text}")
    return tuple(names)


def _check_togetherness(arguments: Mapping[str, str], instruction: str) -> None:
    """Arguments that contradict each other."""
    simulated, driver = arguments["robot"] == "sim", arguments["camera_driver"]
    if arguments["exit_on_done"] == "true" and not instruction:
        raise BringupError("exit_on_done:=true needs an instruction, e.g. instruction:='press the blue button'")
    if simulated and (driver != "none" or arguments["cameras_file"]):
        raise BringupError("robot:=sim brings its own cameras: leave out camera_driver and cameras_file")
    if arguments["composed"] == "true" and arguments["respawn"] == "true" and instruction:
        raise BringupError(
            "composed:=true with respawn:=true would obey the instruction again after a crash: leave out one of them"
        )


def _checkpoint(text: str) -> str:
    if not (Path(text) / "config.json").is_file():
        raise BringupError(f"checkpoint '{text}' is no checkpoint directory: there is no config.json in it")
    return os.path.abspath(text)


def _fixed_cameras(arguments: Mapping[str, str], cameras: tuple[str, ...]) -> list[FixedCamera]:
    path = arguments["cameras_file"]
    fixed = read_camera_file(Path(path), cameras) if path else []
    if arguments["camera_driver"] == "realsense" and len(cameras) > 1:
        unnumbered = set(cameras) - {camera.name for camera in fixed if camera.serial}
        if unnumbered:
            raise BringupError(
                f"camera_driver:=realsense needs the serial number of '{min(unnumbered)}' to tell the cameras apart: "
                "cameras_file:=FILE, as in config/cameras.yaml"
            )
    return fixed


def _profile(text: str) -> str:
    # Planning takes a second to import, which a launch without this argument need not wait for.
    from mini_diffuser_ros.motion.profiles import load_profile

    try:
        load_profile(text)
    except SettingsError as error:
        raise BringupError(f"profile:={text}: {error}") from error
    return os.path.abspath(text) if "/" in text else text


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise BringupError(f"seed '{text}' is no whole number from 0 to {2**31 - 1}")
    return int(text)


def _check_writable(argument: str, text: str) -> None:
    folder = Path(text).absolute()
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise BringupError(f"{argument}:={text} cannot be written: {existing} is no folder that may be written to")
