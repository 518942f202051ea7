"""recorder_node: keyframes of demonstrations, marked by hand, by the arm's rests or by the stack's own runs."""

from __future__ import annotations

import shutil
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn

from action_msgs.msg import GoalStatusArray
from mini_diffuser_msgs.msg import RecorderStatus
from mini_diffuser_msgs.srv import MarkKeyframe, StartEpisode
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from mini_diffuser_ros.data import DataError, check_task
from mini_diffuser_ros.nodes.arm_rest import RestConfig
from mini_diffuser_ros.nodes.automatic_marks import AutoConfig, AutomaticMarks
from mini_diffuser_ros.nodes.diagnostics import Diagnostics, Health, Level
from mini_diffuser_ros.nodes.episode_recorder import EpisodeRecorder, RecorderState
from mini_diffuser_ros.nodes.errors import NodeError
from mini_diffuser_ros.nodes.followed_run import FollowedRun, Goal, RunEvent, task_of
from mini_diffuser_ros.nodes.frames import FrameLookup
from mini_diffuser_ros.nodes.image_transports import COLOR_TRANSPORTS, DEPTH_TRANSPORTS, choose_transport
from mini_diffuser_ros.nodes.keyframe_maker import KeyframeConfig, KeyframeMaker
from mini_diffuser_ros.nodes.messages import seconds
from mini_diffuser_ros.nodes.parameters import Parameters
from mini_diffuser_ros.nodes.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.recorder_cameras import CameraLimits, Capture, RecorderCameras
from mini_diffuser_ros.nodes.watch import Watch
from mini_diffuser_ros.perception import FusionConfig, PerceptionError
from mini_diffuser_ros.robots import load_robot

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BASE = "mini_diffuser/recorder"
STATES = {
    RecorderState.IDLE: RecorderStatus.IDLE,
    RecorderState.RECORDING: RecorderStatus.RECORDING,
    RecorderState.UNFINISHED: RecorderStatus.UNFINISHED,
}
MODES = ("manual", "auto", "runs")
SCARCE_DISK = 500_000_000  # bytes, some hundred keyframes of three cameras
LEAVE_TIMEOUT = 2.0  # seconds that the end of the process waits for the keyframe that is being written
RUN_END_TIMEOUT = 0.5  # seconds that it waits to hear that the run has ended as well
RUN_WRITE_TIMEOUT = 4.0  # seconds that it waits for the last keyframe of a run and its file


@dataclass(frozen=True, eq=False)
class _Job:
    """Something to be done in order, outside the callbacks: a mark, or an event of the run that is followed."""

    event: RunEvent | None
    sentence: str = ""
    capture: Capture | None = None


