"""The checks of `mini-diffuser doctor`: each takes a snapshot and yields what it found, with its remedy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini_diffuser_ros.doctor.snapshot import CameraFacts, Snapshot
from mini_diffuser_ros.support.health import HealthLevel
from mini_diffuser_ros.support.settings import read_yaml

OK, WARN, ERROR = HealthLevel.OK, HealthLevel.WARN, HealthLevel.ERROR

OLDEST_STAMP = 0.25  # seconds; motion_node takes no older joint states
CLOCK_LEAD = 0.05  # seconds that a stamp may lie in the future; perception takes no more
SLOWEST_JOINTS = 20.0  # Hz; franka_ros2 merges them at 30
SLOWEST_CAMERA = 5.0  # Hz
LARGEST_JUMP = 0.15  # radians between two messages: 5 rad/s at 30 Hz, more than any arm does near people
LEAST_DEPTH = 0.2  # fraction of a depth image with a value
WIDTH_SLACK = 0.003  # metres by which a homed hand may miss its own range
CALIBRATION_DAYS = 30.0  # after which a calibration is looked at again
CYCLONE = "rmw_cyclonedds_cpp"


@dataclass(frozen=True)
class Diagnosis:
    """One line of the doctor.

    Attributes:
        what: was looked at.
        value: that was found.
        level: how bad it is.
        remedy: what to do; empty where nothing is to be done.
    """

    what: str
    value: str
    level: HealthLevel = OK
    remedy: str = ""


Check = Callable[[Snapshot], Iterator[Diagnosis]]


def versions(seen: Snapshot) -> Iterator[Diagnosis]:
    """Python, torch, our package, ROS 2 and its middleware."""
    software = seen.software
    yield Diagnosis("python", software.python)
    for name in ("mini_diffuser_ros", "torch"):
        version = software.packages.get(name, "")
        if version:
            yield Diagnosis(name, version)
        else:
            yield Diagnosis(name, "not installed", ERROR, "pip install -r requirements.txt, for this Python")
    own = software.packages.get("pocketros", "")
    if software.distribution:
        yield Diagnosis("ROS 2", software.distribution)
    elif own:
        yield Diagnosis("ROS 2", f"none sourced, pocketros {own} stands in for it")
    else:
        yield Diagnosis("ROS 2", "none", ERROR, "source /opt/ros/<distribution>/setup.bash, or pip install ./pocketros")
    if software.middleware == CYCLONE:
        yield Diagnosis("middleware", f"{CYCLONE}, domain {software.domain}")
    else:
        yield Diagnosis(
            "middleware",
            f"{software.middleware}, domain {software.domain}",
            WARN,
            f"export RMW_IMPLEMENTATION={CYCLONE} in every terminal, the robot's too, unless all nodes have this one",
        )


def franka_versions(seen: Snapshot) -> Iterator[Diagnosis]:
    """What is installed of Franka's software against what its releases need of each other."""
    table, packages = _table(), seen.software.packages
    driver, library = packages.get("franka_ros2", ""), packages.get("libfranka", "")
    needs = [one for one in table["releases"] if seen.software.distribution in ("", one["distribution"])]
    matrix = "; ".join(
        f"{one['distribution']}: franka_ros2 {one['franka_ros2']} with libfranka >= {one['libfranka']}, "
        f"franka_description >= {one['franka_description']}"
        for one in needs or table["releases"]
    )
    system = (
        "Desk, Settings, System shows the robot's system version; libfranka's compatibility page says which it needs"
    )
    if seen.drivers.robot == "panda":
        last = table["last_libfranka_for_panda"]
        yield Diagnosis("franka software", f"a Panda needs libfranka <= {last}, and drivers other than franka_ros2")
        if library and _number(library) > _number(last):
            yield Diagnosis("libfranka", f"{library}, too new for a Panda", ERROR, f"install libfranka {last}")
        return
    if not driver:
        yield Diagnosis("franka_ros2", f"not installed here; {matrix}", OK, f"on the robot's machine: {system}")
        return
    yield Diagnosis("franka_ros2", f"{driver}; {matrix}", OK, system)
    need = next((one for one in needs if _number(driver)[:1] == _number(one["franka_ros2"])[:1]), None)
    for name in ("libfranka", "franka_description"):
        has = packages.get(name, "")
        if need and has and _number(driver) >= _number(need["franka_ros2"]) and _number(has) < _number(need[name]):
            yield Diagnosis(
                name, f"{has}, franka_ros2 {driver} needs {need[name]}", ERROR, f"install {name} {need[name]}"
            )
    lives = table["outlives_reflex"].get(seen.software.distribution)
    if lives and _number(driver) < _number(lives):
        yield Diagnosis("recovery", f"franka_ros2 {driver} ends with a reflex", WARN, f"install {lives} or newer")


