"""Bags of an arm that was led by hand, or of runs of the stack, become the episodes that a recorder would have made."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from PIL import Image as PillowImage
from rclpy.serialization import serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, String
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.commands.import_ import main
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.reader import read_bag
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.incoming import IncomingFolder
from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.nodes.bags.message_types import definition_of, type_name
from mini_diffuser_ros.nodes.ros.messages import color_from_image, depth_from_image, stamp_from_seconds
from mini_diffuser_ros.records import LAB, TABLE, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot

from .synthetic_arm import INTRINSICS, NOISE, PERIOD, SyntheticArm

pytest.importorskip("mcap.writer")

START = 1_700_000_000.0  # seconds
SENTENCE = "stack the cups"
LED = ("--instruction", SENTENCE)
ROBOT = load_robot("panda")


class Session:
    """Writes what an arm's drivers publish into a bag, by a clock that goes on when it is told to.

    Args:
        path: of the bag.
        namespace: of all names.
        change: message to what is written instead, or None for nothing; given its topic.
    """

    def __init__(self, path: Path, namespace: str = "", change: Callable[[str, Any], Any] = lambda _, it: it) -> None:
        self._writer, self._namespace, self._change = BagWriter(path, {}), namespace, change
        self.time, self.behind = START, 0.002  # seconds, from which on messages come
        self.begin: Callable[[], None] = lambda: None  # called before each step of the arm
        self._goals: dict[str, list[Any]] = {"execute": [], "move_to_keyframe": []}
        self.arm = SyntheticArm(self, ("front", "wrist"), by_itself=False)  # type: ignore[arg-type]

    # What of a node drivers need

    def create_publisher(self, kind: type, topic: str, _: Any) -> Any:
        session = self

        class Publisher:
            def publish(self, message: Any) -> None:
                session.write(topic, message)

        return Publisher()

    def get_clock(self) -> Any:
        return self

    def now(self) -> Time:
        return Time(nanoseconds=round(self.time * 1e9))

    def write(self, topic: str, message: Any) -> None:
        name = topic if topic.startswith("/") else f"{self._namespace}/{topic}"
        if (changed := self._change(name, message)) is not None:
            kind = type(changed)
            if kind is CompressedImage:
                name += "/compressedDepth" if "depth" in name else "/compressed"
            channel = Channel(name, type_name(kind), definition_of(kind), "")
            self._writer.add(channel, serialize_message(changed), round((self.time + self.behind) * 1e9))

    def go_on(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD)):
            self.time += PERIOD
            self.begin()
            self.arm.step()

    def tell_goal(self, action: str, number: int, status: int) -> None:
        goals = self._goals[action]
        goals[:] = [goal for goal in goals if goal.goal_info.goal_id.uuid[0] != number]
        identity = UUID(uuid=np.array([number, *[0] * 15], np.uint8))
        stamp = stamp_from_seconds(START + number)
        goals.append(GoalStatus(goal_info=GoalInfo(goal_id=identity, stamp=stamp), status=status))
        self.write(f"mini_diffuser/{action}/_action/status", GoalStatusArray(status_list=list(goals)))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


Shown = list[tuple[dict[str, float], Any, bool]]


def lead(session: Session, count: int = 4) -> Shown:
    """Lead the arm by hand to some keyframes; returns where it was at each."""
    arm, seen = session.arm, []
    arm.grip(0.08)
    acts = (lambda: None, lambda: arm.move_by(0.3), lambda: arm.grip(0.0), lambda: arm.move_by(-0.6))
    for act in acts[:count]:
        act()
        session.go_on(2.0)
        seen.append((arm.positions(), arm.base_from_tool(), arm.positions()["panda_finger_joint1"] > 0.03))
    return seen


def obey(session: Session, sentence: str, number: int, succeeds: bool = True, motions: int = 2) -> Shown:
    """Have the stack obey a sentence with some motions; returns where the arm was at each keyframe."""
    arm, seen = session.arm, []
    session.tell_goal("execute", number, GoalStatus.STATUS_EXECUTING)
    session.write("mini_diffuser/active_instruction", String(data=sentence))
    session.go_on(1.5)
    seen.append((arm.positions(), arm.base_from_tool(), False))
    for motion in range(1, motions + 1):
        session.tell_goal("move_to_keyframe", 10 * number + motion, GoalStatus.STATUS_EXECUTING)
        arm.move_by(0.2)
        session.go_on(0.6)
        session.tell_goal("move_to_keyframe", 10 * number + motion, GoalStatus.STATUS_SUCCEEDED)
        session.go_on(1.5)
        seen.append((arm.positions(), arm.base_from_tool(), False))
    ended = GoalStatus.STATUS_SUCCEEDED if succeeds else GoalStatus.STATUS_ABORTED
    session.tell_goal("execute", number, ended)
    session.go_on(0.5)
    return seen


def assert_shows(keyframe: Keyframe, positions: dict[str, float], base_from_tool: Any, gripper_open: bool) -> None:
    """The keyframe is what the arm's drivers have published."""
    np.testing.assert_allclose(matrix_from_pose(keyframe.pose), base_from_tool, atol=1e-6)
    assert keyframe.gripper_open is gripper_open
    assert keyframe.joint_positions == pytest.approx(positions, abs=1e-6)
    front, wrist = keyframe.views
    assert (front.name, wrist.name) == ("front", "wrist")
    np.testing.assert_allclose(front.base_from_camera, SyntheticArm.parent_from_camera("front"), atol=1e-6)
    expected = base_from_tool @ SyntheticArm.parent_from_camera("wrist")
    np.testing.assert_allclose(wrist.base_from_camera, expected, atol=1e-6)
    for view in keyframe.views:
        np.testing.assert_array_equal(view.intrinsics, INTRINSICS)
        np.testing.assert_allclose(view.depth, 0.9, atol=6.0 * NOISE)


