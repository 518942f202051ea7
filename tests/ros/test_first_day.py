"""docs/first_day.md from its first command to its last, each taken from the page and run against stand-ins."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from sensor_msgs.msg import JointState

from mini_diffuser_ros.calibration.board import BoardConfig
from mini_diffuser_ros.calibration.lens import Array
from mini_diffuser_ros.calibration.places import read_place
from mini_diffuser_ros.calibration.rigid import matrix_from_vector, shift_between
from mini_diffuser_ros.cell import cell_digest, read_cell
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.motion.kinematics import ArmKinematics
from mini_diffuser_ros.nodes.recovery.service_calls import interface
from mini_diffuser_ros.perception.realsense import RealSenseError, load_sdk
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.records import LAB
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.policy_world import CONSENT
from mini_diffuser_ros.simulation.boards import board_before_camera

from .arm import GUARD_PATIENCE, PATIENCE
from .conftest import FRANKA_INTERFACES, Peer, Process
from .rendered_cell import LENS, Place, RenderedCell
from .terminal import Terminal

pytest.importorskip("cv2", reason="the extra 'calibration' is not installed")
try:
    load_sdk()
except RealSenseError as error:
    pytest.skip(str(error), allow_module_level=True)

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "first_day.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
CELL = "my_cell.yaml"
ROBOT = load_robot("fr3")
SMALLEST = (
    "--budget.steps 2 --budget.minutes 0 --batch.scenes 2 --batch.level2 2 --shards 1 --loaders 0 --data.workers 1 "
    "--knowledge false"
)
# A machine that tests share is slow, which is no fault of the arm's nor of the cameras'.
SLOW = {
    "motion_node": {**PATIENCE, "profile": "simulation", "obstacles.max_cloud_age": 20.0},
    "guard_node": GUARD_PATIENCE,
    "perception_node": {"max_image_age": 5.0, "max_joint_age": 4.0, "max_rate": 2.0},
    "realsense_node": {"width": LENS.width, "height": LENS.height},
    "policy_node": {"samples": 8, "steps": 4, "keyframe_limit": 1, "cloud_timeout": 60.0},
}
SLOW_RECORDER = (
    "-p max_joint_age:=4.0 -p keyframe.timeout:=60.0 -p camera.stale_after:=20.0 -p camera.max_clock_lead:=1.0"
)


class Day:
    """A person with the page in hand: each command is taken from it, and gone through once.

    Args:
        folder: to work in.
        peer: by which the arm is led and its drivers' controllers are switched.
        cell: what is seen.
    """

    def __init__(self, folder: Path, peer: Peer, cell: RenderedCell) -> None:
        self.folder, self.peer, self.cell = folder, peer, cell
        self.left = list(COMMANDS)
        paths = [REPOSITORY / "tests" / "ros" / "usb", os.environ.get("PYTHONPATH", "")]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, map(str, paths))),
            "STAND_IN_CAMERAS": str(folder / "usb"),
        }
        self._hand = peer.node.create_publisher(JointState, "/fr3_arm_controller/lead", 1)

    def command(self, words: str) -> str:
        """The next command of the page, which has to begin so."""
        assert self.left[0].startswith(words), f"the page has '{self.left[0]}', this test knows '{words}'"
        return self.left.pop(0)

    def run(self, words: str, more: str = "") -> tuple[int, str]:
        """Exit code of the next command, and what it said."""
        return self.at_terminal(words, more).end()

    def succeed(self, words: str, more: str = "") -> str:
        """What the next command said, which has to succeed."""
        code, said = self.run(words, more)
        assert code == 0, said
        return said

    def at_terminal(self, words: str, more: str = "") -> Terminal:
        """The next command, at a terminal of its own; ``more`` is added to what stands on the page."""
        return self.typed(f"{self.command(words)} {more}")

    def typed(self, command: str) -> Terminal:
        """A command that was taken from the page, at a terminal of its own."""
        return Terminal(command, self.folder, self._environment)

    def stack(self, words: str) -> Terminal:
        """The next command, a launch of the stack."""
        return self.at_terminal(words, "params:=slow.yaml")

    def switch(self, command: str) -> None:
        """What a line of ros2 control asks the controller_manager for."""
        words = shlex.split(command, comments=True)
        named = {option: words[words.index(option) + 1] for option in ("--activate", "--deactivate")}
        assert words[:3] == ["ros2", "control", "switch_controllers"]
        kind = interface("controller_manager_msgs", "srv", "SwitchController")
        done = self.peer.call(
            kind,
            "/controller_manager/switch_controller",
            activate_controllers=[named["--activate"]],
            deactivate_controllers=[named["--deactivate"]],
            strictness=kind.Request.STRICT,
        )
        assert done.ok, command

    def lead(self, positions: Array) -> None:
        """Take the arm by the hand, and wait until it is seen there."""
        names = list(ROBOT.arm_joint_names)
        self._hand.publish(JointState(name=names, position=positions.tolist()))
        self.cell.await_shown(dict(zip(names, positions.tolist(), strict=True)))


def truth() -> dict[str, Place]:
    """Where the cameras are: about where the example of a cell has them."""
    cell, off = (
        read_cell(REPOSITORY / "config" / "cells" / "example.yaml"),
        matrix_from_vector([0.03, -0.02, 0.02, 0.02, -0.01, 0.01]),
    )
    front, wrist = cell.cameras["front"], cell.cameras["wrist"]
    return {
        "front": Place(front.serial, front.parent, front.parent_from_camera @ off),
        "wrist": Place(wrist.serial, wrist.parent, wrist.parent_from_camera @ off),
    }


@pytest.fixture
def day(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    monkeypatch.setenv("AMENT_PREFIX_PATH", FRANKA_INTERFACES["AMENT_PREFIX_PATH"])
    cell = RenderedCell(peer.node, tmp_path / "usb", truth())
    (tmp_path / "config").symlink_to(REPOSITORY / "config")
    slow = {f"/**/{node}": {"ros__parameters": values} for node, values in SLOW.items()}
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump(slow))
    yield Day(tmp_path, peer, cell)
    cell.close()


def test_every_command_of_the_page(day: Day, start: Callable[..., Process]) -> None:
    assert day.command("ros2 launch franka_bringup franka.launch.py robot_ip:=").endswith("# theirs")
    start("franka", "--not-homed")
    day.cell.await_shown(dict(zip(ROBOT.arm_joint_names, ROBOT.home, strict=True)))
    look_around(day)
    describe_the_cell(day)
    with day.stack("ros2 launch mini_diffuser_ros") as stack:
        by_hand, by_itself = day.command("ros2 control"), day.command("ros2 control")
        day.switch(by_hand)
        stack.await_words("camera wrist streams")
        calibrate(day)
        day.switch(by_itself)
    with day.stack("ros2 launch mini_diffuser_ros") as stack:
        stack.await_words("ready for instructions")
        move_with_consent(day)
        day.switch(by_hand)
        with day.at_terminal("ros2 run mini_diffuser_ros recorder_node", SLOW_RECORDER) as recorder:
            recorder.await_words("recording front, wrist into recordings/mine")
            demonstrate(day)
        day.switch(by_itself)
        look_at_demonstrations(day)
    train(day)
    assert CONSENT not in day.left[0]  # for a policy of one's own
    with day.stack("ros2 launch mini_diffuser_ros") as stack:
        stack.await_words("ready for instructions")
        obey(day)
    assert day.left == []


def look_around(day: Day) -> None:
    doctor, cameras, steps = (day.at_terminal(f"mini-diffuser {verb}") for verb in ("doctor", "cameras", "recover"))
    assert re.search(r"^OK +arm ", doctor.end()[1], re.MULTILINE), doctor.said
    code, said = cameras.end()
    assert code == 0, said
    assert '"000000000001"' in said
    assert "home the gripper" in steps.end()[1]
    assert "now 80.0 mm" in day.succeed("mini-diffuser recover --home-gripper")


def describe_the_cell(day: Day) -> None:
    shutil.copy(REPOSITORY / "config" / "cells" / "example.yaml", day.folder / CELL)
    check, doctor = day.at_terminal("mini-diffuser cell check"), day.at_terminal("mini-diffuser doctor")
    assert "0 errors" in check.end()[1]
    assert re.search(r"^WARNING +calibration ", doctor.end()[1], re.MULTILINE), doctor.said


def calibrate(day: Day) -> None:
    random = np.random.default_rng(2)
    day.succeed("mini-diffuser calibrate board")
    board = np.eye(4)
    board[:3, :3], board[:3, 3] = np.diag([1.0, -1.0, -1.0]), (0.40, 0.09, 0.0)
    day.cell.lay_board("wrist", board)
    # Of two cameras at the same time: each takes its own pictures.
    with (
        day.at_terminal("mini-diffuser calibrate intrinsics") as lens,
        day.at_terminal("mini-diffuser calibrate hand-eye") as hand_eye,
    ):
        for positions, held in zip(above_the_board(random), before_the_camera(random), strict=False):
            day.cell.hold_board("front", held)
            day.lead(positions)
            shoot(lens, hand_eye)
        end_shots(lens)
        end_shots(hand_eye)
    day.cell.put_away("front")
    day.cell.put_away("wrist")
    assert_found(day, "wrist", 0.005)
    with day.at_terminal("mini-diffuser calibrate arm") as arm:
        for turn in ((-0.6, 0.0, 0.0), (0.0, 0.4, 0.2), (0.6, 0.0, 0.3), (0.2, -0.4, -0.3)):
            day.lead(ROBOT.home + np.array([*turn[:2], 0.0, 0.0, 0.0, turn[2], 0.0]))
            shoot(arm)
        end_shots(arm)
    assert_found(day, "front", 0.01)
    day.succeed("mini-diffuser calibrate table")
    assert read_cell(day.folder / CELL).table.height == pytest.approx(0.0, abs=0.01)
    assert "front: holds" in day.succeed("mini-diffuser calibrate check")


def shoot(*terminals: Terminal) -> None:
    """ENTER at each terminal, and wait for its picture."""
    for terminal in terminals:
        if not terminal.said.count("shot s"):
            terminal.await_words("ENTER takes a shot")
        terminal.type()
    for terminal in terminals:
        terminal.await_words("shot s")


def end_shots(terminal: Terminal) -> None:
    terminal.type("q")
    code, said = terminal.end()
    assert code == 0, said


def before_the_camera(random: np.random.Generator) -> Iterator[Array]:
    """(4, 4) poses of a board in a camera's frame, all over the image."""
    for across, along in [(x, y) for x in (-0.07, 0.07) for y in (-0.05, 0.05)] * 3:
        held = board_before_camera(BoardConfig(), random, (0.24, 0.32), 30.0)
        held[:2, 3] += across, along
        yield held


