"""The episode under way, changed by one caller at a time, and what everybody hears about it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence

from mini_diffuser_msgs.msg import RecorderStatus

from mini_diffuser_ros.data import DataError
from mini_diffuser_ros.data.episode_recorder import EpisodeProgress, EpisodeRecorder, RecorderState
from mini_diffuser_ros.nodes.recording.keyframe_maker import KeyframeMaker
from mini_diffuser_ros.nodes.recording.recorder_cameras import Capture
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.ros.sources import MessageSource
from mini_diffuser_ros.perception import PerceptionError
from mini_diffuser_ros.sensing.automatic_marks import AutoConfig, AutomaticMarks
from mini_diffuser_ros.sensing.rest import Rest
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import Health, HealthLevel
from mini_diffuser_ros.support.printable import printable

BASE = "mini_diffuser/recorder"
STATES = {
    RecorderState.IDLE: RecorderStatus.IDLE,
    RecorderState.RECORDING: RecorderStatus.RECORDING,
    RecorderState.UNFINISHED: RecorderStatus.UNFINISHED,
}
SCARCE_DISK = 500_000_000  # bytes, some hundred keyframes of three cameras


class RecordingSession:
    """What services, automatic marks and runs do to the recorder. Actions are to be passed to :meth:`attempt`.

    Args:
        source: of the messages; its clock says what time it is.
        maker: makes keyframes.
        recorder: writes them.
        auto: what makes a keyframe of a rest.
        publish: tells everybody the status.
    """

    def __init__(
        self,
        source: MessageSource,
        maker: KeyframeMaker,
        recorder: EpisodeRecorder,
        auto: AutoConfig,
        publish: Callable[[RecorderStatus], None],
    ) -> None:
        self._source, self._maker, self._recorder = source, maker, recorder
        self._publish = publish
        self._marks = AutomaticMarks(auto)
        self._lock = threading.RLock()
        self._message, self._was_refused = "", False

    @property
    def progress(self) -> EpisodeProgress:
        """The episode that is held now."""
        return self._recorder.progress

    def now(self) -> float:
        """Seconds of the clock that stamps are of."""
        return ros_seconds(self._source)

    def attempt(self, action: Callable[[], str]) -> tuple[bool, str]:
        """Whether an action succeeded, and its line or the reason; told to everybody as well."""
        with self._lock:
            try:
                done, message = True, action()
            except (UserError, DataError, PerceptionError) as error:
                done, message = False, str(error)
            self._was_refused = not done
            if done:
                self._source.get_logger().info(printable(message))
            else:  # genuine rclpy refuses one call that logs with changing severity
                self._source.get_logger().error(printable(message))
            self.tell(message)
        return done, message

    def tell(self, message: str, marking: bool = False) -> None:
        """Publish the status with a line about what happened."""
        self._message = message
        progress = self._recorder.progress
        self._publish(
            RecorderStatus(
                stamp=self._source.get_clock().now().to_msg(),
                state=RecorderStatus.MARKING if marking else STATES[progress.state],
                task=progress.task,
                sentences=list(progress.sentences),
                episode=progress.episode,
                keyframes=progress.keyframes,
                message=message,
            )
        )

    # Actions

    def start(self, task: str, sentences: Sequence[str], variation: int) -> str:
        """Begin an episode."""
        message = self._recorder.start(task, sentences, variation)
        self._marks.restart()
        return message

    def start_with(self, task: Callable[[], str], sentences: Sequence[str], capture: Capture) -> str:
        """Begin an episode with its first keyframe; the task is asked for when that is there."""
        self._maker.go_on_from(None)
        made = self._maker.make(capture)
        return f"{self.start(task(), sentences, 0)}; {self._recorder.add(made.keyframe)}: {made}"

    def mark(self, capture: Capture | None = None) -> str:
        """Record a keyframe; of images since the capture was opened, or since now."""
        capture = capture or self.open()
        try:
            self._recorder.check_recording()
        except UserError:
            self._maker.give_up(capture)
            raise
        self.tell("waiting for the arm to rest and for the cameras", marking=True)
        self._maker.go_on_from(self._recorder.last_keyframe())
        made = self._maker.make(capture)
        recorded = self._recorder.add(made.keyframe)
        self._remember_last()
        return f"{recorded}: {made}"

    def mark_end(self) -> str:
        """Record where the arm is if it has left the last keyframe, then end the episode."""
        if self.has_left():
            self._source.get_logger().info(f"the last one: {self.mark()}")
        return self._recorder.end()

    def has_left(self) -> bool:
        """Whether the arm is somewhere else than at the last keyframe of the episode under way."""
        # An arm that began to move before somebody asked has left.
        recording = self.progress.state == RecorderState.RECORDING
        return recording and self._marks.differs(*self._maker.state_at(self.now()))

    def drop_keyframe(self) -> str:
        """Take the last keyframe back."""
        message = self._recorder.drop_keyframe()
        self._remember_last()
        return message

    def resume(self) -> str:
        """Go on with an episode that was interrupted."""
        message = self._recorder.resume()
        self._maker.go_on_from(None)
        self._remember_last()
        return message

    def _remember_last(self) -> None:
        last = self._recorder.last_keyframe()
        if last is None:
            self._marks.restart()
        else:
            self._marks.go_on_from(self._maker.arm(last.joint_positions), last.gripper_open)

    # Automatic marks

    def open(self, delay: float = 0.0) -> Capture:
        """Begin to collect images for a keyframe, none of them older than ``delay`` seconds from now."""
        return self._maker.open(self.now() + delay)

    def is_keyframe(self, rest: Rest) -> bool:
        """Whether this rest has just become a keyframe that nobody has marked yet.

        Raises:
            StaleJointsError: if the gripper's joints are not published.
        """
        return self._marks.is_due(rest, *self._maker.state())

    # Diagnostics

    def health(self) -> Health:
        """Of the episode and the disk."""
        progress = self._recorder.progress
        values: dict[str, float | str] = {"state": progress.state.value, "keyframes": float(progress.keyframes)}
        folder = self._recorder.folder
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return Health(HealthLevel.ERROR, f"{folder}: {error.strerror or error}", values)
        values["free disk (MB)"] = free / 1e6
        if free < SCARCE_DISK:
            return Health(HealthLevel.WARN, f"{folder}: {free / 1e6:.0f} MB of disk are left", values)
        warns = self._was_refused or progress.state == RecorderState.UNFINISHED
        return Health(HealthLevel.WARN if warns else HealthLevel.OK, self._message, values)
