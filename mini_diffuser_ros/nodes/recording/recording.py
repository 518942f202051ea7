"""All that makes episodes of messages, put together; where the messages come from is the business of others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mini_diffuser_msgs.msg import RecorderStatus

from mini_diffuser_ros.cell import CameraIntrinsics, Cell
from mini_diffuser_ros.data.episode_recorder import EpisodeRecorder, RecorderState
from mini_diffuser_ros.nodes.cameras.image_transports import ImageTransport
from mini_diffuser_ros.nodes.motion.gripper_actions import opened_in
from mini_diffuser_ros.nodes.recording.keyframe_maker import KeyframeConfig, KeyframeMaker
from mini_diffuser_ros.nodes.recording.recorder_cameras import Capture, RecorderCameras
from mini_diffuser_ros.nodes.recording.recording_session import RecordingSession
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.sources import Frames, Jobs, MessageSource, Waiting
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.automatic_marks import AutoConfig
from mini_diffuser_ros.sensing.camera_monitor import SyncConfig
from mini_diffuser_ros.sensing.camera_places import CalibratedPlace, camera_places
from mini_diffuser_ros.sensing.joint_monitor import OPEN_FRACTION, JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig, RestDetector
from mini_diffuser_ros.support.errors import UserError

OF_SURVEYS = (
    "survey_period",
    "table_band",
    "table_step",
    "table_in_cloud",
    "table_beneath",
    "table_tilt",
    "levelled_by",
    "see_through",
    "see_through_depth",
)


@dataclass(frozen=True)
class RecordingSettings:
    """What makes episodes of messages.

    Attributes:
        robot: whose keyframes they are.
        cameras: names; all have to deliver.
        transports: how colour and how depth travel.
        open_fraction: of the largest width, from which the gripper counts as open.
        lenses: of cameras that were calibrated by hand.
        places: of cameras, where the cell gives them.
        fusion: tells whether anything is seen in the workspace.
        sync: which images belong together, and when a camera counts as silent.
        max_clock_lead: seconds that an image may be stamped in the future.
        content: what is not believed of the cameras.
        rest: what counts as rest.
        auto: what makes a keyframe of a rest.
        keyframe: how a keyframe is made.
        max_joint_age: seconds without joint states after which the arm's state is not known.
    """

    robot: RobotDescription
    cameras: Sequence[str]
    transports: tuple[ImageTransport, ImageTransport]
    open_fraction: float
    lenses: Mapping[str, CameraIntrinsics | None] = field(default_factory=dict)
    places: Mapping[str, CalibratedPlace] = field(default_factory=dict)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    max_clock_lead: float = 0.05
    content: ContentConfig = field(default_factory=ContentConfig)
    rest: RestConfig = field(default_factory=RestConfig)
    auto: AutoConfig = field(default_factory=AutoConfig)
    keyframe: KeyframeConfig = field(default_factory=KeyframeConfig)
    max_joint_age: float = 0.25

    @classmethod
    def of_cell(
        cls,
        cell: Cell | None,
        robot: RobotDescription,
        cameras: Sequence[str],
        transports: tuple[ImageTransport, ImageTransport],
    ) -> RecordingSettings:
        """What holds where nothing else is said."""
        return cls(
            robot,
            cameras,
            transports,
            OPEN_FRACTION * opened_in(cell, robot),
            {name: camera.intrinsics for name, camera in cell.cameras.items()} if cell else {},
            camera_places(cell),
            FusionConfig() if cell is None else FusionConfig(workspace=cell.workspace),
        )

    def declared(self, parameters: Parameters) -> RecordingSettings:
        """These, but for what a node's parameters say. Two names are those of motion_node's, so that one file serves
        both."""
        return replace(
            self,
            open_fraction=parameters.number(
                "gripper_open_fraction",
                self.open_fraction,
                "of the largest width, from which the gripper counts as open",
                0.01,
                1.0,
            ),
            fusion=parameters.settings(self.fusion, "fusion", without=("frame",)),
            sync=parameters.settings(self.sync, "camera", without=("set_tolerance",)),
            max_clock_lead=parameters.number(
                "camera.max_clock_lead",
                self.max_clock_lead,
                "seconds that an image may be stamped in the future",
                0.0,
                60.0,
            ),
            content=parameters.settings(self.content, "content", without=OF_SURVEYS),
            rest=parameters.settings(self.rest, "rest"),
            auto=parameters.settings(self.auto, "auto"),
            keyframe=parameters.settings(self.keyframe, "keyframe"),
            max_joint_age=parameters.number(
                "max_joint_age",
                self.max_joint_age,
                "seconds without joint states after which the arm's state is not known",
                0.02,
                5.0,
            ),
        )


class RestMarker:
    """Looks at each joint state, and has a keyframe recorded of every rest that is one.

    Args:
        rest: of the arm.
        session: the episode under way.
        jobs: where keyframes are waited for.
        log: told what keeps rests from being looked at.
    """

    def __init__(self, rest: RestDetector, session: RecordingSession, jobs: Jobs, log: Any) -> None:
        self._rest, self._session, self._jobs, self._log = rest, session, jobs, log
        self._pending = False

    def look(self) -> None:
        """A joint state has come."""
        rest = None if self._pending else self._rest.present()
        if rest is None or self._session.progress.state != RecorderState.RECORDING:
            return
        try:
            due = self._session.is_keyframe(rest)
        except UserError as error:
            self._log.warning(str(error), throttle_duration_sec=5.0)
            return
        if due:
            self._pending = True
            capture = self._session.open()
            self._jobs.put(lambda: self._mark(capture))

    def _mark(self, capture: Capture) -> None:
        self._session.attempt(lambda: self._session.mark(capture))
        self._pending = False


class Recording:
    """Takes messages, and makes keyframes and episodes of them.

    Args:
        source: of the messages.
        frames: TF.
        token: ends waits; it is notified of joint states and images.
        settings: what makes episodes of them.
        recorder: writes them.
        publish: tells everybody the status.
        awake: seconds by which the silence of cameras is measured.
        strange: what is wrong with the device under a camera's name, in words that follow it; empty if nothing is.
        steady: seconds of the steady clock.

    Attributes:
        settings: as given.
        joints: the arm's and the gripper's.
        cameras: what is seen.
        maker: makes keyframes.
        session: the episode under way.
    """

    def __init__(
        self,
        source: MessageSource,
        frames: Frames,
        token: Waiting,
        settings: RecordingSettings,
        recorder: EpisodeRecorder,
        publish: Callable[[RecorderStatus], None],
        awake: Callable[[], float],
        strange: Callable[[str], str] = lambda _: "",
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._source, self._token = source, token
        rest, content = settings.rest, settings.content
        self.joints = JointStateMonitor(
            settings.robot, settings.max_joint_age, rest, settings.open_fraction, now=steady
        )
        self.cameras = RecorderCameras(
            source,
            awake,
            settings.cameras,
            settings.transports,
            settings.sync,
            settings.max_clock_lead,
            content,
            token.notify,
            strange,
        )
        self.maker = KeyframeMaker(
            self.joints,
            self.cameras,
            frames,
            token,
            settings.keyframe,
            rest.settle_time,
            settings.fusion,
            settings.lenses,
            settings.places,
            content,
            steady,
        )
        self.session = RecordingSession(source, self.maker, recorder, settings.auto, publish)
        self._marker: RestMarker | None = None
        subscribe_joint_states(source, self._on_joints, steady)

    def mark_rests(self, jobs: Jobs) -> None:
        """From now on record a keyframe where the arm stops or the gripper has changed."""
        self._marker = RestMarker(self.joints.rest, self.session, jobs, self._source.get_logger())

    def _on_joints(self, *state: Any) -> None:
        self.joints.take(*state)
        self._token.notify()
        if self._marker is not None:
            self._marker.look()
