"""Episodes of what is in a bag, by the code that records them on a running arm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from action_msgs.msg import GoalStatusArray
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from mini_diffuser_ros.cell import Cell, cell_digest
from mini_diffuser_ros.data.bags.reader import read_bag
from mini_diffuser_ros.data.episode_recorder import EpisodeRecorder, RecorderState
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.incoming import IncomingFolder
from mini_diffuser_ros.data.task_names import task_of
from mini_diffuser_ros.nodes.bags.message_types import type_name
from mini_diffuser_ros.nodes.bags.player import BagFrames, BagPlayer
from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC, DEPTH_TOPIC
from mini_diffuser_ros.nodes.cameras.image_transports import COLOR_TRANSPORTS, DEPTH_TRANSPORTS, ImageTransport
from mini_diffuser_ros.nodes.recording.followed_run import EXECUTIONS, INSTRUCTION, FollowedRun, goals_of
from mini_diffuser_ros.nodes.recording.keyframe_maker import KeyframeConfig
from mini_diffuser_ros.nodes.recording.recording import Recording, RecordingSettings
from mini_diffuser_ros.nodes.recording.run_recorder import RunConfig, RunEnd, RunRecorder
from mini_diffuser_ros.nodes.ros.messages import NANOSECONDS, transform_from_matrix
from mini_diffuser_ros.records import LAB, TABLE, UNSAID, Provenance
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.settings import unknown_name

PEEK = 5.0  # seconds of a bag, without those for which nobody said anything, in which every topic is heard again
LONGEST_GAP = 0.2  # seconds of silence that count
TF_TIMEOUT = 0.5  # seconds to wait for the TF of an image, as recorder_node
CONFIRM_TIMEOUT = 3.0  # seconds after a run within which the simulated world may confirm it, as recorder_node
JOINTS = "/joint_states"
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_COLOR_TOPICS = tuple(f"/{COLOR_TOPIC}{transport.suffix}" for transport in COLOR_TRANSPORTS.values())


class NoEpisodeError(DataError):
    """A bag is whole, but none of its runs is a lesson."""


@dataclass(frozen=True)
class BagRequest:
    """What is to be made of a bag.

    Attributes:
        instruction: what the arm was led to do by hand; None for runs of the stack, of which the bag says it.
        task: of the episodes; empty: from the simulated world or the sentence.
        cell: where it was recorded, None if nobody has said.
        robot: name or folder of its description; empty: that of the cell.
        cameras: name to what its topics begin with, empty for the name in the namespace; none: those of the cell,
            without one all in the bag.
        namespace: of joint states and cameras, e.g. ``/left``; None: that of the only joint states in the bag.
        tool_pose: as of :class:`KeyframeConfig`.
        cut_off: whether a bag that ends early is taken as far as it goes.
        skip_bad: whether to go on after a run that lacks something.
    """

    instruction: str | None = None
    task: str = ""
    cell: Cell | None = None
    robot: str = ""
    cameras: Mapping[str, str] = field(default_factory=dict)
    namespace: str | None = None
    tool_pose: str = "tf"
    cut_off: bool = False
    skip_bad: bool = False


@dataclass
class BagOutcome:
    """What became of a bag.

    Attributes:
        added: files of new episodes.
        there: how many episodes were there already.
        left_out: a line about each run that is no lesson, as it failed.
        faulty: a line about each run that would be one, but lacks something.
        notes: what else is to be known.
    """

    added: list[Path] = field(default_factory=list)
    there: int = 0
    left_out: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_bag(
    path: Path, into: IncomingFolder, request: BagRequest, tell: Callable[[float], object] = lambda _: None
) -> BagOutcome:
    """Add what a bag holds to a folder of recordings.

    A session in which the arm was led by hand is one episode; where the arm rests and where the gripper changes is a
    keyframe. Of runs of the stack, each sentence that was obeyed is one, as ``mark:=runs`` of recorder_node has it.

    Args:
        path: of the bag, as ``read_bag`` takes it.
        into: where episodes go.
        request: what is to be made of it.
        tell: told how many seconds of the bag have been looked at.

    Raises:
        NoEpisodeError: all runs in it were left out.
        DataError: the bag cannot be read, or lacks what an episode needs: one line names it, and what was added before.
    """
    with into.workplace() as folder:
        # Below that: what lies in a folder of the store's counts as one of its numbers.
        return _Importing(path, into, request, folder / "recorded").run(tell)


class _Importing:
    def __init__(self, path: Path, into: IncomingFolder, request: BagRequest, folder: Path) -> None:
        self._path, self._into, self._request, self._folder = path, into, request, folder
        self._outcome = BagOutcome()
        topics = _topics(path, request.cut_off)
        self._namespace = _namespace(path, topics, request.namespace)
        cell = request.cell
        self._places = {name: place.rstrip("/") for name, place in request.cameras.items() if place}
        cameras = self._cameras(topics)
        robot_name = request.robot or (cell.robot if cell else "panda")
        robot = load_robot(robot_name)
        settings = RecordingSettings.of_cell(cell, robot, cameras, self._transports(topics, cameras))
        # A driver that hangs is found out otherwise here: nothing is a keyframe that the arm has not moved to.
        settings = replace(settings, keyframe=KeyframeConfig(tool_pose=request.tool_pose, repeats=True))
        self._player = player = BagPlayer(path, self._namespace, request.cut_off, self._places)
        self._is_simulated = any(f"{self._namespace}/sim/{topic}" in topics for topic in ("task", "success"))
        source = "a run of the stack" if request.instruction is None else "led by hand (auto marks)"
        self._recorder = EpisodeRecorder(folder, robot_name, f"{source}, from a bag", self._provenance, self._date)
        self._recording = Recording(
            player,
            BagFrames(player, TF_TIMEOUT, _fixed(cell)),
            player,
            settings,
            self._recorder,
            lambda _: None,
            player.seconds,
            steady=player.seconds,
        )
        self._session = self._recording.session

    def run(self, tell: Callable[[float], object]) -> BagOutcome:
        try:
            instruction = self._request.instruction
            for seconds in self._runs() if instruction is None else self._led_by_hand(instruction):
                tell(seconds)
        except DataError as error:
            if added := self._outcome.added:
                names = ", ".join(file.name for file in added)
                raise DataError(f"{error}; of what comes before that, {names} was added") from error
            raise
        finally:
            self._recorder.close()
        return self._outcome

    def _led_by_hand(self, sentence: str) -> Iterator[float]:
        run = FollowedRun()
        player = self._player
        # A sentence alone may be an old one: it is latched.
        player.create_subscription(String, INSTRUCTION, lambda message: run.instructed(message.data), 10)
        player.create_subscription(GoalStatusArray, EXECUTIONS, lambda message: run.executions(goals_of(message)), 10)
        self._recording.mark_rests(player)
        for seconds in player.play():
            if self._session.progress.state == RecorderState.IDLE:
                self._session.start(self._request.task or task_of(sentence), (sentence,), 0)
            if run.is_obeyed:
                raise DataError(
                    f"{self._path}: holds runs of the stack, which say what they do ('{run.sentence}'): import it "
                    "without an instruction, or cut them out"
                )
            if fault := player.log.last_error:
                raise DataError(f"{self._path}: {seconds:.1f} s after its beginning: {fault}")
            yield seconds
        count = self._session.progress.keyframes
        if count < 2:
            found = "only one keyframe" if count else "no keyframe"
            raise DataError(f"{self._path}: {found}: {self._what_lacks()}")
        joints = self._recording.joints
        if joints.changes()[1] <= len(joints.robot.arm_joint_names):
            raise DataError(
                f"{self._path}: all joints of the arm stay bit for bit where they are, which no encoder measures: its "
                "driver had hung"
            )
        if self._session.has_left():
            self._outcome.notes.append(
                "the arm has left the last keyframe when the bag ends: that is not in the episode"
            )
        self._recorder.end()
        self._harvest()

    def _what_lacks(self) -> str:
        """Why there are too few keyframes of an arm that was led by hand."""
        joints = self._recording.joints
        lacks = joints.problem() or self._player.log.last_warning or joints.rest.motion()
        return lacks or "it rests where it was, and the gripper has not changed"

    def _runs(self) -> Iterator[float]:
        request, player, recording = self._request, self._player, self._recording
        settle_time = recording.settings.rest.settle_time
        config = RunConfig(request.task, self._is_simulated, CONFIRM_TIMEOUT, False, settle_time)
        heard: list[str] = []
        told: list[Any] = []
        RunRecorder(player, config, self._session, self._recorder, recording.maker, player, player, self._on_run_end)
        player.create_subscription(String, INSTRUCTION, lambda message: heard.append(message.data), 10)
        player.create_subscription(GoalStatusArray, EXECUTIONS, told.append, 10)
        yield from player.play()
        if not heard:
            topic = player.resolve_topic_name(INSTRUCTION)
            raise DataError(
                f"{self._path}: holds no run of the stack, nothing on {topic}: if the arm was led by hand, say by "
                "--instruction to do what"
            )
        if not told:
            raise DataError(
                f"{self._path}: nothing on {player.resolve_topic_name(EXECUTIONS)}, so that nobody knows how runs "
                "ended: ros2 bag record --include-hidden-topics"
            )
        if self._session.progress.state != RecorderState.IDLE:
            self._recorder.drop()
            self._outcome.left_out.append(f"'{heard[-1]}': the bag ends before it was obeyed")
        outcome = self._outcome
        if not outcome.added and not outcome.there:
            raise NoEpisodeError(
                f"{self._path}: no run became an episode: {'; '.join((*outcome.faulty, *outcome.left_out))}"
            )

    def _on_run_end(self, end: RunEnd) -> None:
        if not end.fault:
            self._harvest()
            return
        line = f"'{end.sentence}': {end.fault}"
        if not (end.failed or self._request.skip_bad):
            raise DataError(f"{self._path}: {line} (--skip-bad goes on)")
        (self._outcome.left_out if end.failed else self._outcome.faulty).append(line)
        if self._session.progress.state != RecorderState.IDLE:  # what could not be ended
            self._recorder.drop()

    def _harvest(self) -> None:
        """Episodes that have been recorded get their numbers."""
        for file in sorted(self._folder.glob("*.zip")):
            named = self._into.adopt(file)
            file.unlink()
            if named is None:
                self._outcome.there += 1
            else:
                self._outcome.added.append(named)

    def _date(self) -> datetime:
        return datetime.fromtimestamp(self._player.stamp // NANOSECONDS, timezone.utc)

    def _provenance(self) -> Provenance:
        """The world that the cameras show: the simulated one is known by the task that it publishes."""
        if self._is_simulated:
            return Provenance((TABLE,))
        return UNSAID if self._request.cell is None else Provenance((LAB,), cells=(cell_digest(self._request.cell),))

    def _cameras(self, topics: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the cameras: those asked for, of the cell, or all in the bag.

        Raises:
            DataError: there is none, or one is not in the cell.
        """
        cell = self._request.cell
        for name in self._request.cameras:
            if not _NAME.fullmatch(name):
                raise DataError(f"camera '{name}' cannot be the name of one: letters, digits and _ make one")
            if cell is not None and name not in cell.cameras:
                raise DataError(f"the cell has no '{name}': {unknown_name(name, list(cell.cameras), 'camera')}")
        names = tuple(self._request.cameras or (cell.cameras if cell else self._found(topics)))
        if not names:
            others = [topic for topic in topics if topic.endswith(_COLOR_TOPICS)]
            remedy = f"; of --cameras NAME=/ITS/TOPICS there are {', '.join(others)}" if others else ""
            raise DataError(f"{self._path}: has no topic {self._namespace}/<camera>/{COLOR_TOPIC}{remedy}")
        return names

    def _found(self, topics: Mapping[str, str]) -> list[str]:
        inside = [topic.removeprefix(f"{self._namespace}/") for topic in topics if topic.startswith(self._namespace)]
        names = {topic.removesuffix(end) for topic in inside for end in _COLOR_TOPICS if topic.endswith(end)}
        return sorted(name for name in names if _NAME.fullmatch(name))

    def _transports(self, topics: Mapping[str, str], cameras: tuple[str, ...]) -> tuple[ImageTransport, ImageTransport]:
        """How colour and depth travelled: raw, unless there is only the other."""

        def choose(transports: Mapping[str, ImageTransport], topic: str) -> ImageTransport:
            base = f"{self._places.get(cameras[0], f'{self._namespace}/{cameras[0]}')}/{topic}"
            there = [one for one in transports.values() if base + one.suffix in topics]
            return next(iter((*there, *transports.values())))

        return choose(COLOR_TRANSPORTS, COLOR_TOPIC), choose(DEPTH_TRANSPORTS, DEPTH_TOPIC)