def imported(bag: Path, out: Path, *options: str) -> list[Episode]:
    assert main([str(bag), str(out), *options]) == 0
    return list(open_episodes(out))


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shown]:
    path = tmp_path_factory.mktemp("led") / "..%s by hand.mcap"  # names go nowhere
    session = Session(path)
    seen = lead(session)
    session.close()
    return path, seen


def test_an_arm_led_by_hand_gives_one_episode_once(
    led: tuple[Path, Shown], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, seen = led
    [episode] = imported(bag, tmp_path, *LED)
    assert (episode.task, episode.sentences) == ("stack_the_cups", (SENTENCE,))
    assert len(episode.keyframes) == len(seen)
    for keyframe, expected in zip(episode.keyframes, seen, strict=True):
        assert_shows(keyframe, *expected)
    stamps = [keyframe.stamp for keyframe in episode.keyframes]
    assert stamps == sorted(stamps)
    assert START < stamps[0] < stamps[-1] < START + 9.0
    assert "added 1 of 1" in capsys.readouterr().out
    assert len(imported(bag, tmp_path, *LED)) == 1
    assert "added 0 of 1 episodes" in capsys.readouterr().out
    assert [file.name for file in sorted(tmp_path.iterdir())] == [".numbers", "stack_the_cups-000000.zip"]


def test_one_imports_into_a_folder_and_what_a_killed_one_left_is_removed(
    led: tuple[Path, Shown], tmp_path: Path
) -> None:
    left = tmp_path / ".import" / "recorded"
    left.mkdir(parents=True)
    (left / "stack_the_cups-000007.zip").write_bytes(b"half")
    with IncomingFolder(tmp_path), pytest.raises(DataError, match="is being written by process"):
        main([str(led[0]), str(tmp_path), *LED])
    assert len(imported(led[0], tmp_path, *LED)) == 1
    assert [file.name for file in sorted(tmp_path.iterdir())] == [".numbers", "stack_the_cups-000000.zip"]


def test_runs_of_the_stack_that_succeeded_are_episodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = tmp_path / "runs.mcap"
    session = Session(bag)
    session.arm.grip(0.0)
    session.go_on(0.5)
    seen = obey(session, "press the blue button", 1)
    obey(session, "press the red button", 2, succeeds=False)
    obey(session, "press nothing", 3, motions=0)
    more = obey(session, "press the green button", 4)
    session.close()
    episodes = imported(bag, tmp_path / "out")
    assert sorted(episode.sentences for episode in episodes) == [
        ("press the blue button",),
        ("press the green button",),
    ]
    for episode, expected in zip(sorted(episodes, key=lambda one: one.sentences), (seen, more), strict=True):
        assert len(episode.keyframes) == 3
        for keyframe, one in zip(episode.keyframes, expected, strict=True):
            assert_shows(keyframe, *one)
    told = capsys.readouterr()
    assert "added 2 of 4 episodes" in told.out
    assert "left out 'press the red button': the sentence was not obeyed to its end" in told.err
    assert "left out 'press nothing': the arm reached no keyframe" in told.err


def test_runs_in_simulation_are_kept_if_the_world_confirms_them(tmp_path: Path) -> None:
    bag = tmp_path / "runs.mcap"
    session = Session(bag)
    session.time -= 600.0  # what was latched long before comes first
    session.write("sim/task", String(data="press_button"))
    session.time += 600.0
    session.go_on(0.5)
    for number, success in ((1, False), (2, True)):
        session.write("sim/success", Bool(data=False))
        obey(session, f"press button {number}", number)
        session.write("sim/success", Bool(data=success))
        session.go_on(4.0)
    session.close()
    [episode] = imported(bag, tmp_path / "out")
    assert (episode.task, episode.sentences) == ("press_button", ("press button 2",))
    assert episode.provenance.worlds == (TABLE,)


@pytest.mark.parametrize("laid", ["not", "for another sentence"])
def test_a_success_that_was_told_of_another_run_or_sentence_confirms_none(laid: str, tmp_path: Path) -> None:
    bag = tmp_path / "runs.mcap"
    session = Session(bag)
    judged = "put the lemon in the bowl"
    session.write("sim/instruction", String(data=judged))
    session.write("sim/success", Bool(data=False))
    session.go_on(0.5)
    obey(session, judged, 1)
    session.write("sim/success", Bool(data=True))
    session.go_on(4.0)
    if laid != "not":
        session.write("sim/success", Bool(data=False))
    obey(session, "put the plum in the bowl", 2)
    session.write("sim/success", Bool(data=True))
    session.go_on(4.0)
    session.close()
    [episode] = imported(bag, tmp_path / "out")
    assert episode.sentences == (judged,)


def test_the_task_is_that_which_the_world_judges_by_the_sentence(tmp_path: Path) -> None:
    bag = tmp_path / "runs.mcap"
    session = Session(bag)
    session.write("sim/task", String(data="stack_blocks"))
    session.write("sim/success", Bool(data=False))
    session.go_on(0.5)
    session.begin = lambda: session.write("sim/task", String(data="put_item_in_bowl"))  # once it has heard of it
    obey(session, "put the red block in the bowl", 1)
    session.write("sim/success", Bool(data=True))
    session.go_on(4.0)
    session.close()
    [episode] = imported(bag, tmp_path / "out")
    assert episode.task == "put_item_in_bowl"


def test_each_file_of_a_folder_of_runs_is_imported_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "bags"
    folder.mkdir()
    for number, succeeds in ((1, True), (2, False), (3, True)):
        session = Session(folder / f"{number} of today.mcap")
        session.time += 60.0 * (5 - number)  # the clock was set back between them
        session.go_on(0.5)
        obey(session, f"press button {number}", number, succeeds)
        session.close()
    episodes = imported(folder, tmp_path / "out")
    assert sorted(episode.sentences for episode in episodes) == [("press button 1",), ("press button 3",)]
    told = capsys.readouterr()
    assert told.out.count("added 1 of 1 episodes") == 2
    assert [f"{number} of today.mcap:" in told.out for number in (1, 2, 3)] == [True] * 3
    assert "left out" in told.err
    assert "2 of today.mcap: no run became an episode: 'press button 2'" in told.err
    # A file that is damaged ends it, unless it is to be skipped.
    whole = (folder / "1 of today.mcap").read_bytes()
    (folder / "2 of today.mcap").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"2 of today.mcap: is cut off.*\(--skip-bad goes on\)"):
        main([str(folder), str(tmp_path / "more")])
    assert "added 1 of 1 episodes" in capsys.readouterr().out
    assert len(imported(folder, tmp_path / "more", "--skip-bad")) == 2