def arm(seen: Snapshot) -> Iterator[Diagnosis]:
    """Who serves the arm's action, and the controllers."""
    yield from _served("arm", seen, seen.drivers.arm_action, seen.graph.arms)
    if seen.controllers is None:
        yield Diagnosis("controllers", "not asked", WARN, seen.no_controllers)
        return
    states = ", ".join(f"{name} {state}" for name, state in seen.controllers.items()) or "none loaded"
    wanted = seen.drivers.arm_action.strip("/").split("/")[-2]
    state = next((one for name, one in seen.controllers.items() if name == wanted), "not loaded")
    if state == "active":
        yield Diagnosis("controllers", states)
    else:
        yield Diagnosis(
            "controllers",
            f"{wanted} is {state} ({states})",
            ERROR,
            f"mini-diffuser recover after a reflex, else ros2 control set_controller_state {wanted} active",
        )


def gripper(seen: Snapshot) -> Iterator[Diagnosis]:
    """Whether the gripper is there, and whether its measured width can be one of a homed hand."""
    action = seen.drivers.gripper_action
    for finding in _served("gripper", seen, action, seen.graph.grippers):
        fake = finding.level == ERROR and not seen.graph.servers.get(action)
        remedy = f"{finding.remedy}; the fake hardware of franka_ros2 has no gripper action" if fake else finding.remedy
        yield Diagnosis(finding.what, finding.value, finding.level, remedy)
    home = "mini-diffuser recover --home-gripper (what it holds falls)"
    width, widest = seen.joints.width, seen.drivers.max_width
    if width is None:
        yield Diagnosis(
            "gripper's width", "not measured", ERROR, "have the gripper's joint states merged into joint_states"
        )
    elif not -WIDTH_SLACK <= width <= widest + WIDTH_SLACK:
        yield Diagnosis("gripper's width", f"{_mm(width)}, it has 0 to {_mm(widest)}", ERROR, home)
    elif seen.homed.startswith("perhaps not"):
        yield Diagnosis("gripper's width", f"{_mm(width)}, and it did not do as it was told", ERROR, home)
    elif width >= widest - WIDTH_SLACK or seen.homed.startswith("yes"):
        yield Diagnosis("gripper's width", f"{_mm(width)} of {_mm(widest)}, homed")
    else:
        yield Diagnosis(
            "gripper's width",
            f"{_mm(width)} of {_mm(widest)}: homed or not, it does not tell",
            WARN,
            f"open it, or {home}",
        )


def joint_states(seen: Snapshot) -> Iterator[Diagnosis]:
    """Whether joint states flow, from one place and of this time."""
    joints, publishers = seen.joints, seen.graph.joint_publishers
    named = ", ".join(publishers) or "nobody"
    if not joints.count:
        yield Diagnosis(
            "joint states",
            f"none of {seen.drivers.robot}, published by {named}",
            ERROR,
            "start the robot's driver with FCI active in Desk; is robot:= the arm that is there?",
        )
        return
    rate = joints.count / joints.seconds
    value = f"{rate:.0f} Hz from {named}"
    if not joints.finite:
        yield Diagnosis(
            "joint states", f"{value}, with positions that are no numbers", ERROR, "look at the driver's log"
        )
    elif not joints.stamps_advance:
        yield Diagnosis(
            "joint states", f"{value}, stamps that stand or go back", ERROR, "end all publishers but one; /clock jumps?"
        )
    elif joints.jump[0] > LARGEST_JUMP:
        size, joint = joints.jump
        yield Diagnosis(
            "joint states",
            f"{value}, {joint} jumps by {size:.2f} rad",
            ERROR,
            "two arms under one name? end one publisher",
        )
    elif rate < SLOWEST_JOINTS:
        yield Diagnosis("joint states", f"{value}, expected {SLOWEST_JOINTS:.0f}", WARN, "raise the publisher's rate")
    else:
        yield Diagnosis("joint states", value)


def clocks(seen: Snapshot) -> Iterator[Diagnosis]:
    """use_sim_time against /clock, and stamps against this machine's clock."""
    following = sorted(node for node, follows in seen.sim_time.items() if follows)
    others = sorted(node for node, follows in seen.sim_time.items() if not follows)
    publishers = ", ".join(seen.graph.clock_publishers)
    if following and not seen.clock_runs:
        yield Diagnosis(
            "clock",
            f"{', '.join(following)} follow /clock, which stands still",
            ERROR,
            "start what publishes /clock, or use_sim_time:=false",
        )
    elif following and others:
        yield Diagnosis(
            "clock",
            f"{', '.join(following)} follow /clock, {', '.join(others)} do not",
            ERROR,
            "set use_sim_time alike",
        )
    else:
        yield Diagnosis("clock", f"/clock of {publishers}" if following else "of the system")
    if following or seen.joints.age is None:
        return
    age, remedy = seen.joints.age, "synchronise the machines: chronyc tracking"
    if publishers and seen.clock_runs:
        remedy = f"/clock of {publishers} runs and nobody of ours follows it: use_sim_time:=true, or end it"
    if age < -CLOCK_LEAD:
        yield Diagnosis("clock of the joint states", f"{-age:.2f} s ahead of this machine", ERROR, remedy)
    elif age > OLDEST_STAMP:
        yield Diagnosis("clock of the joint states", f"{age:.2f} s behind this machine", ERROR, remedy)
    else:
        yield Diagnosis("clock of the joint states", f"{1e3 * age:.0f} ms behind this machine")