def assert_found(day: Day, camera: str, metres: float) -> None:
    found, true = read_place(day.folder / CELL, camera), truth()[camera]
    assert found.parent == true.parent
    assert shift_between(found.parent_from_camera, true.parent_from_camera).metres < metres


def above_the_board(random: np.random.Generator) -> Iterator[Array]:
    """Joint positions from which the camera at the wrist sees the board that lies there, the hand turned each way."""
    kinematics, seed = ArmKinematics(ROBOT, MotionConfig()), np.array(ROBOT.home)
    found = 0
    while found < 11:
        turn = np.append(random.uniform(-0.4, 0.4, 2), random.uniform(-0.5, 0.5))
        above = np.diag([1.0, -1.0, -1.0, 1.0]) @ matrix_from_vector([*turn, 0.0, 0.0, 0.0])
        above[:3, 3] = np.array([0.52, 0.0, 0.0]) - 0.24 * above[:3, 2]
        attempt = kinematics.solve(above, seed)
        if attempt.converged:
            found += 1
            yield attempt.positions


def move_with_consent(day: Day) -> None:
    home = day.command("mini-diffuser home")
    with day.at_terminal("mini-diffuser confirm") as confirm:
        confirm.await_words("waiting for motions")
        with day.typed(home) as asking:
            asking.await_words("may it begin?")
            confirm.await_words("may it begin?")
            confirm.consent()
            code, said = asking.end()
            assert code == 0, said
            assert "reached home" in said