def test_what_was_added_before_a_bag_turns_out_to_be_bad_is_said(tmp_path: Path) -> None:
    bag = tmp_path / "runs.mcap"
    session = Session(bag)
    session.go_on(0.5)
    obey(session, "press the blue button", 1)
    session.time -= 30.0
    session.go_on(0.5)
    session.close()
    with pytest.raises(DataError, match=r"its time runs back by .*press_the_blue_button-000000.zip was added"):
        main([str(bag), str(tmp_path / "out")])


def blurred(topic: str, message: Any) -> Any:
    if isinstance(message, CameraInfo):
        message.k = [0.0] * 9
    return message


def without(*topics: str) -> Callable[[str, Any], Any]:
    return lambda topic, message: None if topic in topics else message


def without_fingers(topic: str, message: Any) -> Any:
    if topic != "/joint_states":
        return message
    count = 7
    return JointState(
        header=message.header,
        name=message.name[:count],
        position=message.position[:count],
        velocity=message.velocity[:count],
    )


def other_kind(topic: str, message: Any) -> Any:
    return String(data="?") if topic == "/front/color/camera_info" else message


def without_frames_of_the_arm(topic: str, message: Any) -> Any:
    if topic == "/tf":
        message.transforms = [one for one in message.transforms if one.child_frame_id != "panda_hand_tcp"]
    return message


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (without("/front/color/camera_info"), LED, "camera front: nothing on front/color/camera_info yet"),
        (without("/joint_states"), LED, "has no /joint_states"),
        (without("/tf"), LED, "has no TF from 'panda_link0' to 'front_frame'"),
        (
            without(),
            (),
            "nothing on /mini_diffuser/active_instruction: if the arm was led by hand, say by --instruction",
        ),
        (without(), (*LED, "--robot", "fr3"), "no joint state of fr3_joint1"),
        (without(), (*LED, "--cameras", "front", "rear"), "camera rear: nothing on rear/color/image_raw yet"),
        (without(), (*LED, "--namespace", "left"), "has no /left/joint_states; joint states in it: /joint_states"),
        (without(), ("--instruction", " "), "sentence"),
        (without(), (*LED, "--task", "../x"), "cannot name a file"),
        (without(), (*LED, "--mapping", "m.yaml"), "--mapping is for a LeRobotDataset"),
        (without_fingers, LED, "no joint state of panda_finger_joint1"),
        (other_kind, LED, "/front/color/camera_info holds std_msgs/msg/String, expected sensor_msgs/msg/CameraInfo"),
        (without_frames_of_the_arm, (*LED, "--cameras", "front"), "import --tool-pose joints"),
        (blurred, LED, "camera front"),
        (without(), (*LED, "--cameras", "../x"), "camera '../x' cannot be the name of one"),
        (without(), (*LED, "--cameras", "front=/other"), "camera front: nothing on front/color/image_raw yet"),
    ],
)
def test_what_a_bag_lacks_is_asked_for_by_name(
    change: Callable[[str, Any], Any], options: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    bag = tmp_path / "bag.mcap"
    session = Session(bag, change=change)
    lead(session, 2)
    session.close()
    with pytest.raises(DataError) as refused:
        main([str(bag), str(tmp_path / "out"), *options])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "out").rglob("*.zip"))