def duplicates(seen: Snapshot) -> Iterator[Diagnosis]:
    """Two of what there is to be one of."""
    twice = sorted(name for name, count in Counter(seen.graph.nodes).items() if count > 1)
    served = {action: nodes for action, nodes in seen.graph.servers.items() if len(nodes) > 1}
    for name in twice:
        yield Diagnosis("duplicates", f"{name} is there {seen.graph.nodes.count(name)} times", ERROR, "end all but one")
    for action, nodes in served.items():
        yield Diagnosis("duplicates", f"{action} is served by {', '.join(nodes)}", ERROR, "end all but one")
    if len(seen.graph.joint_publishers) > 1:
        names = ", ".join(seen.graph.joint_publishers)
        yield Diagnosis(
            "duplicates",
            f"joint_states is published by {names}",
            WARN,
            "one publisher of the arm's joints; end the others",
        )
    if len(seen.graph.clock_publishers) > 1:
        yield Diagnosis("duplicates", f"/clock of {', '.join(seen.graph.clock_publishers)}", ERROR, "end all but one")
    if not twice and not served and len(seen.graph.joint_publishers) < 2 and len(seen.graph.clock_publishers) < 2:
        yield Diagnosis("duplicates", "none")


def middlewares(seen: Snapshot) -> Iterator[Diagnosis]:
    """Nodes on another middleware than this one: topics pass, services and actions do not."""
    remedy = f"export RMW_IMPLEMENTATION={CYCLONE} where they start"
    kinds: dict[str, list[str]] = {}
    for node, kind in seen.graph.middlewares.items():
        kinds.setdefault(kind or "not told", []).append(node)
    for kind, nodes in sorted(kinds.items()):
        other = kind != "not told" and kind != seen.software.middleware
        shown = f"{len(nodes)} nodes on {kind}" + (f": {', '.join(sorted(nodes))}" if other else "")
        yield Diagnosis("nodes", shown, ERROR if other else OK, remedy if other else "")
    if seen.graph.unnamed:
        topics = ", ".join(seen.graph.unnamed)
        yield Diagnosis("nodes", f"publishers of {topics} have no name: another middleware?", WARN, remedy)


def cameras(seen: Snapshot) -> Iterator[Diagnosis]:
    """Every camera whose topics are there."""
    if not seen.cameras:
        yield Diagnosis(
            "cameras",
            "no topic <camera>/color/camera_info",
            ERROR,
            "start their driver: camera_driver:=realsense, or yours",
        )
    for camera in seen.cameras:
        yield _camera(camera, seen.drivers.base_frame)


def stack(seen: Snapshot) -> Iterator[Diagnosis]:
    """What our nodes say of themselves."""
    if not seen.diagnostics:
        yield Diagnosis("stack", "not running", OK, "ros2 launch mini_diffuser_ros bringup.launch.py starts it")
    for name, level, message in seen.diagnostics:
        if level != HealthLevel.OK:
            yield Diagnosis(name, message, WARN if level == WARN else ERROR, "docs/troubleshooting.md")
    if seen.diagnostics and all(level == HealthLevel.OK for _, level, _ in seen.diagnostics):
        yield Diagnosis("stack", f"{len(seen.diagnostics)} parts of our nodes are well")


def cell(seen: Snapshot) -> Iterator[Diagnosis]:
    """The cell file, and how old its calibrations are."""
    if seen.cell is None:
        remedy = "mini-diffuser doctor --cell my_cell.yaml, a copy of config/cells/example.yaml"
        yield Diagnosis("cell file", "none given", WARN, remedy)
        return
    for forbids, what, remedy in seen.cell.problems:
        yield Diagnosis("cell file", what, ERROR if forbids else WARN, remedy)
    if not seen.cell.problems:
        yield Diagnosis("cell file", f"{seen.cell.path} fits together")
    if seen.cell.robot and Path(seen.cell.robot).name != seen.drivers.robot:
        yield Diagnosis(
            "cell file",
            f"is of {seen.cell.robot}, but the robot that is looked at is {seen.drivers.robot}",
            ERROR,
            f"start the stack with cell:={seen.cell.path}, or set robot in it right",
        )
    yield from _devices(seen, seen.cell.serials)
    for name, days in seen.cell.calibrations.items():
        look = "mini-diffuser calibrate check, ten seconds before a recording day"
        if days is None:
            yield Diagnosis("calibration", f"of {name}: no date", WARN, look)
        elif days > CALIBRATION_DAYS:
            yield Diagnosis("calibration", f"of {name}: {days:.0f} days old", WARN, look)
        else:
            yield Diagnosis("calibration", f"of {name}: {days:.0f} days old")


