"""What the doctor says of set-ups with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mini_diffuser_ros.doctor import checks
from mini_diffuser_ros.doctor.checks import Diagnosis, findings
from mini_diffuser_ros.doctor.snapshot import (
    CameraFacts,
    CellFacts,
    Drivers,
    Graph,
    JointFacts,
    Snapshot,
    Software,
)
from mini_diffuser_ros.support.health import HealthLevel

OK, WARN, ERROR = HealthLevel.OK, HealthLevel.WARN, HealthLevel.ERROR
ARM, HAND = "/fr3_arm_controller/follow_joint_trajectory", "/franka_gripper/gripper_action"
FRONT = CameraFacts(
    "front", 30.0, 30.0, (640, 480), (640, 480), (640, 480), 610.0, "front_color_optical_frame", 0.02, filled=0.9
)
WELL = Snapshot(
    software=Software(
        "3.10.12",
        {
            "mini_diffuser_ros": "0.2.0",
            "torch": "2.7",
            "franka_ros2": "2.5.0",
            "libfranka": "0.20.4",
            "franka_description": "2.8.0",
        },
        "humble",
        "rmw_cyclonedds_cpp",
        "7",
    ),
    drivers=Drivers("fr3", ARM, HAND, "fr3_link0", tuple(f"fr3_joint{n}" for n in range(1, 8)), 0.08),
    graph=Graph(
        nodes=("/controller_manager", "/franka_gripper", "/motion_node"),
        middlewares={"/controller_manager": "rmw_cyclonedds_cpp", "/motion_node": "rmw_cyclonedds_cpp"},
        servers={ARM: ("/fr3_arm_controller",), HAND: ("/franka_gripper",)},
        arms=(ARM,),
        grippers=(HAND,),
        joint_publishers=("/joint_state_publisher",),
    ),
    controllers={"fr3_arm_controller": "active", "joint_state_broadcaster": "active"},
    joints=JointFacts(90, 3.0, 0.01, jump=(1e-4, "fr3_joint3"), width=0.08),
    sim_time={"/motion_node": False},
    diagnostics=(("motion_node: motion", 0, "ready"),),
    cameras=(FRONT,),
    cell=CellFacts("my_cell.yaml", calibrations={"front": 2.0}),
)


def graph(**changes: object) -> Snapshot:
    return replace(WELL, graph=replace(WELL.graph, **changes))


def joints(**changes: object) -> Snapshot:
    return replace(WELL, joints=replace(WELL.joints, **changes))


def camera(**changes: object) -> Snapshot:
    return replace(WELL, cameras=(replace(FRONT, **changes),))


def software(**packages: str) -> Snapshot:
    return replace(WELL, software=replace(WELL.software, packages={**WELL.software.packages, **packages}))


def cell(serials: dict[str, str], robot: str = "fr3", **changes: object) -> Snapshot:
    return replace(WELL, cell=CellFacts("my_cell.yaml", robot=robot, serials=serials), **changes)


FAULTS: dict[str, tuple[Snapshot, checks.Check, HealthLevel, str]] = {
    "a camera that is another one": (
        cell({"front": "1"}, streaming={"front": "2"}),
        checks.cell,
        ERROR,
        "set its serial in the cell right",
    ),
    "a camera that is not plugged in": (
        cell({"front": "1"}, devices={"7": "D405"}),
        checks.cell,
        WARN,
        "plug it in, or",
    ),
    "a cell of another robot": (cell({}, "panda"), checks.cell, ERROR, "set robot in it right"),
    "torch missing": (software(torch=""), checks.versions, ERROR, "requirements.txt"),
    "libfranka too old": (software(libfranka="0.15.0"), checks.franka_versions, ERROR, "install libfranka 0.20.4"),
    "driver ends with a reflex": (software(franka_ros2="2.3.9"), checks.franka_versions, WARN, "2.4.0"),
    "another default middleware": (
        replace(WELL, software=replace(WELL.software, middleware="rmw_fastrtps_cpp")),
        checks.versions,
        WARN,
        "RMW_IMPLEMENTATION=rmw_cyclonedds_cpp",
    ),
    "a node on Fast DDS": (
        graph(middlewares={"/controller_manager": "rmw_fastrtps_cpp"}),
        checks.middlewares,
        ERROR,
        "RMW_IMPLEMENTATION",
    ),
    "publishers without a name": (graph(unnamed=("/joint_states",)), checks.middlewares, WARN, "RMW_IMPLEMENTATION"),
    "no driver": (graph(servers={HAND: ("/franka_gripper",)}, arms=()), checks.arm, ERROR, "start the robot's driver"),
    "another name": (
        graph(servers={ARM: ("/fr3_arm_controller",)}, grippers=("/fr3_gripper/gripper_action",)),
        checks.gripper,
        ERROR,
        "/fr3_gripper/gripper_action: params:=FILE with motion_node's gripper_action",
    ),
    "controller inactive": (
        replace(WELL, controllers={"fr3_arm_controller": "inactive"}),
        checks.arm,
        ERROR,
        "mini-diffuser recover",
    ),
    "controller unloaded": (replace(WELL, controllers={}), checks.arm, ERROR, "set_controller_state"),
    "two motion_nodes": (graph(nodes=("/motion_node", "/motion_node")), checks.duplicates, ERROR, "all but one"),
    "two servers": (
        graph(servers={**WELL.graph.servers, ARM: ("/fake_arm", "/fr3_arm_controller")}),
        checks.duplicates,
        ERROR,
        "all but one",
    ),
    "two publishers of joints": (graph(joint_publishers=("/a", "/b")), checks.duplicates, WARN, "one publisher"),
    "two clocks": (graph(clock_publishers=("/bag", "/sim_node")), checks.duplicates, ERROR, "all but one"),
    "width of no hand": (joints(width=0.11), checks.gripper, ERROR, "--home-gripper"),
    "half open, homing unknown": (joints(width=0.02), checks.gripper, WARN, "--home-gripper"),
    "does not do as it is told": (replace(joints(width=0.02), homed="perhaps not"), checks.gripper, ERROR, "home"),
    "no fingers": (joints(width=None), checks.gripper, ERROR, "joint_states"),
    "no joint states": (joints(count=0), checks.joint_states, ERROR, "FCI"),
    "NaN": (joints(finite=False), checks.joint_states, ERROR, "log"),
    "stamps stand": (joints(stamps_advance=False), checks.joint_states, ERROR, "publishers"),
    "two places at once": (joints(jump=(0.3, "fr3_joint1")), checks.joint_states, ERROR, "publisher"),
    "slow joint states": (joints(count=15), checks.joint_states, WARN, "rate"),
    "clock behind": (joints(age=3.0), checks.clocks, ERROR, "chronyc"),
    "clock ahead": (joints(age=-3.0), checks.clocks, ERROR, "chronyc"),
    "no /clock": (replace(WELL, sim_time={"/motion_node": True}), checks.clocks, ERROR, "use_sim_time"),
    "half of them follow /clock": (
        replace(WELL, sim_time={"/motion_node": True, "/policy_node": False}, clock_runs=True),
        checks.clocks,
        ERROR,
        "alike",
    ),
    "drivers on a /clock that nobody of ours follows": (
        replace(joints(age=3.0), graph=replace(WELL.graph, clock_publishers=("/bag",)), clock_runs=True),
        checks.clocks,
        ERROR,
        "use_sim_time",
    ),
    "no camera": (replace(WELL, cameras=()), checks.cameras, ERROR, "camera_driver"),
    "no images": (camera(color_size=None, color_rate=0.0), checks.cameras, ERROR, "plugged in"),
    "no aligned depth": (camera(depth_size=None), checks.cameras, ERROR, "align_depth"),
    "depth of another size": (camera(depth_size=(848, 480)), checks.cameras, ERROR, "align_depth"),
    "not calibrated": (camera(focal=0.0), checks.cameras, ERROR, "calibrate"),
    "no TF": (camera(in_base="unknown frame"), checks.cameras, ERROR, "calibrate"),
    "depth without values": (camera(filled=0.0), checks.cameras, ERROR, "projector"),
    "slow": (camera(depth_rate=2.0), checks.cameras, WARN, "USB 3"),
    "late": (camera(age=40.0), checks.cameras, ERROR, "chronyc"),
    "no cell file": (replace(WELL, cell=None), checks.cell, WARN, "--cell"),
    "a cell that cannot be": (
        replace(WELL, cell=CellFacts("my_cell.yaml", ((True, "cameras.front.translation is 1100", "metres?"),))),
        checks.cell,
        ERROR,
        "metres?",
    ),
    "an old calibration": (
        replace(WELL, cell=CellFacts("my_cell.yaml", calibrations={"front": 90.0})),
        checks.cell,
        WARN,
        "calibrate check",
    ),
    "a node that is not well": (
        replace(WELL, diagnostics=(("perception_node: front", 2, "no images"),)),
        checks.stack,
        ERROR,
        "troubleshooting",
    ),
}


def test_a_set_up_that_is_well_has_no_remark() -> None:
    assert [one for one in findings(WELL) if one.level != OK] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_with_its_remedy_and_nothing_else(fault: str) -> None:
    seen, check, level, remedy = FAULTS[fault]
    found = [one for one in check(seen) if one.level != OK]
    assert [one.level for one in found] == [level]
    assert remedy in found[0].remedy
    others = [one for one in findings(seen) if one.level != OK and one not in found]
    # What is at fault may be told from another side, too: two servers are two nodes of which one is a stranger.
    assert len(others) <= 1


@pytest.mark.parametrize("check", checks.CHECKS)
def test_whatever_is_missing_a_check_has_a_line(check: Callable[[Snapshot], list[Diagnosis]]) -> None:
    nothing = Snapshot(Software("3.10.12", {}, "", "", "0"), WELL.drivers, no_controllers="nobody answers")
    for seen in (WELL, nothing):
        found = list(check(seen))
        assert found or check is checks.middlewares
        assert all(one.remedy for one in found if one.level != OK)
        assert all("\n" not in one.value + one.remedy for one in found)


def test_swapped_cameras_are_told_by_what_the_devices_say() -> None:
    seen = cell(
        {"front": "1", "wrist": "2"}, streaming={"front": "2", "wrist": "1"}, devices={"1": "D435", "2": "D405"}
    )
    assert [one.value for one in checks.cell(seen) if one.level == ERROR] == [
        "it streams from 2, which the cell says is wrist, not from 1",
        "it streams from 1, which the cell says is front, not from 2",
    ]
    seen = cell({"front": "1"}, devices={"7": "D405"})
    (line,) = [one.value for one in checks.cell(seen) if one.level == WARN]
    assert line == "1 is not plugged in here; plugged in are 7 (D405)"


def test_an_old_panda_has_its_own_libfranka() -> None:
    panda = replace(software(libfranka="0.20.4"), drivers=replace(WELL.drivers, robot="panda"))
    found = [one for one in checks.franka_versions(panda) if one.level != OK]
    assert [(one.level, one.remedy) for one in found] == [(ERROR, "install libfranka 0.9.2")]
