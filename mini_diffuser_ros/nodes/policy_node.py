"""policy_node: a cloud and a sentence become keyframes, one after another, until the task is done."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
from mini_diffuser_msgs.action import ExecuteInstruction
from mini_diffuser_msgs.msg import Heartbeat, KeyframeModes
from rclpy.action import ActionClient, ActionServer
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_msgs.msg import Bool, Header, String
from visualization_msgs.msg import MarkerArray

from mini_diffuser_ros.nodes.policy.markers import mode_markers
from mini_diffuser_ros.nodes.policy.motion_client import MotionClient, MotionEndedError
from mini_diffuser_ros.nodes.policy.newest_cloud import NewestCloud
from mini_diffuser_ros.nodes.policy.sentences import Sentences
from mini_diffuser_ros.nodes.recovery.robot_recovery import names_of_motion_node
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls
from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.goal_tokens import end_goal
from mini_diffuser_ros.nodes.ros.heartbeat import LOOKING, Heart
from mini_diffuser_ros.nodes.ros.messages import mode_to_message, stamp_from_seconds, sureness_to_message
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError, run_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.simulation_watch import SimulationWatch
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.policy import load_policy, tune_cpu
from mini_diffuser_ros.policy.arithmetic import arithmetic_of
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.policy.knowledge.facts import ignorance
from mini_diffuser_ros.records import Assessment, Cloud, EndJudgement, KeyframeMode, SeenEnd
from mini_diffuser_ros.running import Ending, InstructionRun, LoopSettings, MotionReport
from mini_diffuser_ros.running.deciding import Decider, doubt_about
from mini_diffuser_ros.running.policy_world import CONSENT, other_robots, simulated_by
from mini_diffuser_ros.running.recorded_decision import cloud_digest
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import Health, HealthLevel
from mini_diffuser_ros.support.printable import printable

Result = ExecuteInstruction.Result
ACTION = "mini_diffuser/execute"
READY_PERIOD = 0.1  # seconds between looks whether there are clouds
TAKEOVER_PERIOD = 0.2  # seconds between looks for a motion that an earlier process may have left under way
CLOSING_TIMEOUT = 1.5  # seconds that the end of the node waits for its sentence to end
OUTCOMES = {
    Ending.TERMINATED: Result.TERMINATED,
    Ending.REWARDED: Result.TERMINATED,
    Ending.KEYFRAME_LIMIT: Result.KEYFRAME_LIMIT,
    Ending.NO_PROGRESS: Result.NO_PROGRESS,
    Ending.UNFAMILIAR: Result.UNFAMILIAR,
    Ending.NOT_FOUND: Result.NOT_FOUND,
    Ending.NOT_CONFIRMED: Result.NOT_CONFIRMED,
    Ending.FAILED: Result.FAILED,
}


class PolicyNode(ManagedNode):
    """Obeys one sentence at a time; a newer one preempts it.

    A sentence comes as an action goal or on the instruction topic, which is turned into a goal of the same action.
    """

    threads = 8

    def __init__(self) -> None:
        super().__init__("policy_node")
        parameters = Parameters(self)
        checkpoint = parameters.text("checkpoint", "models/tabletop", "directory of the checkpoint")
        device = parameters.text("device", "cpu", "where the policy computes: cpu, cuda or cuda:0")
        threads = parameters.integer(
            "threads", 1, "CPU threads of the policy; they wait for each other, so spare cores are needed", 1, 64
        )
        self._seed = parameters.integer("seed", 0, "of the decisions' noise", 0, 2**31 - 1)
        # Nobody rewards a sentence, and motion_node fails where the arm has not arrived.
        self._loop = parameters.settings(LoopSettings(), without=("max_tries", "ends_on"))
        max_length = parameters.integer("max_instruction_length", 200, "characters of a sentence", 1, 2000)
        cloud_timeout = parameters.number("cloud_timeout", 10.0, "seconds to wait for a cloud", 0.1, 600.0)
        motion_silence = parameters.number(
            "motion_silence", 5.0, "seconds without a sign of life of motion_node after which it is given up", 1.0, 60.0
        )
        self._allowed = parameters.flag(
            CONSENT, False, "let a policy that knows simulations alone drive an arm that is not simulated"
        )
        known = read_checkpoint(checkpoint)
        self._checkpoint = known.digest()
        self._simulated_by, self._of_other_robots = simulated_by(known), partial(other_robots, known)
        self._calls = ServiceCalls(self)
        self._simulation = SimulationWatch(self)
        self._sentences = Sentences(max_length, self.awake)
        self._cloud = NewestCloud(self, cloud_timeout, self._sentences.notify_all)
        self._arm_stopped = False
        self._sentence = ""  # that is obeyed
        self._hardware = device
        # Endpoints first: they are discovered while the checkpoint is loaded.
        self._motion = MotionClient(self, ReentrantCallbackGroup(), motion_silence)
        self._make_topics()
        self._decider = self._load(checkpoint, device, threads)
        if unknown := ignorance(known.knowledge, checkpoint):
            self.get_logger().warning(unknown)
        self._start()
        self.get_logger().info("ready for instructions")

    def _load(self, checkpoint: str, device: str, threads: int) -> Decider:
        tune_cpu(threads)
        self.get_logger().debug(f"loading {checkpoint} on {device}")
        policy = load_policy(checkpoint, device=device)
        self._arithmetic = arithmetic_of(policy.device)
        decider = Decider(policy, self._loop)
        self.get_logger().debug(f"warmed up in {decider.warm_up():.1f} s")
        return decider

    def _make_topics(self) -> None:
        listening = MutuallyExclusiveCallbackGroup()
        self.create_subscription(Bool, "mini_diffuser/stopped", self._on_stopped, LATCHED, callback_group=listening)
        self._modes = self.create_publisher(KeyframeModes, "mini_diffuser/modes", 10)
        self._markers = self.create_publisher(MarkerArray, "mini_diffuser/markers", 10)
        self._active = self.create_publisher(String, "mini_diffuser/active_instruction", LATCHED)
        self._heart = Heart(self, "policy", self._fill_beat)
        self._ready = self.create_publisher(Bool, "mini_diffuser/ready", LATCHED)
        self._was_ready: bool | None = None

    def _start(self) -> None:
        """Take sentences from now on."""
        goals = ReentrantCallbackGroup()
        self._own_action = ActionClient(self, ExecuteInstruction, ACTION, callback_group=goals)
        self._server = ActionServer(
            self,
            ExecuteInstruction,
            ACTION,
            execute_callback=self._execute,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda goal: self._sentences.cancel(goal, Result.CANCELED),
            callback_group=goals,
        )
        self.create_subscription(
            String,
            "mini_diffuser/instruction",
            self._on_instruction,
            10,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        steady_timer(self, READY_PERIOD, self._tell_ready)
        self._takeover = steady_timer(self, TAKEOVER_PERIOD, self._take_over)
        diagnostics = Diagnostics(self, self._hardware)
        diagnostics.add("cloud", self._cloud.health)
        diagnostics.add("policy", self._health)

    def close(self) -> None:
        """End the sentence under way; motion is canceled with it."""
        self._sentences.interrupt_all(Result.FAILED, "policy_node is shutting down")
        # Until the results are on their way, too: whoever waits for one would wait for long.
        self._sentences.await_none(CLOSING_TIMEOUT)
        self._decider.close()

    # Messages

    def _on_stopped(self, message: Bool) -> None:
        self._arm_stopped = message.data
        # A motion under way ends by itself then, and says why once the arm rests.
        if message.data and not self._motion.is_busy():
            self._sentences.interrupt_all(Result.STOPPED, "the arm was stopped")

    def _on_instruction(self, message: String) -> None:
        if self._sentences.is_obeyed(message.data):
            return  # somebody repeats it; another one would preempt
        accepted = self._own_action.send_goal_async(ExecuteInstruction.Goal(instruction=message.data))
        accepted.add_done_callback(partial(self._report_topic_run, message.data))

    def _report_topic_run(self, instruction: str, accepted: Any) -> None:
        handle = accepted.result()
        if handle is not None and handle.accepted:
            handle.get_result_async().add_done_callback(
                lambda ended: self.get_logger().info(f"'{printable(instruction, 80)}': {ended.result().result.message}")
            )

    def _fill_beat(self, beat: Heartbeat) -> None:
        beat.goal_id = self._motion.goal_id

    def _tell_ready(self) -> None:
        ready = self._cloud.is_fresh()
        if ready != self._was_ready:
            self._was_ready = ready
            self._ready.publish(Bool(data=ready))

    def _take_over(self) -> None:
        # Not before it is known that whatever is under way is not another policy_node's.
        if self._heart.is_serving() and self._motion.take_over():
            self._takeover.cancel()

    def _health(self) -> Health:
        values: dict[str, float | str] = {"device": self._hardware, **self._decider.latencies()}
        values["sentence"] = self._sentence or "none"
        if self._simulated_by and not self._allowed and not self._simulation.is_there():
            return Health(HealthLevel.ERROR, self._foreign(), values)
        if self._arm_stopped:
            return Health(HealthLevel.WARN, "the arm is stopped", values)
        if not self._motion.is_there():
            return Health(HealthLevel.ERROR, f"no action server on {self._motion.name}", values)
        return Health(
            HealthLevel.OK, f"obeying '{self._sentence}'" if self._sentence else "ready for instructions", values
        )

    # The action

    def _on_accepted(self, goal: Any) -> None:
        self._sentences.begin(goal)
        goal.execute()

    def _execute(self, goal: Any) -> Any:
        """Runs in a thread of the executor until the sentence has ended, and answers with how."""
        start = time.monotonic()
        with self._sentences.of(goal) as token:
            run = self._make_run(goal, token)
            outcome, message, motion_outcome = self._attempt(goal, run, token)
        if misspelt := self._decider.misspelt(goal.request.instruction):
            message = f"{message} ({misspelt})"
        self.get_logger().info(
            f"'{printable(goal.request.instruction.strip(), 80)}': {message} ({run.keyframes} keyframes)"
        )
        end_goal(goal, succeeded=outcome == Result.TERMINATED, canceled=outcome == Result.CANCELED)
        return Result(
            outcome=outcome,
            message=message,
            keyframes=run.keyframes,
            seconds=time.monotonic() - start,
            motion_outcome=motion_outcome,
        )

    def _attempt(self, goal: Any, run: InstructionRun, token: CancellationToken) -> tuple[int, str, int]:
        """Outcome and message of a sentence, whatever happens, and motion's outcome if that has ended it."""
        try:
            # The sentence that was preempted first brings the arm to rest.
            with self._sentences.turn(token):
                self._check_unique(token)
                if objection := self._objection(token):
                    return Result.REFUSED, objection, -1
                sentence = goal.request.instruction.strip()
                if unfamiliar := self._decider.refusal(sentence, token):
                    return Result.UNFAMILIAR, unfamiliar, -1
                return *self._obey(sentence, run), -1
        except MotionEndedError as end:
            return end.outcome, str(end), end.motion_outcome
        except InterruptionError as interruption:
            return interruption.outcome, str(interruption), -1
        except UserError as error:
            return Result.FAILED, str(error), -1
        except Exception as error:  # the client has to hear of it, and the node goes on
            self.get_logger().error(traceback.format_exc())
            return Result.FAILED, f"{type(error).__name__}: {error}", -1

    def _check_unique(self, token: CancellationToken) -> None:
        poll(self._heart.is_serving, token, 2.0 * LOOKING)
        if rival := self._heart.rival():
            raise NodeError(f"another policy_node serves as well, {rival}: end one of the two")

    def _objection(self, token: CancellationToken) -> str:
        """Why this policy is not to move this arm; empty if it may."""
        if self._simulated_by:
            if self._allowed or poll(self._leads_simulated_arm, token, LOOKING):
                return ""
            return self._foreign()
        names = names_of_motion_node(self, self._calls)
        strange = self._of_other_robots(names.robot) if names else ""
        return f"the policy {strange}" if strange else ""

    def _leads_simulated_arm(self) -> bool:
        """Whether motion_node leads the arm of a simulation, which may run beside a real one: it alone serves that.

        Without a motion_node nothing is led anywhere.
        """
        if not self._simulation.is_there():
            return False
        names = names_of_motion_node(self, self._calls)
        return names is None or self._simulation.alone_publishes(f"{names.arm_action}/_action/status")

    def _foreign(self) -> str:
        return (
            f"the policy {self._simulated_by}, and no simulation serves the arm: give a checkpoint that was trained on "
            f"demonstrations of this cell, or start policy_node with {CONSENT}:=true"
        )

    def _obey(self, sentence: str, run: InstructionRun) -> tuple[int, str]:
        if self._arm_stopped:
            return Result.STOPPED, "the arm is stopped; call mini_diffuser/resume first"
        self._sentence = sentence
        self._active.publish(String(data=sentence))
        try:
            result = run.obey()
        finally:
            self._sentence = ""
        return OUTCOMES[result.ending], result.message

    def _make_run(self, goal: Any, token: CancellationToken) -> InstructionRun:
        sentence = goal.request.instruction.strip()
        number = 1
        held = 0.0

        def tell(phase: str, keyframe: int, message: str) -> None:
            nonlocal number
            number = keyframe
            goal.publish_feedback(ExecuteInstruction.Feedback(phase=phase, keyframe=keyframe, message=message))

        def tell_moved(report: MotionReport) -> None:
            end = ExecuteInstruction.Feedback(phase="moved", keyframe=number, message=report.message)
            end.chosen = -1 if report.chosen is None else report.chosen
            end.refusals = list(report.refusals)
            goal.publish_feedback(end)

        def look(settle_time: float) -> Cloud:
            if not self._cloud.is_fresh():
                tell("waiting", number, "no cloud yet")
            return self._cloud.await_newer(token, settle_time)

        def decide(cloud: Cloud, seed: int) -> Assessment:
            start = time.monotonic()
            assessment = self._decider.decide(cloud, sentence, seed, token)
            self._publish(assessment, cloud, sentence, seed, time.monotonic() - start)
            return assessment

        def doubt(assessment: Assessment, unmoved: bool) -> str:
            return doubt_about(assessment, unmoved, self._loop)

        def confirm_end(end: SeenEnd) -> EndJudgement | None:
            return self._decider.judge_end(sentence, end, token)

        def move(modes: Sequence[KeyframeMode], cloud: Cloud) -> MotionReport:
            nonlocal held
            report = self._motion.move(modes, cloud.frame, token, lambda phase, done: tell(phase, number, done), held)
            held = held if report.chosen is None and not report.lost else report.held
            tell_moved(report)
            return report

        return InstructionRun(look, decide, move, tell, self._loop, self._seed, doubt, confirm_end)

    def _publish(self, assessment: Assessment, cloud: Cloud, sentence: str, seed: int, took: float) -> None:
        modes, numbers = assessment.modes, assessment.numbers
        header = Header(frame_id=cloud.frame, stamp=stamp_from_seconds(cloud.stamp))
        self._modes.publish(
            KeyframeModes(
                header=header,
                instruction=sentence,
                modes=[mode_to_message(mode) for mode in modes],
                seed=seed,
                samples=self._loop.samples,
                steps=self._loop.steps,
                cloud=cloud_digest(cloud),
                checkpoint=self._checkpoint,
                device=self._arithmetic.device,
                threads=self._arithmetic.threads,
                library=self._arithmetic.library,
                familiarity=numbers.familiarity,
                presence=numbers.presence,
                completion=numbers.completion,
                sureness=[sureness_to_message(each) for each in numbers.modes],
            )
        )
        self._markers.publish(mode_markers(modes, header))
        first = "no mode"
        if modes:
            first = f"the first with {modes[0].share:.0%} at {np.round(modes[0].pose[:3], 3).tolist()}"
        self.get_logger().debug(f"decided in {took:.2f} s on {len(cloud)} points: {len(modes)} modes, {first}")


def main() -> NoReturn:
    """Entry point of the executable ``policy_node``."""
    run_node(PolicyNode)


if __name__ == "__main__":
    main()