def test_a_bag_without_the_arms_frames_is_imported_by_its_joints(led: tuple[Path, Shown], tmp_path: Path) -> None:
    bag = tmp_path / "bag.mcap"
    session = Session(bag, change=without_frames_of_the_arm)
    lead(session, 2)
    session.close()
    [episode] = imported(bag, tmp_path / "out", *LED, "--cameras", "front", "--tool-pose", "joints")
    np.testing.assert_allclose(matrix_from_pose(episode.keyframes[1].pose), led[1][1][1], atol=1e-6)


def test_cameras_are_where_the_cell_has_them_if_the_bag_does_not_say(led: tuple[Path, Shown], tmp_path: Path) -> None:
    x, y, z = SyntheticArm.parent_from_camera("front")[:3, 3]
    cell = tmp_path / "cell.yaml"
    cell.write_text(
        "robot: panda\ntable: {height: 0.0}\nworkspace: {lower: [0.2, -0.4, 0.0], upper: [0.8, 0.4, 0.6]}\n"
        "cameras:\n  front:\n    parent: panda_link0\n"
        f"    translation: [{x}, {y}, {z}]\n    rotation: [[1, 0, 0], [0, -1, 0], [0, 0, -1]]\n"
    )

    def change(topic: str, message: Any) -> Any:
        if topic == "/tf":
            message.transforms = [one for one in message.transforms if one.child_frame_id != "front_frame"]
        elif topic.startswith("/front/"):
            message.header.frame_id = "front_color_optical_frame"
        return message

    session = Session(tmp_path / "bag.mcap", change=change)
    seen = lead(session, 2)
    session.close()
    [episode] = imported(tmp_path / "bag.mcap", tmp_path / "out", *LED, "--cell", str(cell))
    assert episode.provenance.worlds == (LAB,)
    for keyframe, (_, base_from_tool, _) in zip(episode.keyframes, seen, strict=True):
        [view] = keyframe.views
        np.testing.assert_allclose(view.base_from_camera, SyntheticArm.parent_from_camera("front"), atol=1e-6)
        np.testing.assert_allclose(matrix_from_pose(keyframe.pose), base_from_tool, atol=1e-6)


