"""recorder_node: keyframes of demonstrations, marked by hand, by the arm's rests or by the stack's own runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from mini_diffuser_msgs.msg import RecorderStatus
from mini_diffuser_msgs.srv import MarkKeyframe, StartEpisode
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_srvs.srv import Trigger

from mini_diffuser_ros.cell import Cell, cell_digest
from mini_diffuser_ros.data.episode_recorder import EpisodeRecorder, RecorderError, RecorderState
from mini_diffuser_ros.nodes.cameras.camera_topics import PublisherWatch, topics_of
from mini_diffuser_ros.nodes.cameras.device_serials import DeviceSerials
from mini_diffuser_ros.nodes.cameras.image_transports import transports_from_parameters
from mini_diffuser_ros.nodes.motion.gripper_actions import command_in
from mini_diffuser_ros.nodes.motion.gripper_client import GripperClient
from mini_diffuser_ros.nodes.recording.recording import Recording, RecordingSettings
from mini_diffuser_ros.nodes.recording.recording_session import BASE
from mini_diffuser_ros.nodes.recording.run_recorder import RunConfig, RunEnd, RunRecorder
from mini_diffuser_ros.nodes.ros.cell_parameter import cameras_from, cell_from, gripper_action_from
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.frames import FrameLookup
from mini_diffuser_ros.nodes.ros.heartbeat import Heart
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError, run_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.simulation_watch import SimulationWatch
from mini_diffuser_ros.records import LAB, TABLE, UNSAID, Provenance
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.sensing.grip import GripConfig
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.health import Health, HealthLevel
from mini_diffuser_ros.support.jobs import JobQueue

MODES = ("manual", "auto", "runs")
LEAVE_TIMEOUT = 2.0  # seconds that the end of the process waits for the keyframe that is being written


class RecorderNode(ManagedNode):
    """Writes episodes that ``mini-diffuser info``, ``check`` and ``train`` read.

    Services answer when what they were asked for is on the disk. They are served one after another; what is waited for,
    images and joint states, is received by other threads.
    """

    threads = 6  # services, images, joint states, TF, runs, diagnostics

    def __init__(self) -> None:
        super().__init__("recorder_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        robot = parameters.text(
            "robot", cell.robot if cell else "panda", "robot description; its points are taken out of the clouds"
        )
        folder = Path(parameters.text("folder", "recordings/demonstrations", "directory of the episodes"))
        self._mode = parameters.text(
            "mark",
            "manual",
            "when keyframes are recorded: manual, as the service is called; auto, where the arm stops or the gripper "
            "changes; runs, as the stack obeys sentences",
        )
        if self._mode not in MODES:
            raise NodeError(f"parameter mark is '{self._mode}', expected one of {', '.join(MODES)}")
        description = load_robot(robot)
        settings = self._settings(parameters, cell, description)
        runs = RunConfig.declare(parameters, settings.rest.settle_time)
        self._exit_on_done = parameters.flag("exit_on_done", False, "end when the first run has been recorded")
        # For the service that opens and closes the gripper while the arm is led by hand.
        gripper_action = gripper_action_from(parameters, cell, description)
        command = parameters.settings(command_in(cell, description), "gripper")
        grip = parameters.settings(GripConfig(), "grip")
        tf_timeout = parameters.number("tf_timeout", 0.5, "seconds to wait for the TF of an image", 0.0, 5.0)

        self._simulation = SimulationWatch(self)
        self._token = CancellationToken()
        source = "a run of the stack" if self._mode == "runs" else f"recorded by hand ({self._mode} marks)"
        self._recorder = EpisodeRecorder(folder, robot, source, partial(self._provenance, cell))
        serials = {name: cell.cameras[name].serial for name in settings.cameras} if cell else {}
        recording = Recording(
            self,
            FrameLookup(self, tf_timeout),
            self._token,
            settings,
            self._recorder,
            self.create_publisher(RecorderStatus, f"{BASE}/status", LATCHED).publish,
            self.awake.now,
            self._strangers(DeviceSerials(self, serials), settings),
        )
        self._joints, self._cameras, self._session = recording.joints, recording.cameras, recording.session
        self._jobs = JobQueue(self._fail)
        if self._mode == "auto":
            recording.mark_rests(self._jobs)
        self._gripper: GripperClient | None = None
        if gripper_action and self._mode != "runs":
            group = ReentrantCallbackGroup()
            self._gripper = GripperClient(self, gripper_action, group, self._joints, command, grip)
        self._runs: RunRecorder | None = None
        if self._mode == "runs":
            self._runs = RunRecorder(
                self, runs, self._session, self._recorder, recording.maker, self._jobs, self._token, self._on_run_end
            )
        self._heart = Heart(self, "recorder")
        self._serve()
        self._say_what_is_there(folder)
        diagnostics = Diagnostics(self, robot)
        diagnostics.add("episode", self._session.health)
        diagnostics.add("joint states", self._joint_health)
        for camera in self._cameras.names:
            diagnostics.add(f"camera {camera}", partial(self._cameras.health, camera))

    def close(self) -> None:
        """Give up waits; what is under way stays on the disk for the next recorder. A run that has ended is written."""
        if self._runs is not None:
            self._runs.finish()
        self._token.interrupt(0, "recorder_node is shutting down")
        self._jobs.close(LEAVE_TIMEOUT)
        progress = self._recorder.progress
        if progress.state != RecorderState.IDLE and progress.keyframes:
            self.get_logger().warning(
                f"episode {progress.episode} with {progress.keyframes} keyframes is left for the next recorder"
            )
        self._recorder.close()

    # Setting up

    def _provenance(self, cell: Cell | None) -> Provenance:
        """The world that the cameras show: the simulated one if the simulation publishes their pictures."""
        colors = [topics_of(name, self._cameras.transports)[0] for name in self._cameras.names]
        if all(self._simulation.alone_publishes(topic) for topic in colors):
            return Provenance((TABLE,))
        return UNSAID if cell is None else Provenance((LAB,), cells=(cell_digest(cell),))

    def _settings(self, parameters: Parameters, cell: Cell | None, robot: RobotDescription) -> RecordingSettings:
        names = cameras_from(
            parameters,
            cell,
            "names of the cameras; all have to deliver. Topics are <camera>/color/image_raw, "
            "<camera>/aligned_depth_to_color/image_raw and <camera>/color/camera_info",
        )
        if not names:
            raise NodeError("parameter cameras is empty, expected at least one name")
        transports = transports_from_parameters(parameters)
        settings = RecordingSettings.of_cell(cell, robot, names, transports).declared(parameters)
        # In runs the arm is moved by these joint states, and motion_node fails where they do not follow.
        repeats = settings.keyframe.repeats or self._mode == "runs"
        return replace(settings, keyframe=replace(settings.keyframe, repeats=repeats))

    def _strangers(self, devices: DeviceSerials, settings: RecordingSettings) -> Callable[[str], str]:
        """Tells of a camera whether its images are another device's, or those of two drivers."""
        several = {
            name: PublisherWatch(self, topics_of(name, settings.transports)).several for name in settings.cameras
        }
        return lambda camera: devices.fault(camera) or several[camera]()

    def _serve(self) -> None:
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(StartEpisode, f"{BASE}/start_episode", self._on_start, callback_group=group)
        self.create_service(MarkKeyframe, f"{BASE}/mark_keyframe", self._on_mark, callback_group=group)
        for name, action in (
            ("drop_keyframe", self._session.drop_keyframe),
            ("end_episode", self._session.mark_end if self._mode == "auto" else self._recorder.end),
            ("drop_episode", self._recorder.drop),
            ("resume_episode", self._resume),
            ("toggle_gripper", self._toggle_gripper),
        ):
            self.create_service(Trigger, f"{BASE}/{name}", partial(self._on_trigger, action), callback_group=group)

    def _say_what_is_there(self, folder: Path) -> None:
        line = f"recording {', '.join(self._cameras.names)} into {folder}, keyframes are marked: {self._mode}"
        self.get_logger().info(line)
        # A run cannot be resumed, and the next one is not to wait for somebody who drops the last.
        runs = self._mode == "runs"
        found = self._recorder.count_unfinished() if runs else self._recorder.look_for_unfinished()
        if found:
            self.get_logger().warning(found)
        self._session.tell(found or line)

    # Services

    def _on_start(self, request: StartEpisode.Request, response: StartEpisode.Response) -> StartEpisode.Response:
        def start() -> str:
            self._check_not_following()
            message = self._session.start(request.task, request.sentences, request.variation)
            first = "bring the arm to its start" + (" and mark the first keyframe" if self._mode == "manual" else "")
            return f"{message}; {first}"

        response.success, response.message = self._session.attempt(start)
        response.episode = self._recorder.progress.episode if response.success else ""
        return response

    def _on_mark(self, _: MarkKeyframe.Request, response: MarkKeyframe.Response) -> MarkKeyframe.Response:
        response.success, response.message = self._session.attempt(self._session.mark)
        response.keyframes = self._recorder.progress.keyframes
        return response

    def _on_trigger(
        self, action: Callable[[], str], _: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success, response.message = self._session.attempt(action)
        return response

    def _resume(self) -> str:
        self._check_not_following()
        return self._session.resume()

    def _toggle_gripper(self) -> str:
        """Close the open gripper, open any other."""
        if self._gripper is None:
            raise RecorderError("this recorder has no gripper: give it gripper_action, as the cell may name it")
        opens = self._gripper.has_to_act(wanted_open=True)
        self._gripper.await_server(self._token)
        self._gripper.take_state(opens, self._token)
        return f"gripper {self._gripper.last_command}"

    def _check_not_following(self) -> None:
        """Runs begin and end their episodes themselves; another one in between would be mixed up with theirs."""
        if rival := self._heart.rival():
            raise RecorderError(f"another recorder_node serves as well, {rival}: end one of the two")
        if self._mode == "runs":
            raise RecorderError("mark:=runs records what the stack does; start a recorder with mark:=manual or auto")

    def _on_run_end(self, _: RunEnd) -> None:
        if self._exit_on_done:
            self.finish()

    def _fail(self, traceback: str) -> None:
        """A job raised something unforeseen: nobody would know what is recorded from then on."""
        self.get_logger().fatal(traceback)
        self.finish(1)

    def _joint_health(self) -> Health:
        problem = self._joints.problem()
        if problem:
            return Health(HealthLevel.ERROR, problem)
        return Health(HealthLevel.OK, self._joints.rest.motion() or "the arm rests")


def main() -> NoReturn:
    """Entry point of the executable ``recorder_node``."""
    run_node(RecorderNode)


if __name__ == "__main__":
    main()
