"""The recorder as a process: what is marked is on the disk, whatever happens, and it is what the sensors said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat, RecorderStatus
from mini_diffuser_msgs.srv import MarkKeyframe, StartEpisode
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from mini_diffuser_ros.commands.import_ import main as import_
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.records import TABLE, UNSAID, Episode, Keyframe, Provenance

from .conftest import DISCOVERY, LATCHED, Peer, Process
from .synthetic_arm import INTRINSICS, NOISE, SyntheticArm

BASE = "/mini_diffuser/recorder"
PATIENT = {"max_joint_age": 5.0, "keyframe.timeout": 60.0, "camera.stale_after": 20.0, "camera.max_clock_lead": 1.0}


@pytest.fixture(scope="module")
def arm(peer: Peer) -> Iterator[SyntheticArm]:
    arm = SyntheticArm(peer.node, ("front", "wrist"))
    yield arm
    arm.close()


class Recorder:
    """A recorder process as its operator sees it."""

    def __init__(self, peer: Peer, process: Process) -> None:
        self.process = process
        self._peer = peer
        self._statuses: list[RecorderStatus] = []
        self._subscription = peer.node.create_subscription(
            RecorderStatus, f"{BASE}/status", self._statuses.append, LATCHED
        )
        peer.await_that(lambda: self._statuses)

    @property
    def status(self) -> RecorderStatus:
        return self._statuses[-1]

    def messages(self) -> list[str]:
        return [status.message for status in self._statuses]

    def await_status(self, fits: Callable[[RecorderStatus], bool]) -> RecorderStatus:
        self._peer.await_that(lambda: fits(self.status))
        return self.status

    def start(self, task: str = "stack_cups") -> None:
        response = self._peer.call(StartEpisode, f"{BASE}/start_episode", task=task, sentences=["stack the cups"])
        assert response.success, response.message

    def mark(self) -> Any:
        return self._peer.call(MarkKeyframe, f"{BASE}/mark_keyframe")

    def tell(self, name: str) -> Any:
        return self._peer.call(Trigger, f"{BASE}/{name}")

    def end(self, number: int = signal.SIGINT) -> None:
        """End the process; a later one's status is not to be mixed up with this one's."""
        self.process.signal(number)
        self.process.wait(DISCOVERY)
        self._peer.node.destroy_subscription(self._subscription)


@pytest.fixture
def record(peer: Peer, start: Callable[..., Process], tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Starts a recorder into the test's folder; one at a time, ended with the test."""
    recorders: list[Recorder] = []

    def begin(**parameters: Any) -> Recorder:
        parameters = {"folder": tmp_path, "cameras": "[front, wrist]", **PATIENT, **parameters}
        recorders.append(Recorder(peer, start("recorder_node", **parameters)))
        return recorders[-1]

    yield begin
    for recorder in recorders:
        if recorder.process.is_running():
            recorder.end()


def assert_shows(keyframe: Keyframe, positions: dict[str, float], base_from_tool: Any, gripper_open: bool) -> None:
    """The keyframe is what the arm's drivers have published."""
    np.testing.assert_allclose(matrix_from_pose(keyframe.pose), base_from_tool, atol=1e-6)
    assert keyframe.gripper_open is gripper_open
    assert keyframe.joint_positions == pytest.approx(positions, abs=1e-6)
    assert [view.name for view in keyframe.views] == ["front", "wrist"]
    front, wrist = keyframe.views
    np.testing.assert_allclose(front.base_from_camera, SyntheticArm.parent_from_camera("front"), atol=1e-6)
    expected = base_from_tool @ SyntheticArm.parent_from_camera("wrist")
    np.testing.assert_allclose(wrist.base_from_camera, expected, atol=1e-6)
    for view in keyframe.views:
        np.testing.assert_array_equal(view.intrinsics, INTRINSICS)
        np.testing.assert_allclose(view.depth, 0.9, atol=6.0 * NOISE)
    assert len(keyframe.cloud) > 0