class RecorderNode(ManagedNode):
    """Writes episodes that ``mini-diffuser info``, ``check`` and ``train`` read.

    Services answer when what they were asked for is on the disk. They are served one after another; what is waited for,
    images and joint states, is received by other threads.
    """

    threads = 6

    def __init__(self) -> None:
        super().__init__("recorder_node")
        parameters = Parameters(self)
        robot = parameters.text("robot", "panda", "robot description; its points are taken out of the clouds")
        cameras = parameters.texts(
            "cameras",
            ["front", "left_shoulder", "wrist"],
            "names of the cameras; all have to deliver. Topics are <camera>/color/image_raw, "
            "<camera>/aligned_depth_to_color/image_raw and <camera>/color/camera_info",
        )
        color = parameters.text(
            "color_transport", "raw", "raw, or compressed: <camera>/color/image_raw/compressed instead"
        )
        depth = parameters.text(
            "depth_transport",
            "raw",
            "raw, or compressedDepth: <camera>/aligned_depth_to_color/image_raw/compressedDepth instead",
        )
        folder = parameters.text("folder", "recordings/demonstrations", "directory of the episodes")
        self._mode = parameters.text(
            "mark",
            "manual",
            "when keyframes are recorded: manual, as the service is called; auto, where the arm stops or the gripper "
            "changes; runs, as the stack obeys sentences",
        )
        self._simulated = parameters.flag("simulated", False, "a run is kept only if the simulated world confirms it")
        self._confirm_timeout = parameters.number(
            "confirm_timeout", 3.0, "seconds after a run within which the world may confirm it", 0.0, 60.0
        )
        self._keep_failed = parameters.flag(
            "keep_failed_runs", False, "write runs without success into the folder failed, instead of dropping them"
        )
        self._task = parameters.text(
            "task", "", "task of recorded runs; empty: from the simulated world or the sentence"
        )
        self._exit_on_done = parameters.flag("exit_on_done", False, "end when the first run has been recorded")
        tf_timeout = parameters.number("tf_timeout", 0.5, "seconds to wait for the TF of an image", 0.0, 5.0)
        limits = parameters.config(CameraLimits, "camera")
        max_joint_age = parameters.number(
            "max_joint_age", 0.25, "seconds without joint states after which the arm's state is not known", 0.02, 5.0
        )
        open_fraction = parameters.number(
            "gripper_open_fraction", 0.9, "of the largest width, from which the gripper counts as open", 0.1, 1.0
        )
        from_node = KeyframeConfig(max_joint_age=max_joint_age, gripper_open_fraction=open_fraction)
        keyframe = parameters.config(
            KeyframeConfig, "keyframe", without=("max_joint_age", "gripper_open_fraction"), defaults=from_node
        )
        rest = parameters.config(RestConfig, "rest")
        auto = parameters.config(AutoConfig, "auto")
        fusion = parameters.config(FusionConfig, "fusion", without=("frame",))
        if self._mode not in MODES:
            raise NodeError(f"parameter mark is '{self._mode}', expected one of {', '.join(MODES)}")
        if not cameras:
            raise NodeError("parameter cameras is empty, expected at least one name")
        if self._task:
            check_task(self._task)

        description = load_robot(robot)
        self._watch = Watch()
        transports = (
            choose_transport(COLOR_TRANSPORTS, color, "color_transport"),
            choose_transport(DEPTH_TRANSPORTS, depth, "depth_transport"),
        )
        self._cameras = RecorderCameras(self, cameras, transports, limits, self._watch.notify)
        self._maker = KeyframeMaker(
            description, self._cameras, FrameLookup(self, tf_timeout), self._watch, keyframe, rest, fusion
        )
        self._settle_time = rest.settle_time
        self._marks = AutomaticMarks(auto)
        self._run = FollowedRun()
        self._run_fault = ""  # why the run under way cannot be kept
        self._sim_task, self._sim_success = "", False
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._mark_pending = False
        self._message = "ready"

        source = "a run of the stack" if self._mode == "runs" else f"recorded by hand ({self._mode} marks)"
        self._folder = Path(folder)
        self._recorder = EpisodeRecorder(self._folder, robot, source)
        self._recording = threading.RLock()  # held by whoever changes the episode
        self._status = self.create_publisher(RecorderStatus, f"{BASE}/status", LATCHED)
        self._listen()
        self._serve()
        self._begin(folder, cameras)
        diagnostics = Diagnostics(self, robot)
        diagnostics.add("episode", self._episode_health)
        diagnostics.add("joint states", self._joint_health)
        for camera in cameras:
            diagnostics.add(f"camera {camera}", partial(self._cameras.health, camera))
        self._worker = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Give up waits; what is under way stays on the disk for the next recorder. A run that has ended is written."""
        self._finish_run()
        self._watch.interrupt(0, "recorder_node is shutting down")
        self._jobs.put(None)
        self._worker.join(LEAVE_TIMEOUT)
        progress = self._recorder.progress
        if progress.state != RecorderState.IDLE and progress.keyframes:
            self.get_logger().warning(
                f"episode {progress.episode} with {progress.keyframes} keyframes is left for the next recorder"
            )
        self._recorder.close()

    def _finish_run(self) -> None:
        """Have a run that ended just now written: whoever waits for its outcome alone ends the process at once."""
        if self._mode != "runs" or self._recorder.progress.state == RecorderState.IDLE:
            return
        with suppress(TimeoutError):
            self._watch.wait_for(lambda: not self._run.sentence, RUN_END_TIMEOUT)
            self._watch.wait_for(lambda: self._recorder.progress.state == RecorderState.IDLE, RUN_WRITE_TIMEOUT)

    # Setting up

    def _listen(self) -> None:
        self.create_subscription(
            JointState,
            "joint_states",
            self._on_joints,
            qos_profile_sensor_data,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        if self._mode != "runs":
            return
        group = MutuallyExclusiveCallbackGroup()
        for kind, topic, callback, qos in (
            # Volatile: a sentence that was obeyed before this node came is of no interest.
            (String, "mini_diffuser/active_instruction", self._on_instruction, 10),
            (GoalStatusArray, "mini_diffuser/execute/_action/status", self._on_executions, LATCHED),
            (GoalStatusArray, "mini_diffuser/move_to_keyframe/_action/status", self._on_motions, LATCHED),
            (String, "sim/task", self._on_sim_task, LATCHED),
            (Bool, "sim/success", self._on_sim_success, LATCHED),
        ):
            self.create_subscription(kind, topic, callback, qos, callback_group=group)

    def _serve(self) -> None:
        group = MutuallyExclusiveCallbackGroup()
        for kind, name, callback in (
            (StartEpisode, "start_episode", self._on_start),
            (MarkKeyframe, "mark_keyframe", self._on_mark),
            (Trigger, "drop_keyframe", self._on_drop_keyframe),
            (Trigger, "end_episode", self._on_end),
            (Trigger, "drop_episode", self._on_drop),
            (Trigger, "resume_episode", self._on_resume),
        ):
            self.create_service(kind, f"{BASE}/{name}", callback, callback_group=group)

    def _begin(self, folder: str, cameras: list[str]) -> None:
        line = f"recording {', '.join(cameras)} into {folder}, keyframes are marked: {self._mode}"
        self.get_logger().info(line)
        # A run cannot be resumed, and the next one is not to wait for somebody who drops the last.
        left = self._mode == "runs"
        found = self._recorder.count_unfinished() if left else self._recorder.look_for_unfinished()
        if found:
            self.get_logger().warning(found)
        self._tell(found or line)

    # Services

    def _on_start(self, request: StartEpisode.Request, response: StartEpisode.Response) -> StartEpisode.Response:
        def start() -> str:
            message = self._recorder.start(request.task, request.sentences, request.variation)
            self._marks.restart()
            first = "bring the arm to its start" + (" and mark the first keyframe" if self._mode == "manual" else "")
            return f"{message}; {first}"

        response.success, response.message = self._try(start)
        response.episode = self._recorder.progress.episode if response.success else ""
        return response

    def _on_mark(self, _: MarkKeyframe.Request, response: MarkKeyframe.Response) -> MarkKeyframe.Response:
        response.success, response.message = self._try(self._mark)
        response.keyframes = self._recorder.progress.keyframes
        return response

    def _on_drop_keyframe(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, self._recorder.drop_keyframe)

    def _on_end(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, self._end)

    def _on_drop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, self._recorder.drop)

    def _on_resume(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, self._recorder.resume)

    def _answer(self, response: Trigger.Response, action: Callable[[], str]) -> Trigger.Response:
        response.success, response.message = self._try(action)
        return response

    def _try(self, action: Callable[[], str]) -> tuple[bool, str]:
        """Whether an action on the episode succeeded, and its line or the reason; told to everybody as well."""
        with self._recording:
            try:
                done, message = True, action()
            except (NodeError, DataError, PerceptionError) as error:
                done, message = False, str(error)
            if done:
                self.get_logger().info(message)
            else:  # genuine rclpy refuses one call that logs with changing severity
                self.get_logger().error(message)
            self._tell(message)
        self._watch.notify()
        return done, message

    # Keyframes and episodes

    def _mark(self, capture: Capture | None = None) -> str:
        """Record a keyframe; images are those since the capture was opened, or since now."""
        try:
            self._recorder.check_recording()
        except NodeError:
            if capture is not None:
                self._cameras.remove(capture)
            raise
        self._tell("waiting for the arm to rest and for the cameras", marking=True)
        made = self._maker.make(capture or self._maker.open(self._now()))
        recorded = self._recorder.add(made.keyframe)
        self._marks.marked(self._maker.arm(made.keyframe.joint_positions), made.keyframe.gripper_open)
        return f"{recorded}: {made}"

    def _end(self) -> str:
        if self._mode == "auto" and self._recorder.progress.state == RecorderState.RECORDING and self._has_left():
            message = self._mark()
            self.get_logger().info(f"the last one: {message}")
        return self._recorder.end()

    def _has_left(self) -> bool:
        positions = self._maker.rest.positions()
        return self._marks.differs(self._maker.arm(positions), self._maker.gripper_is_open(positions))

    def _on_joints(self, message: JointState) -> None:
        try:
            self._maker.on_joints(message)
        except ValueError as error:
            self.get_logger().warning(f"joint_states: {error}", throttle_duration_sec=5.0)
            return
        self._watch.notify()
        if self._mode == "auto" and not self._mark_pending:
            self._mark_if_due()

    def _mark_if_due(self) -> None:
        rest = self._maker.rest.present()
        if rest is None or self._recorder.progress.state != RecorderState.RECORDING:
            return
        positions = self._maker.rest.positions()
        try:
            gripper_open = self._maker.gripper_is_open(positions)
        except NodeError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        if self._marks.is_due(rest, self._maker.arm(positions), gripper_open):
            self._mark_pending = True
            self._jobs.put(_Job(None, capture=self._maker.open(self._now())))

    # Runs of the stack

    def _on_instruction(self, message: String) -> None:
        self._follow(self._run.instructed(message.data))

    def _on_executions(self, message: GoalStatusArray) -> None:
        self._follow(self._run.executions(_goals(message)))

    def _on_motions(self, message: GoalStatusArray) -> None:
        self._follow(self._run.motions(_goals(message)))

    def _on_sim_task(self, message: String) -> None:
        self._sim_task = message.data

    def _on_sim_success(self, message: Bool) -> None:
        self._sim_success = message.data
        self._watch.notify()

    def _follow(self, events: list[RunEvent]) -> None:
        for event in events:
            capture = None
            if event == RunEvent.STARTED:
                # The simulated table may be laid anew for the sentence.
                capture = self._maker.open(self._now() + self._settle_time)
            elif event == RunEvent.REACHED:
                capture = self._maker.open(self._now())
            self._jobs.put(_Job(event, self._run.sentence, capture))
        self._watch.notify()

    def _start_run(self, sentence: str, capture: Capture) -> str:
        """The episode begins with its first keyframe: by then the simulated world has said which task it has laid."""
        self._run_fault = ""
        made = self._maker.make(capture)
        task = self._task or (self._sim_task if self._simulated else "") or task_of(sentence)
        started = self._recorder.start(task, (sentence,), 0)
        return f"{started}; {self._recorder.add(made.keyframe)}: {made}"

    def _end_run(self, terminated: bool) -> str:
        if self._recorder.progress.state == RecorderState.IDLE:
            return "the run was not recorded"
        fault = self._run_fault or ("" if terminated else "the sentence was not obeyed to its end")
        if not fault and self._simulated:
            try:
                self._watch.wait_for(lambda: self._sim_success, self._confirm_timeout)
            except TimeoutError:
                fault = "the world does not confirm success"
        if not fault:
            return self._recorder.end()
        if self._keep_failed and self._recorder.progress.keyframes > 1:
            return f"{fault}: {self._recorder.end(failed=True)}"
        return f"{fault}: {self._recorder.drop()}"

    # The worker

    def _work(self) -> None:
        """Jobs until there are no more; one that raises something unforeseen ends the process."""
        try:
            self._do_jobs()
        except Exception:
            self.get_logger().fatal(traceback.format_exc())
            self.finish(1)

    def _do_jobs(self) -> None:
        """Marks and runs, one after another; they wait for what the executor's threads deliver."""
        while (job := self._jobs.get()) is not None:
            if job.event is None:
                self._try(lambda: self._mark(job.capture))
                self._mark_pending = False
            elif job.capture is not None:
                self._keep_up(job.event, job.sentence, job.capture)
            else:
                self._try(lambda: self._end_run(job.event == RunEvent.TERMINATED))
                if self._exit_on_done:
                    self.finish()

    def _keep_up(self, event: RunEvent, sentence: str, capture: Capture) -> None:
        """Record a keyframe of a run."""
        starts = event == RunEvent.STARTED
        done, message = self._try(lambda: self._start_run(sentence, capture) if starts else self._mark(capture))
        # Without this keyframe the next one would be a wrong lesson.
        self._run_fault = self._run_fault or ("" if done else message)

    # What others hear

    def _now(self) -> float:
        """Seconds of the node's clock."""
        return self.get_clock().now().nanoseconds * 1e-9

    def _tell(self, message: str, marking: bool = False) -> None:
        self._message = message
        progress = self._recorder.progress
        self._status.publish(
            RecorderStatus(
                stamp=self.get_clock().now().to_msg(),
                state=RecorderStatus.MARKING if marking else STATES[progress.state],
                task=progress.task,
                sentences=list(progress.sentences),
                episode=progress.episode,
                keyframes=progress.keyframes,
                message=message,
            )
        )

    def _episode_health(self) -> Health:
        progress = self._recorder.progress
        values: dict[str, float | str] = {"state": progress.state.value, "keyframes": float(progress.keyframes)}
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            return Health(Level.ERROR, f"{self._folder}: {error.strerror or error}", values)
        values["free disk (MB)"] = free / 1e6
        if free < SCARCE_DISK:
            return Health(Level.WARN, f"{self._folder}: {free / 1e6:.0f} MB of disk are left", values)
        return Health(Level.WARN if progress.state == RecorderState.UNFINISHED else Level.OK, self._message, values)

    def _joint_health(self) -> Health:
        problem = self._maker.joint_problem()
        if problem:
            return Health(Level.ERROR, problem)
        return Health(Level.OK, self._maker.rest.motion() or "the arm rests")


def _goals(message: GoalStatusArray) -> list[Goal]:
    return [
        Goal(bytes(one.goal_info.goal_id.uuid), seconds(one.goal_info.stamp), one.status) for one in message.status_list
    ]


def main() -> NoReturn:
    """Entry point of the executable ``recorder_node``."""
    run_node(RecorderNode)


if __name__ == "__main__":
    main()
