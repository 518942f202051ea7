"""Every command of docs/first_day.md: run against stand-ins, training at its smallest; of the rest its options."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from mini_diffuser_msgs.action import MoveToKeyframe

from mini_diffuser_ros.calibration.places import write_place
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data.formats.episode_file import write_images
from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.perception import fuse_views
from mini_diffuser_ros.records import CameraView, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.cameras import look_at

from .arm import GUARD_PATIENCE, MOVE, PATIENCE, keyframe
from .conftest import FRANKA_INTERFACES, Peer, Process
from .lab import Lab, shifted

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "first_day.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
OURS = [line for line in COMMANDS if line.startswith("mini-diffuser ")]
LAUNCHES = [line for line in COMMANDS if "bringup.launch.py" in line]
SMALLEST = "--budget.steps 1 --budget.minutes 0 --batch.scenes 2 --batch.level2 2 --shards 1 --threads 1 --loaders 0"
DRIVERS = {
    "robot": "fr3",
    "arm_action": "/fr3_arm_controller/follow_joint_trajectory",
    "gripper_action": "/franka_gripper/gripper_action",
}


def run(command: str, folder: Path, keys: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **FRANKA_INTERFACES}
    words = shlex.split(command)
    return subprocess.run(words, cwd=folder, env=environment, input=keys, capture_output=True, text=True, timeout=180)


def demonstrate(file: Path) -> None:
    """An episode of two keyframes on the arm, from its home position on."""
    robot = load_robot("fr3")

    def keyframe_at(turn: float) -> Keyframe:
        positions = np.array(robot.home)
        positions[0] += turn
        above = look_at((0.5, 0.0, 1.0), (0.5, 0.0, 0.0), (1, 0, 0))
        lens = np.array([[40.0, 0.0, 16.0], [0.0, 40.0, 16.0], [0.0, 0.0, 1.0]])
        color, depth = np.zeros((32, 32, 3), np.uint8), np.full((32, 32), 0.9, np.float32)
        view = CameraView("front", color, depth, lens, above, turn)
        joints = dict(zip(robot.arm_joint_names, positions.tolist(), strict=True))
        pose = pose_from_matrix(robot.tcp_pose(positions))
        return Keyframe(pose, True, turn, lambda: fuse_views([view]), lambda: (view,), joints)

    episode = Episode("stack_cups", 0, ("stack the cups",), [keyframe_at(0.0), keyframe_at(0.4)], "by hand")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        write_images(stream, episode, "fr3", robot.base_frame)


@cache
def help_of(*verb: str) -> str:
    shown = StringIO()
    with redirect_stdout(shown), suppress(SystemExit):
        main([*verb, "--help"])
    return shown.getvalue()


@cache
def launch_arguments() -> str:
    words = ["ros2", "launch", "mini_diffuser_ros", "bringup.launch.py", "--show-args"]
    return subprocess.run(words, capture_output=True, text=True, timeout=120).stdout


def test_the_page_has_commands_of_each_step() -> None:
    assert len(OURS) > 15
    assert len(LAUNCHES) == 3


@pytest.mark.parametrize("command", OURS)
def test_every_verb_and_option_exists(command: str) -> None:
    words = shlex.split(command)[1:]
    verb = words[:2] if words[0] == "calibrate" else words[:1]
    shown = help_of(*verb)
    assert shown.startswith(f"usage: mini-diffuser {' '.join(verb)}")
    # A recipe's values are options of train, by the names of its fields.
    own = {"--data", "--data.cell", "--out"} if verb == ["train"] else set()
    assert {word for word in words if word.startswith("--")} - own <= set(re.findall(r"--[a-z-]+", shown))


@pytest.mark.parametrize("command", LAUNCHES)
def test_every_argument_of_the_launch_exists(command: str) -> None:
    names = re.findall(r"(\w+):=", command)
    assert [name for name in names if f"'{name}'" not in launch_arguments()] == []


def test_a_calibration_is_checked_on_what_running_cameras_show(peer: Peer, tmp_path: Path) -> None:
    """By the command of the page, which names neither robot nor cameras: the cell does."""
    lab = Lab(peer.node, "", (240, 240))
    try:
        values = yaml.safe_load((REPOSITORY / "config" / "cells" / "example.yaml").read_text())
        values |= {"robot": "panda", "cameras": {"front": {}}, "gripper": {}}
        file = tmp_path / "my_cell.yaml"
        file.write_text(yaml.safe_dump(values))
        front = next(view for view in lab.world.views() if view.name == "front")
        command = next(line for line in OURS if line.startswith("mini-diffuser calibrate check"))
        for off, code, verdict in ((0.0, 0, "front: holds"), (0.06, 1, "front: DOES NOT HOLD")):
            write_place(file, "front", "panda_link0", shifted(y=off) @ front.base_from_camera)
            checked = run(command.replace("shots/check", f"shots/check{off:g}"), tmp_path)
            assert checked.returncode == code, checked.stdout + checked.stderr
            assert verdict in checked.stdout
    finally:
        lab.close()


def test_a_policy_of_ones_own_is_trained_and_says_on_what(tmp_path: Path) -> None:
    for number in range(2):
        demonstrate(tmp_path / "recordings" / "mine" / f"stack_cups-{number:06d}.zip")
    for name in ("mini-diffuser check", "mini-diffuser info"):
        told = run(next(line for line in OURS if line.startswith(f"{name} recordings/mine")), tmp_path)
        assert told.returncode == 0, told.stdout + told.stderr
    (tmp_path / "config").symlink_to(REPOSITORY / "config")
    shutil.copy(REPOSITORY / "config" / "cells" / "example.yaml", tmp_path / "my_cell.yaml")
    command = next(line for line in OURS if line.startswith("mini-diffuser train"))
    trained = run(f"{command} {SMALLEST}", tmp_path)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    shown = run("mini-diffuser info training_runs/mine/policy", tmp_path).stdout
    assert "trained in: unknown; robot fr3; cameras front" in shown
    assert "stack the cups" in shown


def test_the_careful_way_to_the_first_motion(peer: Peer, start: Callable[..., Process], tmp_path: Path) -> None:
    """The commands of the page one after another, on a hand that was never homed."""
    told = iter(OURS)

    def step(words: str, keys: str = "") -> subprocess.CompletedProcess[str]:
        return run(next(line for line in told if line.startswith(words)), tmp_path, keys)

    start("franka", "--not-homed")
    start("guard_node", **DRIVERS, **GUARD_PATIENCE)
    start("motion_node", **DRIVERS, **PATIENCE)
    # Until nodes have found each other; the table lies below the place.
    peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[keyframe(0.5, 0.0, -0.3)]).refusals)

    examined = step("mini-diffuser doctor").stdout
    assert re.search(r"^OK +arm ", examined, re.MULTILINE)
    assert re.search(r"^WARNING +gripper's width .*--home-gripper", examined, re.MULTILINE)
    assert step("mini-diffuser cameras").returncode in (0, 1)  # as many as are plugged in here
    assert "home the gripper" in step("mini-diffuser recover --home-gripper --dry-run").stdout
    recovered = step("mini-diffuser recover --home-gripper --resume")
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr

    shutil.copy(REPOSITORY / "config" / "cells" / "example.yaml", tmp_path / "my_cell.yaml")
    assert "0 errors" in step("mini-diffuser cell check").stdout
    examined = step("mini-diffuser doctor").stdout
    assert re.search(r"^OK +gripper's width .*homed", examined, re.MULTILINE)
    assert re.search(r"^WARNING +calibration ", examined, re.MULTILINE)

    home = step("mini-diffuser home")
    assert home.returncode == 0, home.stdout + home.stderr
    assert "reached home" in home.stdout

    demonstrate(tmp_path / "recordings" / "mine" / "stack_cups-000000.zip")
    replayed = step("mini-diffuser replay", "y\n")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "keyframe 2 of 2: reached candidate 1 of 1" in replayed.stdout
    # It has moved away from where the episode begins; and nothing is done unasked.
    again = "mini-diffuser replay recordings/mine/stack_cups-000000.zip"
    assert "--move-to-start" in run(again, tmp_path, "y\n").stderr
    assert run(f"{again} --move-to-start", tmp_path).stdout.endswith("nothing was moved\n")