@pytest.fixture
def done(tmp_path: Path) -> Callable[[], list[Episode]]:
    return lambda: list(open_episodes(tmp_path))


def test_marked_keyframes_are_what_the_sensors_said_and_outlive_kill_9(
    record: Callable[..., Recorder], arm: SyntheticArm, done: Callable[[], list[Episode]], tmp_path: Path
) -> None:
    recorder = record()
    assert not recorder.mark().success
    recorder.start()
    seen = []
    for width in (0.08, 0.03):
        arm.move_by(0.2)
        arm.grip(width)
        # The arm has just begun to move: the recorder waits for its rest.
        response = recorder.mark()
        assert response.success, response.message
        seen.append((arm.positions(), arm.base_from_tool(), width == 0.08))
    assert response.keyframes == 2
    recorder.await_status(lambda status: status.keyframes == 2)
    recorder.end(signal.SIGKILL)

    recorder = record()
    status = recorder.status
    assert (status.state, status.keyframes, status.task) == (RecorderStatus.UNFINISHED, 2, "stack_cups")
    assert "resume, end or drop" in recorder.mark().message
    assert recorder.tell("resume_episode").success
    arm.move_by(-0.4)
    assert recorder.mark().keyframes == 3
    seen.append((arm.positions(), arm.base_from_tool(), False))
    arm.move_by(0.1)
    assert recorder.mark().keyframes == 4
    dropped = recorder.tell("drop_keyframe")
    assert dropped.success
    assert len(list((tmp_path / "dropped").iterdir())) == 1
    ended = recorder.tell("end_episode")
    assert ended.success, ended.message

    [episode] = done()
    assert (episode.task, episode.sentences) == ("stack_cups", ("stack the cups",))
    assert len(episode.keyframes) == len(seen)
    for keyframe, expected in zip(episode.keyframes, seen, strict=True):
        assert_shows(keyframe, *expected)
    stamps = [keyframe.stamp for keyframe in episode.keyframes]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("simulates", [False, True])
def test_an_episode_is_a_simulations_only_if_that_publishes_the_pictures(
    record: Callable[..., Recorder], peer: Peer, arm: SyntheticArm, done: Callable[[], list[Episode]], simulates: bool
) -> None:
    """Not if somebody advertises its topics, or it runs beside the cameras."""
    task = peer.node.create_publisher(String, "/sim/task", LATCHED)
    heart = peer.node.create_publisher(Heartbeat, "/mini_diffuser/heartbeat/sim", 10)
    sender = peer.node.get_fully_qualified_name() if simulates else "/sim_node"
    beat = Heartbeat(serving=True, sender=f"{sender} (process 1 on elsewhere)", instance=7)
    timer = peer.node.create_timer(0.05, lambda: heart.publish(beat))
    recorder = record()
    peer.await_that(lambda: heart.get_subscription_count() > 0)
    for _ in range(2):  # at the beginning of the first it may not have heard of anybody yet
        recorder.start()
        for turn in (0.2, -0.1):
            arm.move_by(turn)
            assert (marked := recorder.mark()).success, marked.message
        assert recorder.tell("end_episode").success
    peer.node.destroy_timer(timer)
    for publisher in (task, heart):
        peer.node.destroy_publisher(publisher)
    _, episode = done()
    assert episode.provenance.worlds == (Provenance((TABLE,)) if simulates else UNSAID).worlds