def _topics(path: Path, cut_off: bool) -> dict[str, str]:
    """Topic to type, of a bag up to where nothing new has been heard for some seconds."""
    found: dict[str, str] = {}
    quiet, before = 0.0, 0
    for message in read_bag(path, cut_off=cut_off):
        if message.channel.topic not in found:
            found[message.channel.topic], quiet = message.channel.type_name, 0.0
        # What was latched long before comes first, and a recorder may have paused.
        quiet += min(max((message.stamp - before) / NANOSECONDS, 0.0), LONGEST_GAP)
        before = message.stamp
        if quiet > PEEK:
            break
    if not found:
        raise DataError(f"{path}: holds no message of ROS 2")
    return found


def _namespace(path: Path, topics: Mapping[str, str], wanted: str | None) -> str:
    """What the names of joint states and cameras begin with.

    Raises:
        DataError: there are no joint states, or those of several arms.
    """
    kind = type_name(JointState)
    arms = [topic.removesuffix(JOINTS) for topic, name in topics.items() if name == kind and topic.endswith(JOINTS)]
    if wanted is not None:
        namespace = "/" + wanted.strip("/") if wanted.strip("/") else ""
        if namespace not in arms:
            there = ", ".join(f"{arm}{JOINTS}" for arm in arms) or "none"
            raise DataError(f"{path}: has no {namespace}{JOINTS}; joint states in it: {there}")
        return namespace
    if "" in arms or len(arms) == 1:
        return "" if "" in arms else arms[0]
    if not arms:
        raise DataError(f"{path}: has no {JOINTS} ({kind}): where the arm was is not in it")
    raise DataError(f"{path}: has joint states of several arms: choose one by --namespace {' or '.join(sorted(arms))}")


def _fixed(cell: Cell | None) -> TFMessage | None:
    """Where the cell's cameras are, for bags without them."""
    if cell is None:
        return None
    return TFMessage(
        transforms=[
            TransformStamped(
                header=Header(frame_id=camera.parent),
                child_frame_id=cell.frame_of(name),
                transform=transform_from_matrix(camera.parent_from_camera),
            )
            for name, camera in cell.cameras.items()
            if camera.parent
        ]
    )
