"""policy_node: a cloud and a sentence become keyframes, one after another, until the task is done."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeModes
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool, Empty, Header, String
from visualization_msgs.msg import MarkerArray

from mini_diffuser_ros.nodes.action_goal import carry_out
from mini_diffuser_ros.nodes.errors import InterruptionError, MalformedMessageError, NodeError
from mini_diffuser_ros.nodes.goal_ending import end_goal
from mini_diffuser_ros.nodes.instruction_run import Ending, InstructionRun, MotionReport, refusal_of
from mini_diffuser_ros.nodes.markers import mode_markers
from mini_diffuser_ros.nodes.messages import cloud_from_message, mode_to_message, stamp_from_seconds
from mini_diffuser_ros.nodes.parameters import Parameters
from mini_diffuser_ros.nodes.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.watch import Watch
from mini_diffuser_ros.policy import load_policy, tune_cpu
from mini_diffuser_ros.records import Cloud, KeyframeMode

Result = ExecuteInstruction.Result
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HEARTBEAT_PERIOD = 0.1  # seconds
MOTION_TIMEOUT = 120.0  # seconds for one keyframe, planning and gripper included
OUTCOMES = {
    Ending.TERMINATED: Result.TERMINATED,
    Ending.KEYFRAME_LIMIT: Result.KEYFRAME_LIMIT,
    Ending.FAILED: Result.FAILED,
}


class PolicyNode(ManagedNode):
    """Obeys one sentence at a time; a newer one preempts it.

    A sentence comes as an action goal or on the instruction topic, which is turned into a goal of the same action.
    """

    def __init__(self) -> None:
        super().__init__("policy_node")
        parameters = Parameters(self)
        checkpoint = parameters.text("checkpoint", "models/tabletop", "directory of the checkpoint")
        device = parameters.text("device", "cpu", "where the policy computes: cpu, cuda or cuda:0")
        threads = parameters.integer(
            "threads", 1, "CPU threads of the policy; they wait for each other, so spare cores are needed", 1, 64
        )
        self._samples = parameters.integer("samples", 64, "hypotheses drawn for a decision", 1, 4096)
        self._steps = parameters.integer("steps", 20, "DDIM steps of a decision", 1, 1000)
        self._seed = parameters.integer("seed", 0, "of the decisions' noise", 0, 2**31 - 1)
        self._candidates = parameters.integer("candidates", 8, "modes that motion may try for a keyframe", 1, 100)
        self._keyframe_limit = parameters.integer("keyframe_limit", 15, "keyframes a sentence may take", 1, 1000)
        self._decisions = parameters.integer(
            "decisions_per_keyframe", 2, "decisions before a keyframe is given up as refused by motion", 1, 20
        )
        self._max_length = parameters.integer("max_instruction_length", 200, "characters of a sentence", 1, 2000)
        self._settle_time = parameters.number(
            "settle_time",
            0.35,
            "seconds after a sentence or a motion from which on images show the scene at rest",
            0.0,
            10.0,
        )
        self._cloud_timeout = parameters.number("cloud_timeout", 10.0, "seconds to wait for a cloud", 0.1, 600.0)

        tune_cpu(threads)
        self.get_logger().info(f"loading {checkpoint} on {device}")
        self._policy = load_policy(checkpoint, device=device)
        self._warm_up()

        self._cloud: Cloud | None = None
        self._arm_stopped = False
        self._watches: dict[bytes, Watch] = {}  # of every goal that has not ended, by its id
        self._runs: list[Watch] = []  # of those that are sentences to obey, the newest last
        self._runs_lock = threading.Lock()
        self._turn = threading.Lock()  # held by the sentence that may move the arm

        self.create_subscription(
            PointCloud2,
            "mini_diffuser/cloud",
            self._on_cloud,
            qos_profile_sensor_data,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self.create_subscription(Bool, "mini_diffuser/stopped", self._on_stopped, LATCHED)
        self.create_subscription(String, "mini_diffuser/instruction", self._on_instruction, 10)
        self._modes = self.create_publisher(KeyframeModes, "mini_diffuser/modes", 10)
        self._markers = self.create_publisher(MarkerArray, "mini_diffuser/markers", 10)
        self._active = self.create_publisher(String, "mini_diffuser/active_instruction", LATCHED)
        self._heartbeat = self.create_publisher(Empty, "mini_diffuser/heartbeat", 1)
        self.create_timer(
            HEARTBEAT_PERIOD,
            lambda: self._heartbeat.publish(Empty()),
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        goals = ReentrantCallbackGroup()
        self._motion = ActionClient(self, MoveToKeyframe, "mini_diffuser/move_to_keyframe", callback_group=goals)
        self._own_action = ActionClient(self, ExecuteInstruction, "mini_diffuser/execute", callback_group=goals)
        self._server = ActionServer(
            self,
            ExecuteInstruction,
            "mini_diffuser/execute",
            execute_callback=self._execute,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
            callback_group=goals,
        )
        self.get_logger().info("ready for instructions")

    def close(self) -> None:
        """End the sentence under way; motion is canceled with it."""
        with self._runs_lock:
            runs = list(self._runs)
        for watch in runs:
            watch.interrupt(Result.FAILED, "policy_node is shutting down")
        if self._turn.acquire(timeout=1.5):
            self._turn.release()

    def _warm_up(self) -> None:
        """One decision on made-up points: the first use of a network costs more than the later ones."""
        start = time.monotonic()
        points = np.random.default_rng(0).uniform((0.4, -0.2, 0.0), (0.6, 0.2, 0.1), (400, 3)).astype(np.float32)
        cloud = Cloud(points, np.full(points.shape, 128, np.uint8), "warm_up")
        self._policy.decide(cloud, "warm up", samples=self._samples, steps=self._steps, seed=0)
        self.get_logger().info(f"warmed up in {time.monotonic() - start:.1f} s")

    # Messages

    def _on_cloud(self, message: PointCloud2) -> None:
        try:
            self._cloud = cloud_from_message(message)
        except MalformedMessageError as error:
            self.get_logger().warning(f"mini_diffuser/cloud: {error}", throttle_duration_sec=5.0)
            return
        self._notify()

    def _on_stopped(self, message: Bool) -> None:
        self._arm_stopped = message.data
        if message.data:
            with self._runs_lock:
                for watch in self._runs:
                    watch.interrupt(Result.STOPPED, "a stop was called")

    def _on_instruction(self, message: String) -> None:
        accepted = self._own_action.send_goal_async(ExecuteInstruction.Goal(instruction=message.data))
        accepted.add_done_callback(partial(self._report_topic_run, message.data))

    def _report_topic_run(self, instruction: str, accepted: Any) -> None:
        handle = accepted.result()
        if handle is not None and handle.accepted:
            handle.get_result_async().add_done_callback(
                lambda ended: self.get_logger().info(f"'{instruction[:80]}': {ended.result().result.message}")
            )

    def _notify(self) -> None:
        with self._runs_lock:
            for watch in self._runs:
                watch.notify()

    # The action

    def _on_accepted(self, goal: Any) -> None:
        watch = Watch()
        refusal = refusal_of(goal.request.instruction, self._max_length)
        with self._runs_lock:
            if refusal is not None:
                watch.interrupt(Result.REFUSED, refusal)
            else:
                for older in self._runs:
                    older.interrupt(Result.PREEMPTED, f"preempted by '{goal.request.instruction.strip()}'")
                self._runs.append(watch)
            self._watches[bytes(goal.goal_id.uuid)] = watch
        goal.execute()

    def _on_cancel(self, goal: Any) -> CancelResponse:
        with self._runs_lock:
            watch = self._watches.get(bytes(goal.goal_id.uuid))
        if watch is None:
            return CancelResponse.REJECT
        watch.interrupt(Result.CANCELED, "canceled by its client")
        return CancelResponse.ACCEPT

    def _execute(self, goal: Any) -> Any:
        """Runs in a thread of the executor until the sentence has ended, and answers with how."""
        start = time.monotonic()
        key = bytes(goal.goal_id.uuid)
        watch = self._watches[key]
        run = self._make_run(goal, watch)
        try:
            watch.check()
            outcome, message = self._obey(goal, run, watch)
        except InterruptionError as interruption:
            outcome, message = interruption.outcome, str(interruption)
        except NodeError as error:
            outcome, message = Result.FAILED, str(error)
        except Exception as error:  # the client has to hear of it, and the node goes on
            self.get_logger().error(traceback.format_exc())
            outcome, message = Result.FAILED, f"{type(error).__name__}: {error}"
        finally:
            with self._runs_lock:
                del self._watches[key]
                if watch in self._runs:
                    self._runs.remove(watch)
        self.get_logger().info(f"'{goal.request.instruction.strip()[:80]}': {message} ({run.keyframes} keyframes)")
        end_goal(goal, succeeded=outcome == Result.TERMINATED, canceled=outcome == Result.CANCELED)
        return Result(outcome=outcome, message=message, keyframes=run.keyframes, seconds=time.monotonic() - start)

    def _obey(self, goal: Any, run: InstructionRun, watch: Watch) -> tuple[int, str]:
        # The sentence that was preempted first brings the arm to rest.
        with self._turn:
            watch.check()
            if self._arm_stopped:
                return Result.STOPPED, "the arm is stopped; call mini_diffuser/resume first"
            self._active.publish(String(data=goal.request.instruction.strip()))
            report = run.obey()
        return OUTCOMES[report.ending], report.message

    def _make_run(self, goal: Any, watch: Watch) -> InstructionRun:
        sentence = goal.request.instruction.strip()
        number = 1

        def tell(phase: str, keyframe: int, message: str) -> None:
            nonlocal number
            number = keyframe
            goal.publish_feedback(ExecuteInstruction.Feedback(phase=phase, keyframe=keyframe, message=message))

        def look() -> Cloud:
            return self._look(watch, partial(tell, "waiting", number))

        def decide(cloud: Cloud, count: int) -> Sequence[KeyframeMode]:
            return self._decide(cloud, sentence, count)

        def move(modes: Sequence[KeyframeMode], cloud: Cloud) -> MotionReport:
            return self._move(modes, cloud.frame, watch, lambda phase, message: tell(phase, number, message))

        return InstructionRun(look, decide, move, tell, self._keyframe_limit, self._decisions)

    def _look(self, watch: Watch, tell: Any) -> Cloud:
        """A cloud whose every image was taken after now plus the settle time."""
        newer_than = self.get_clock().now().nanoseconds * 1e-9 + self._settle_time

        def newest() -> Cloud | None:
            cloud = self._cloud
            return cloud if cloud is not None and cloud.stamp >= newer_than else None

        if self._cloud is None:
            tell("no cloud yet")
        try:
            return watch.wait_for(newest, self._cloud_timeout)
        except TimeoutError:
            what = "no cloud" if self._cloud is None else "no new cloud"
            raise NodeError(
                f"{what} on mini_diffuser/cloud within {self._cloud_timeout:.1f} s; see /diagnostics for the cameras"
            ) from None

    def _decide(self, cloud: Cloud, sentence: str, count: int) -> Sequence[KeyframeMode]:
        start = time.monotonic()
        try:
            modes = self._policy.decide(
                cloud, sentence, samples=self._samples, steps=self._steps, seed=self._seed + count
            )
        except ValueError as error:
            raise NodeError(f"the policy cannot decide: {error}") from error
        header = Header(frame_id=cloud.frame, stamp=stamp_from_seconds(cloud.stamp))
        messages = [mode_to_message(mode) for mode in modes]
        self._modes.publish(KeyframeModes(header=header, instruction=sentence, modes=messages))
        self._markers.publish(mode_markers(modes, header))
        self.get_logger().info(
            f"decided in {time.monotonic() - start:.2f} s on {len(cloud)} points: {len(modes)} modes, "
            f"the first with {modes[0].share:.0%} at {np.round(modes[0].pose[:3], 3).tolist()}"
            if modes
            else "no mode"
        )
        return modes

    def _move(self, modes: Sequence[KeyframeMode], frame: str, watch: Watch, tell: Any) -> MotionReport:
        candidates = [mode_to_message(mode) for mode in modes[: self._candidates]]
        goal = MoveToKeyframe.Goal(header=Header(frame_id=frame), candidates=candidates)
        goal.header.stamp = self.get_clock().now().to_msg()
        wrapped = carry_out(
            self._motion,
            goal,
            watch,
            name="mini_diffuser/move_to_keyframe",
            timeout=MOTION_TIMEOUT,
            on_feedback=lambda feedback: tell(feedback.phase, f"{feedback.progress:.0%}"),
        )
        result = wrapped.result
        motion = MoveToKeyframe.Result
        if result.outcome == motion.REACHED:
            return MotionReport(result.chosen, result.message)
        if result.outcome == motion.REFUSED:
            return MotionReport(None, result.message)
        ended = Result.STOPPED if result.outcome == motion.STOPPED else Result.FAILED
        raise InterruptionError(ended, result.message)


def main() -> NoReturn:
    """Entry point of the executable ``policy_node``."""
    run_node(PolicyNode, threads=8)


if __name__ == "__main__":
    main()