def test_what_is_missing_is_named_and_nothing_is_written(
    record: Callable[..., Recorder], peer: Peer, arm: SyntheticArm, tmp_path: Path
) -> None:
    recorder = record(cameras="[front, rear]", **{"keyframe.timeout": 1.0})
    recorder.start()

    def refused(*words: str) -> bool:
        """Whether marking fails for this reason; while nothing has been discovered there are others."""
        response = recorder.mark()
        assert not response.success
        return all(word in response.message for word in words)

    peer.await_that(lambda: refused("camera rear: nothing on rear/color/image_raw yet"))
    arm.tremble(True)
    try:
        peer.await_that(lambda: refused("did not come to rest", "panda_joint1 moves at"))
    finally:
        arm.tremble(False)
    arm.set_camera_clock(100.0)
    try:
        peer.await_that(lambda: refused("camera front: front/color/image_raw is stamped 9"))
    finally:
        arm.set_camera_clock(0.0)
    status = recorder.await_status(lambda status: status.state == RecorderStatus.RECORDING)
    assert status.keyframes == 0
    assert [file for file in tmp_path.rglob("*") if file.is_file() and not file.name.startswith(".")] == []
    assert "expected at least 2" in recorder.tell("end_episode").message
    assert recorder.tell("drop_episode").success


def test_what_cameras_cannot_have_seen_is_refused_by_name_and_the_truth_is_recorded(
    record: Callable[..., Recorder], peer: Peer, arm: SyntheticArm, done: Callable[[], list[Episode]]
) -> None:
    recorder = record()
    said = peer.collect(DiagnosticArray, "/diagnostics")
    recorder.start()
    assert recorder.mark().keyframes == 1
    for camera, about, words in (
        ("front", "place", "has moved by 0.050 m and 0.0 degrees against the base"),
        ("front", "depth", "depth measures nothing: 0.0% of the pixels"),
        ("wrist", "colour", "its colour has been the same bit for bit for"),
    ):
        arm.move_by(0.1)
        arm.lie(camera, about)

        def refused(line: str = f"camera {camera}: ", words: str = words) -> bool:
            """Whether marking fails for this reason; what was sent before the lie is the truth."""
            response = recorder.mark()
            return not response.success and line in response.message and words in response.message

        try:
            peer.await_that(refused)
            peer.await_that(lambda words=words: any(words in s.message for one in list(said) for s in one.status))
        finally:
            arm.lie(camera)
        recorded = recorder.status.keyframes
        arm.move_by(0.1)
        peer.await_that(lambda count=recorded: recorder.mark().keyframes > count)
    arm.lie("joints", "all")
    try:  # the first one is where the arm is, as far as anybody knows
        peer.await_that(lambda: "all joints are bit for bit where they were" in recorder.mark().message)
    finally:
        arm.lie("joints")
    recorded = recorder.status.keyframes
    peer.await_that(lambda: recorder.mark().keyframes > recorded)
    assert recorder.tell("end_episode").success
    [episode] = done()
    for keyframe in episode.keyframes:
        for view in keyframe.views:
            assert np.ptp(view.color) > 0
            assert np.all(view.depth > 0.8)


def test_a_camera_on_the_arm_that_is_too_near_to_measure_is_left_out_of_the_keyframe(
    record: Callable[..., Recorder], peer: Peer, arm: SyntheticArm, done: Callable[[], list[Episode]]
) -> None:
    recorder = record()
    recorder.start()

    def marked() -> int:
        """Keyframes after another one of a place where the arm was not before."""
        arm.move_by(0.1)
        before = recorder.status.keyframes
        peer.await_that(lambda: recorder.mark().keyframes > before)
        return int(recorder.status.keyframes)

    marked()
    arm.lie("wrist", "depth")
    try:
        marked()  # a set from before may still be under way
        last = marked()
    finally:
        arm.lie("wrist")
    assert recorder.tell("end_episode").success
    [episode] = done()
    assert [view.name for view in episode.keyframes[0].views] == ["front", "wrist"]
    assert [view.name for view in episode.keyframes[last - 1].views] == ["front"]


def test_joint_states_that_never_changed_make_no_first_keyframe(
    record: Callable[..., Recorder], peer: Peer, arm: SyntheticArm
) -> None:
    arm.lie("joints", "all")
    try:
        recorder = record()
        recorder.start()
        peer.await_that(lambda: "where they were when the recorder began to listen" in recorder.mark().message)
    finally:
        arm.lie("joints")
    peer.await_that(lambda: recorder.mark().keyframes == 1)
    assert recorder.tell("drop_episode").success