CHECKS: tuple[Check, ...] = (
    versions,
    franka_versions,
    middlewares,
    duplicates,
    arm,
    gripper,
    joint_states,
    clocks,
    cameras,
    cell,
    stack,
)


def findings(seen: Snapshot) -> list[Diagnosis]:
    """What all checks found, in their order."""
    return [finding for check in CHECKS for finding in check(seen)]


def _devices(seen: Snapshot, serials: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Cameras of the cell whose device is another one than it says, or is not here."""
    plugged = seen.devices or {}
    shown = ", ".join(f"{serial} ({model})" for serial, model in plugged.items()) or "none"
    for name, serial in serials.items():
        streaming = seen.streaming.get(name, "")
        if streaming and streaming != serial:
            others = [other for other, one in serials.items() if one == streaming]
            whose = f"which the cell says is {others[0]}, not from" if others else "but the cell says"
            yield Diagnosis(
                f"serial of {name}",
                f"it streams from {streaming}, {whose} {serial}",
                ERROR,
                "set its serial in the cell right, calibrate, and start the stack again with that file",
            )
        elif not streaming and seen.devices is not None and serial not in plugged:
            yield Diagnosis(
                f"serial of {name}",
                f"{serial} is not plugged in here; plugged in are {shown}",
                WARN,
                "plug it in, or set its serial in the cell: mini-diffuser cameras",
            )


def _served(what: str, seen: Snapshot, action: str, alternatives: tuple[str, ...]) -> Iterator[Diagnosis]:
    servers = seen.graph.servers.get(action, ())
    if servers:
        yield Diagnosis(what, f"{action} is served by {', '.join(servers)}")
        return
    found = ", ".join(alternatives)
    remedy = f"found is {found}: params:=FILE with motion_node's {what}_action" if found else "start the robot's driver"
    yield Diagnosis(what, f"nobody serves {action}", ERROR, remedy)


def _camera(camera: CameraFacts, base: str) -> Diagnosis:
    what, sizes = f"camera {camera.name}", {camera.color_size, camera.info_size, camera.depth_size}
    shown = f"colour {camera.color_rate:.0f} Hz {_size(camera.color_size)}, depth {camera.depth_rate:.0f} Hz"
    if camera.color_size is None:
        return Diagnosis(
            what, "no colour images", ERROR, "is it plugged in? mini-diffuser cameras; see its driver's log"
        )
    if camera.depth_size is None:
        return Diagnosis(what, f"{shown}: no aligned depth", ERROR, "start the driver with align_depth.enable:=true")
    if len(sizes - {None}) > 1:
        text = f"{shown}, sizes differ: depth {_size(camera.depth_size)}, camera_info {_size(camera.info_size)}"
        return Diagnosis(what, text, ERROR, "align depth to colour: align_depth.enable:=true")
    if camera.focal <= 0.0:
        return Diagnosis(
            what, f"{shown}, not calibrated", ERROR, "mini-diffuser calibrate intrinsics, or its driver's own"
        )
    if camera.in_base:
        return Diagnosis(what, f"{shown}, {camera.in_base}", ERROR, f"give its pose in {base}: mini-diffuser calibrate")
    if camera.filled < LEAST_DEPTH:
        text = f"{shown}, {camera.filled:.0%} of the depth has a value"
        return Diagnosis(what, text, ERROR, "too near, too dark, or its projector is off")
    if camera.age is not None and not -CLOCK_LEAD <= camera.age <= 1.0:
        return Diagnosis(what, f"{shown}, stamps {camera.age:.2f} s old", ERROR, "chronyc tracking on both machines")
    if min(camera.color_rate, camera.depth_rate) < SLOWEST_CAMERA:
        return Diagnosis(what, f"{shown}, {camera.frame}", WARN, "USB 3 port and cable? mini-diffuser cameras")
    return Diagnosis(what, f"{shown}, {camera.frame} known in {base}")


def _table() -> Any:
    return read_yaml(Path(__file__).with_name("franka.yaml"))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _mm(metres: float) -> str:
    return f"{1e3 * metres:.0f} mm"


def _size(size: tuple[int, int] | None) -> str:
    return f"{size[0]}x{size[1]}" if size else "none"