def demonstrate(day: Day) -> None:
    """Two episodes, though the page asks for ten."""
    with day.at_terminal("mini-diffuser demo") as demo:
        demo.await_words("ENTER starts an episode")
        for episode in range(2):
            demo.type()
            demo.await_words("mark the first keyframe")
            for number, turn in enumerate((0.0, 0.3, -0.2)):
                day.lead(ROBOT.home + np.array([turn + 0.02 * episode, 0.1 * number, 0.0, 0.0, 0.0, 0.0, 0.0]))
                demo.type()
                demo.await_words("points of 2 cameras")
                if number == 1:
                    demo.type("g")
                    demo.await_words("gripper closed")
            demo.type("g")
            demo.await_words("gripper opened")
            demo.type("e")
            demo.await_words(f"stack_cups-{episode:06d}.zip")
        demo.type("q")
        assert demo.end()[0] == 0
    assert len(open_episodes(day.folder / "recordings" / "mine")) == 2


def look_at_demonstrations(day: Day) -> None:
    day.succeed("mini-diffuser check recordings/mine")
    assert "stack_cups" in day.succeed("mini-diffuser info recordings/mine")
    with day.at_terminal("mini-diffuser replay") as replay:
        replay.await_words("y, then ENTER")
        replay.type("y")
        for _ in range(3):
            replay.await_words("may it begin?")
            replay.consent()
        code, said = replay.end()
        assert code == 0, said


def train(day: Day) -> None:
    day.succeed("mini-diffuser train", SMALLEST)
    world = read_checkpoint(day.folder / "training_runs" / "mine" / "policy").world
    assert (world.worlds, world.robots, world.cameras) == ((LAB,), ("fr3",), ("front", "wrist"))
    assert world.cells == (cell_digest(read_cell(day.folder / CELL)),)


def obey(day: Day) -> None:
    """What two steps of training have taught may lead nowhere; but the policy is let, and every motion is asked for."""
    with day.at_terminal("mini-diffuser say") as say:
        while say.hears("may it begin?"):
            say.consent()
        code, said = say.end()
        assert code in (0, 1), said
        assert "keyframe 1: deciding" in said
        assert re.search(r"^[A-Z_]+: .*, \d+ keyframes, ", said, re.MULTILINE), said
        assert "the policy was" not in said