def test_keyframes_are_marked_where_the_arm_stops_and_where_the_gripper_changes(
    record: Callable[..., Recorder], peer: Peer, arm: SyntheticArm, done: Callable[[], list[Episode]]
) -> None:
    arm.grip(0.08)
    recorder = record(mark="auto")
    recorder.start()
    expected = []
    for count, act in enumerate((lambda: None, lambda: arm.move_by(0.3), lambda: arm.grip(0.0)), start=1):
        act()
        expected.append((arm.positions(), arm.base_from_tool(), arm.positions()["panda_finger_joint1"] > 0.03))
        recorder.await_status(lambda status, count=count: status.keyframes == count)
    # Where the arm is led last is a keyframe even if the episode is ended at once.
    start = arm.position
    arm.move_by(-0.6)
    expected.append((arm.positions(), arm.base_from_tool(), False))
    peer.await_that(lambda: arm.position < start - 0.2)
    assert recorder.tell("end_episode").success
    [episode] = done()
    assert len(episode.keyframes) == 4
    for keyframe, one in zip(episode.keyframes, expected, strict=True):
        assert_shows(keyframe, *one)


def test_runs_of_the_stack_are_kept_if_they_succeed_and_are_the_same_from_bags(
    record: Callable[..., Recorder],
    start: Callable[..., Process],
    peer: Peer,
    arm: SyntheticArm,
    done: Callable[[], list[Episode]],
    tmp_path: Path,
) -> None:
    """The stack is played: real actions whose goals move the arm and end as they are told."""
    pytest.importorskip("mcap.writer")
    bags = tmp_path / "bags"
    active = peer.node.create_publisher(String, "mini_diffuser/active_instruction", LATCHED)
    success = peer.node.create_publisher(Bool, "sim/success", LATCHED)

    def move(goal: Any) -> Any:
        arm.move_by(0.2)
        target = arm.positions()["panda_joint1"]
        peer.await_that(lambda: abs(arm.position - target) < 1e-6)
        goal.succeed()
        return MoveToKeyframe.Result()

    def obey(goal: Any) -> Any:
        success.publish(Bool(data=False))
        active.publish(String(data=goal.request.instruction))
        for count in (1, 2, 3):
            # A policy looks and decides between two motions; the recorder's images are of that time.
            recorder.await_status(lambda status, count=count: status.keyframes == count)
            if count < 3:
                peer.execute(MoveToKeyframe, "/mini_diffuser/move_to_keyframe")
        success.publish(Bool(data="blue" in goal.request.instruction))
        goal.succeed()
        return ExecuteInstruction.Result()

    group = ReentrantCallbackGroup()
    servers = [
        ActionServer(peer.node, MoveToKeyframe, "mini_diffuser/move_to_keyframe", move, callback_group=group),
        ActionServer(peer.node, ExecuteInstruction, "mini_diffuser/execute", obey, callback_group=group),
    ]
    bag_node = start("bag_node", folder=bags, cameras="[front, wrist]", tail=1.0)
    recorder = record(mark="runs", simulated=True, confirm_timeout=2.0)
    peer.await_that(lambda: active.get_subscription_count() > 1)
    assert "mark:=runs" in recorder.tell("resume_episode").message
    try:
        for sentence in ("press the red button", "press the blue button"):
            peer.execute(ExecuteInstruction, "/mini_diffuser/execute", instruction=sentence)
            recorder.await_status(lambda status: status.state == RecorderStatus.IDLE)
    finally:
        for server in servers:
            server.destroy()
        peer.await_that(lambda: bag_node.said().count(f"wrote {bags}") == 2)
    assert any("the world does not confirm success" in message for message in recorder.messages())
    [episode] = done()
    assert (episode.task, episode.sentences) == ("press_the_blue_button", ("press the blue button",))
    assert len(episode.keyframes) == 3
    turns = np.diff([keyframe.joint_positions["panda_joint1"] for keyframe in episode.keyframes])
    np.testing.assert_allclose(turns, 0.2, atol=1e-6)
    assert len(list((tmp_path / "dropped").iterdir())) == 1

    bag_node.end()
    for bag in sorted(bags.iterdir()):
        if "blue" in bag.name:
            assert import_(f"{bag} {tmp_path / 'imported'}".split()) == 0
        else:
            with pytest.raises(DataError, match="the world does not confirm success"):
                import_([str(bag), str(tmp_path / "imported")])
    [from_bag] = open_episodes(tmp_path / "imported")
    assert (from_bag.task, from_bag.sentences) == (episode.task, episode.sentences)
    for one, other in zip(episode.keyframes, from_bag.keyframes, strict=True):
        assert_same(one, other)