def refusal(bag: Path, out: Path, *options: str) -> str:
    with pytest.raises(DataError) as refused:
        main([str(bag), str(out), *options])
    assert not list(out.rglob("*.zip"))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_of_two_arms_in_a_bag_one_has_to_be_chosen(led: tuple[Path, Shown], tmp_path: Path) -> None:
    bag = tmp_path / "two.mcap"
    left, right = Session(tmp_path / "left.mcap", "/left"), Session(tmp_path / "right.mcap", "/right")
    lead(left, 2)
    right.arm.move_by(-0.5)
    lead(right, 2)
    left.close()
    right.close()
    joined(bag, tmp_path / "left.mcap", tmp_path / "right.mcap")
    words = refusal(bag, tmp_path / "none", *LED)
    assert words.endswith("has joint states of several arms: choose one by --namespace /left or /right")
    [episode] = imported(bag, tmp_path / "out", *LED, "--namespace", "left", "--tool-pose", "joints")
    assert len(episode.keyframes) == 2
    assert episode.keyframes[0].joint_positions["panda_joint1"] == pytest.approx(0.0, abs=1e-6)

    same = tmp_path / "same.mcap"
    joined(same, led[0], tmp_path / "right.mcap", name=lambda topic: topic.removeprefix("/right"))
    assert "panda_joint1 is said to be at" in refusal(same, tmp_path / "none", *LED)


def joined(bag: Path, *bags: Path, name: Callable[[str], str] = str) -> None:
    """Write the messages of bags into one, in the order of their time, under other names."""
    writer = BagWriter(bag, {})
    for message in sorted(chain.from_iterable(map(read_bag, bags)), key=lambda message: message.stamp):
        channel = replace(message.channel, topic=name(message.channel.topic))
        writer.add(channel, message.data, message.stamp)
    writer.close()


