"""run_node: sends one sentence, watches how it goes, writes it down, and ends with its success."""

from __future__ import annotations

import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from mini_diffuser_msgs.action import ExecuteInstruction
from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_msgs.msg import Bool, String

from mini_diffuser_ros.nodes.ros.action_goal import carry_out, wait_for_server
from mini_diffuser_ros.nodes.ros.cell_parameter import cameras_from, cell_from
from mini_diffuser_ros.nodes.ros.outcomes import outcome_name
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.runs.run_observer import RunObserver
from mini_diffuser_ros.nodes.simulation.table_client import TableClient
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.world_verdict import JUDGED, SUCCESS, WorldVerdicts
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.printable import printable
from mini_diffuser_ros.viewing.run_report import RunReport, make_run_folder
from mini_diffuser_ros.viewing.run_timeline import MOVED

ACTION = "mini_diffuser/execute"
TOLD_EVERY = 10.0  # seconds of a keyframe after which the log says how far it is; a keyframe has one line at least
TABLE_PATIENCE = 5.0  # seconds to look for the simulated world, where one is expected


class RunNode(ManagedNode):
    """One run: exit code 0 if the task was done, 1 if not. In simulation the world has the last word."""

    threads = 6

    def __init__(self) -> None:
        super().__init__("run_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        instruction = parameters.text("instruction", "", "the sentence to send")
        runs = parameters.text("runs", "runs", "folder below which the folder of this run is made")
        cameras = cameras_from(parameters, cell, "cameras shown in the video")
        robot = parameters.text(
            "robot", cell.robot if cell else "panda", "robot description, for the names of its joints"
        )
        self._simulated = parameters.flag("simulated", cell is None, "wait for the simulated world to confirm success")
        video_rate = parameters.number("video_rate", 5.0, "frames per second of the video", 0.5, 60.0)
        self._start_timeout = parameters.number(
            "start_timeout", 120.0, "seconds to wait for the policy to be ready", 1.0, 3600.0
        )
        self._cloud_timeout = parameters.number(
            "cloud_timeout",
            20.0,
            "seconds that the policy may take to see a cloud; then the sentence is sent",
            0.0,
            600.0,
        )
        self._run_timeout = parameters.number("run_timeout", 600.0, "seconds that the sentence may take", 1.0, 1e5)
        self._confirm_timeout = parameters.number(
            "confirm_timeout", 3.0, "seconds after the end within which the world may confirm success", 0.1, 60.0
        )
        self._outcome_file = parameters.text(
            "outcome_file", "", "file for the line that says how it ended; empty: none"
        )
        self._report = RunReport(instruction, namespace=self.get_namespace().strip("/"))
        self._folder = make_run_folder(Path(runs), instruction)
        self._token = CancellationToken()
        self._closing = False
        self._told_keyframe, self._told_at = 0, time.monotonic()
        self._observer = RunObserver(
            self,
            self._report,
            self._folder,
            cameras,
            load_robot(robot),
            video_rate,
        )
        told = MutuallyExclusiveCallbackGroup()
        self._world = WorldVerdicts()
        self._verdict = self._world.begin(instruction)
        self.create_subscription(Bool, SUCCESS, self._on_success, LATCHED, callback_group=told)
        self.create_subscription(String, JUDGED, self._on_judged, LATCHED, callback_group=told)
        self.create_subscription(String, "sim/task", self._on_task, LATCHED, callback_group=told)
        self._ready = False
        self.create_subscription(Bool, "mini_diffuser/ready", self._on_ready, LATCHED, callback_group=told)
        self._client = ActionClient(self, ExecuteInstruction, ACTION, callback_group=ReentrantCallbackGroup())
        self._table = TableClient(self)
        self._worker = threading.Thread(target=self._work, name="run", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Cancel the sentence and write down what there is."""
        self._closing = True
        self._token.interrupt(ExecuteInstruction.Result.CANCELED, "run_node was shut down")
        self._worker.join(timeout=2.5)

    def _work(self) -> None:
        """The run, on a thread of its own: the executor's threads deliver what it waits for."""
        self._observer.begin()
        try:
            self._await_stack()
            self._obey()
            self._await_confirmation()
        except InterruptionError as interruption:
            self._report.outcome = outcome_name(interruption.outcome)
            self._report.message = str(interruption)
        except UserError as error:
            self._report.message = str(error)
        except Exception as error:  # a bug: the node is to end with it all the same
            traceback.print_exc()
            self._report.message = f"{type(error).__name__}: {one_line(error)}"
        self._report.conclude()
        written = self._observer.write(in_a_hurry=self._closing)
        line = printable(f"{self._report.summary()}; {written or 'nothing of it could be written'}")
        if self._outcome_file:
            try:
                write_whole(self._outcome_file, f"{line}\n")
            except OSError as error:
                self.get_logger().warning(f"outcome_file {self._outcome_file}: cannot be written: {one_line(error)}")
        # Two calls: rclpy wants the same severity from the same line, always.
        if self._report.success:
            self.get_logger().info(line)
        else:
            self.get_logger().error(line)
        self.finish(0 if self._report.success else 1)

    def _await_stack(self) -> None:
        """Until the policy is loaded and sees something; otherwise the report's times mean little."""
        wait_for_server(self._client, ACTION, self._token, self._start_timeout)
        try:
            self._token.wait_for(lambda: self._ready, self._cloud_timeout)
        except TimeoutError:
            self.get_logger().warning(
                f"the policy sees no cloud within {self._cloud_timeout:.0f} s; the sentence is sent anyway"
            )

    def _obey(self) -> None:
        instruction = self._report.instruction
        if self._simulated:
            self._table.prepare(instruction, self._token, TABLE_PATIENCE)
        self._verdict = self._world.begin(instruction)
        self.get_logger().info(f"sending '{printable(instruction, 80)}'")
        self._observer.sentence_sent()
        self._told_at = time.monotonic()
        goal = ExecuteInstruction.Goal(instruction=instruction)
        try:
            wrapped = carry_out(
                self._client,
                goal,
                self._token,
                name=ACTION,
                timeout=self._run_timeout,
                on_feedback=self._on_feedback,
            )
        finally:
            self._report.seconds = round(self._observer.elapsed(), 3)
        self._report.outcome = outcome_name(wrapped.result.outcome)
        self._report.message = wrapped.result.message
        self._report.keyframes = wrapped.result.keyframes

    def _await_confirmation(self) -> None:
        """Give the world time to see success: things may still be coming to rest."""
        if not self._simulated or self._report.outcome != "TERMINATED":
            return
        self._report.confirmed = bool(self._report.confirmed)
        try:
            self._token.wait_for(lambda: self._report.confirmed, self._confirm_timeout)
        except TimeoutError:
            self._report.confirmed = False

    def _on_feedback(self, feedback: Any) -> None:
        self._observer.progress(feedback)
        phase, keyframe = feedback.phase, feedback.keyframe
        if phase == MOVED:
            return
        now, is_new = time.monotonic(), keyframe != self._told_keyframe and phase != "looking"
        if is_new or now - self._told_at >= TOLD_EVERY:
            self._told_at, self._told_keyframe = now, keyframe
            self.get_logger().info(printable(f"keyframe {keyframe}: {phase} {feedback.message}".rstrip()))

    def _on_ready(self, message: Bool) -> None:
        self._ready = message.data
        self._token.notify()

    def _on_success(self, message: Bool) -> None:
        self._world.hear_done(message.data)
        self._note_verdict()

    def _on_judged(self, message: String) -> None:
        self._world.hear_judged(message.data)
        self._note_verdict()

    def _note_verdict(self) -> None:
        self._report.confirmed = self._verdict.confirms
        self._token.notify()

    def _on_task(self, message: String) -> None:
        self._report.task = message.data


def main() -> NoReturn:
    """Entry point of the executable ``run_node``."""
    run_node(RunNode)


if __name__ == "__main__":
    main()