def assert_same(one: Keyframe, other: Keyframe) -> None:
    """Show the same rest of the arm, to the bit if they are of the same images; a busy machine takes later ones."""
    assert_shows(other, one.joint_positions, matrix_from_pose(one.pose), one.gripper_open)
    for view, other_view in zip(one.views, other.views, strict=True):
        assert view.distortion == other_view.distortion
        if view.stamp == other_view.stamp:
            np.testing.assert_array_equal(view.color, other_view.color)
            np.testing.assert_array_equal(view.depth, other_view.depth)
    if one.stamp == other.stamp:
        np.testing.assert_array_equal(one.pose, other.pose)
        assert one.joint_positions == other.joint_positions


@pytest.mark.usefixtures("arm")
def test_an_episode_is_recorded_from_the_terminal(
    record: Callable[..., Recorder], done: Callable[[], list[Episode]]
) -> None:
    record()
    demo = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "demo", "--wait", str(DISCOVERY)]
    words = [*demo, "--task", "press", "press it", "push it down"]
    keys = "\n\n\nu\n\nx\nd\ne\nq\n"
    terminal = subprocess.run(words, input=keys, capture_output=True, text=True, timeout=DISCOVERY, check=True)
    said = terminal.stdout.splitlines()
    assert sum("keyframe 2" in line for line in said) == 2
    assert any("'x' is no key" in line for line in said)
    assert any("d once more" in line for line in said)
    [episode] = done()
    assert (episode.task, episode.sentences, len(episode.keyframes)) == ("press", ("press it", "push it down"), 2)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"mark": "sometimes"}, ["mark is 'sometimes'", "manual, auto, runs"]),
        ({"keyframe.tool_pose": "guess"}, ["keyframe.tool_pose is 'guess'", "tf or joints"]),
        ({"folder": "/proc/nowhere"}, ["/proc/nowhere"]),
    ],
)
def test_a_recorder_that_cannot_start_says_why_in_one_line(
    start: Callable[..., Process], parameters: dict[str, Any], words: list[str]
) -> None:
    process = start("recorder_node", **parameters)
    assert process.wait(DISCOVERY) == 1
    last = process.said().strip().splitlines()[-1]
    assert all(word in last for word in words), last
    assert "Traceback" not in process.said()


def test_nothing_that_was_marked_is_lost_when_the_recorder_is_killed_while_it_writes(
    tmp_path: Path, domain_id: int
) -> None:
    words = [sys.executable, "-m", "mini_diffuser_ros", "bench", "kill-demo", "--json", "--kills", "3"]
    # It has an arm of its own, which this module's is to keep out of.
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    words += ["--out", str(tmp_path / "out")]
    told = subprocess.run(words, capture_output=True, text=True, timeout=3 * DISCOVERY, env=environment)
    assert told.returncode == 0, told.stdout + told.stderr
    report = json.loads(told.stdout)
    assert (report["kills"], report["lost"], report["twice"], report["left_unfinished"]) == (3, 0, 0, 0)
    assert report["marked"] >= 3