def test_a_bag_whose_time_runs_back_is_refused(tmp_path: Path) -> None:
    bag = tmp_path / "bag.mcap"
    session = Session(bag)
    lead(session, 1)
    session.time -= 60.0
    lead(session, 1)
    session.close()
    assert "its time runs back by 60.0 s at" in refusal(bag, tmp_path / "out", *LED)


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        (("/joint_states",), "joint_states are stamped"),
        (
            ("/front/color/image_raw", "/front/aligned_depth_to_color/image_raw"),
            "camera front: its newest image is stamped",
        ),
    ],
)
def test_a_clock_that_was_set_back_is_named(topics: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """Of a driver on another machine than the recorder."""

    def change(topic: str, message: Any) -> Any:
        if topic in topics and message.header.stamp.sec >= int(START) + 2:
            message = deepcopy(message)
            message.header.stamp.sec -= 30
        return message

    session = Session(tmp_path / "bag.mcap", change=change)
    lead(session, 2)
    session.close()
    assert words in refusal(tmp_path / "bag.mcap", tmp_path / "out", *LED)


def test_a_bag_that_was_cut_off_is_taken_as_far_as_it_goes_if_that_is_asked_for(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mcap"
    session = Session(whole)
    for _ in range(2):
        lead(session)
        session.arm.move_by(0.3)  # back to the beginning
        session.flush()
    session.close()
    bag = tmp_path / "cut.mcap"
    bag.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert "cut off" in refusal(bag, tmp_path / "out", *LED)
    [episode] = imported(bag, tmp_path / "out", *LED, "--cut-off")
    assert len(episode.keyframes) == 4


def test_a_run_that_the_bag_does_not_hold_to_its_end_is_no_episode(tmp_path: Path) -> None:
    bag = tmp_path / "bag.mcap"
    session = Session(bag)
    session.go_on(0.5)
    session.tell_goal("execute", 1, GoalStatus.STATUS_EXECUTING)
    session.write("mini_diffuser/active_instruction", String(data=SENTENCE))
    session.go_on(2.0)
    session.close()
    assert f"'{SENTENCE}': the bag ends before it was obeyed" in refusal(bag, tmp_path / "out")


def test_runs_are_not_taken_for_an_arm_led_by_hand(tmp_path: Path) -> None:
    bag, other, blind = (tmp_path / f"{name}.mcap" for name in ("run", "old", "blind"))
    session = Session(bag)
    obey(session, "press the blue button", 1)
    session.close()
    assert "holds runs of the stack, which say what they do ('press the blue button')" in refusal(bag, tmp_path, *LED)

    session = Session(other)
    session.write("mini_diffuser/active_instruction", String(data="press the blue button"))  # latched, and long obeyed
    session.tell_goal("execute", 1, GoalStatus.STATUS_SUCCEEDED)
    lead(session, 2)
    session.close()
    assert len(imported(other, tmp_path / "out", *LED)) == 1

    session = Session(blind, change=without("/mini_diffuser/execute/_action/status"))
    obey(session, "press the blue button", 1)
    session.close()
    assert "nothing on /mini_diffuser/execute/_action/status" in refusal(blind, tmp_path / "none")


def test_an_arm_whose_driver_hung_is_no_demonstration(tmp_path: Path) -> None:
    def change(topic: str, message: Any) -> Any:
        if topic == "/joint_states":
            message = deepcopy(message)
            message.position = [*ROBOT.home, *message.position[7:]]
        return message

    session = Session(tmp_path / "bag.mcap", change=change)
    session.arm.grip(0.08)
    session.go_on(2.0)
    session.arm.grip(0.0)
    session.go_on(2.0)
    session.close()
    words = refusal(tmp_path / "bag.mcap", tmp_path / "out", *LED)
    assert "all joints of the arm stay bit for bit where they are" in words


def test_folders_of_rosbag2_are_known_by_what_is_in_them(led: tuple[Path, Shown], tmp_path: Path) -> None:
    folder = tmp_path / "rosbag2"
    folder.mkdir()
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: 5, storage_identifier: mcap}\n")
    (folder / "rosbag2_0.mcap").write_bytes(led[0].read_bytes())
    assert len(imported(folder, tmp_path / "out", *LED)) == 1
    (folder / "rosbag2_0.mcap").unlink()
    (folder / "rosbag2_0.db3").write_bytes(b"SQLite format 3\x00" + bytes(100))
    assert "ros2 bag convert" in refusal(folder, tmp_path / "none", *LED)
    assert "ros2 bag convert" in refusal(folder / "rosbag2_0.db3", tmp_path / "none", *LED)
    (tmp_path / "text.mcap").write_text("no bag")
    assert "nothing that can be imported" in refusal(tmp_path / "text.mcap", tmp_path / "none", *LED)


def compressed(_: str, message: Any) -> Any:
    """Images as image_transport's plugins send them."""
    if not isinstance(message, Image):
        return message
    if message.encoding == "rgb8":
        picture, how, header = color_from_image(message), "rgb8; png compressed bgr8", b""
    else:
        picture = np.round(1000.0 * depth_from_image(message)).astype(np.uint16)
        how, header = "16UC1; compressedDepth png", bytes(12)
    file = BytesIO()
    PillowImage.fromarray(picture).save(file, "PNG")
    return CompressedImage(header=message.header, format=how, data=array("B", header + file.getvalue()))


def test_compressed_images_are_found_by_their_topics(led: tuple[Path, Shown], tmp_path: Path) -> None:
    session = Session(tmp_path / "bag.mcap", change=compressed)
    lead(session, 2)
    session.close()
    [episode] = imported(tmp_path / "bag.mcap", tmp_path / "out", *LED)
    [of_raw] = imported(led[0], tmp_path / "raw", *LED)
    for keyframe, raw in zip(episode.keyframes, of_raw.keyframes[:2], strict=True):
        for view, raw_view in zip(keyframe.views, raw.views, strict=True):
            np.testing.assert_array_equal(view.color, raw_view.color)
            np.testing.assert_allclose(view.depth, raw_view.depth, atol=0.00051)


def test_topics_of_cameras_may_begin_with_anything(led: tuple[Path, Shown], tmp_path: Path) -> None:
    bag = tmp_path / "bag.mcap"
    joined(bag, led[0], name=lambda topic: topic.replace("/front/", "/camera/one/").replace("/wrist/", "/camera/two/"))
    words = refusal(bag, tmp_path / "none", *LED)
    assert "NAME=/ITS/TOPICS there are /camera/one/color/image_raw, /camera/two/color/image_raw" in words
    cameras = ("--cameras", "front=/camera/one", "wrist=/camera/two/")
    [episode] = imported(bag, tmp_path / "out", *LED, *cameras)
    for keyframe, expected in zip(episode.keyframes, led[1], strict=True):
        assert_shows(keyframe, *expected)


def test_stamps_are_of_the_clock_in_the_bag_where_there_is_one(tmp_path: Path) -> None:
    """As rosbag2 records a simulation: when messages came is of another clock."""
    for told in (True, False):
        session = Session(tmp_path / f"bag{told}.mcap")
        session.behind = 1e6
        session.begin = (lambda s=session: s.write("/clock", Clock(clock=s.now().to_msg()))) if told else lambda: None
        lead(session, 2)
        session.close()
    [episode] = imported(tmp_path / "bagTrue.mcap", tmp_path / "out", *LED)
    assert START < episode.keyframes[1].stamp < START + 4.0
    words = refusal(tmp_path / "bagFalse.mcap", tmp_path / "none", *LED)
    assert "s before the keyframe was asked for; are the clocks of the machines synchronised?" in words
