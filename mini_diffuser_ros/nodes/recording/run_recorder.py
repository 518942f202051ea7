"""Episodes of the stack's own runs: each sentence that it obeys, with the keyframes that it reaches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from action_msgs.msg import GoalStatusArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import Bool, String

from mini_diffuser_ros.data import check_task
from mini_diffuser_ros.data.episode_recorder import EpisodeRecorder, RecorderState
from mini_diffuser_ros.data.task_names import task_of
from mini_diffuser_ros.nodes.recording.followed_run import (
    EXECUTIONS,
    INSTRUCTION,
    MOTIONS,
    FollowedRun,
    RunEvent,
    goals_of,
)
from mini_diffuser_ros.nodes.recording.keyframe_maker import KeyframeMaker
from mini_diffuser_ros.nodes.recording.recorder_cameras import Capture
from mini_diffuser_ros.nodes.recording.recording_session import RecordingSession
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.sources import Jobs, MessageSource, Waiting
from mini_diffuser_ros.running.world_verdict import JUDGED, SUCCESS, RunVerdict, WorldVerdicts

END_TIMEOUT = 1.0  # seconds to hear that a run has ended, when this process is to end
WRITE_TIMEOUT = 8.0  # seconds for the last keyframe of a run and its file, then


@dataclass(frozen=True)
class RunConfig:
    """Which runs are kept, and as what.

    Attributes:
        task: name of the task; empty: that of the simulated world, or the words of the sentence.
        simulated: a run is kept only if the simulated world confirms it.
        confirm_timeout: seconds after a run within which the world may do so.
        keep_failed: write runs without success into the folder ``failed``, instead of dropping them.
        settle_time: seconds after a sentence from which on images show the table laid for it.
    """

    task: str
    simulated: bool
    confirm_timeout: float
    keep_failed: bool
    settle_time: float

    @classmethod
    def declare(cls, parameters: Parameters, settle_time: float) -> RunConfig:
        """Of a node's parameters.

        Raises:
            DataError: if the task cannot name a file.
        """
        task = parameters.text("task", "", "of recorded runs; empty: from the simulated world or the sentence")
        if task:
            check_task(task)
        return cls(
            task,
            parameters.flag("simulated", False, "a run is kept only if the simulated world confirms it"),
            parameters.number(
                "confirm_timeout", 3.0, "seconds after a run within which the world may confirm it", 0.0, 60.0
            ),
            parameters.flag(
                "keep_failed_runs", False, "write runs without success into the folder failed, instead of dropping them"
            ),
            settle_time,
        )


@dataclass(frozen=True)
class RunEnd:
    """How the recording of a run ended.

    Attributes:
        sentence: that was obeyed.
        fault: why it is no episode; empty if it is one.
        failed: whether that is the run's own doing: it was not obeyed to its end, or did not succeed.
    """

    sentence: str
    fault: str = ""
    failed: bool = False


class RunRecorder:
    """Follows the stack, and makes an episode of each sentence.

    Args:
        source: of the messages.
        config: which runs are kept.
        session: the episode under way.
        recorder: writes it.
        maker: gives up captures that nobody waits for any more.
        jobs: where keyframes are waited for.
        token: notified when the world says something.
        on_end: called with how the recording of each run ended.
    """

    def __init__(
        self,
        source: MessageSource,
        config: RunConfig,
        session: RecordingSession,
        recorder: EpisodeRecorder,
        maker: KeyframeMaker,
        jobs: Jobs,
        token: Waiting,
        on_end: Callable[[RunEnd], None],
    ) -> None:
        self._config, self._session, self._on_end = config, session, on_end
        self._recorder, self._maker, self._jobs, self._token = recorder, maker, jobs, token
        self._run = FollowedRun()
        self._sentence = ""  # of the run that is recorded
        self._fault = ""  # why the run under way cannot be kept
        self._world_task, self._world = "", WorldVerdicts()
        self._verdict = RunVerdict()  # on the newest run
        group = MutuallyExclusiveCallbackGroup()
        for kind, topic, callback, qos in (
            # Volatile: a sentence that was obeyed before this node came is of no interest.
            (String, INSTRUCTION, self._on_instruction, 10),
            (GoalStatusArray, EXECUTIONS, self._on_executions, LATCHED),
            (GoalStatusArray, MOTIONS, self._on_motions, LATCHED),
            (String, "sim/task", self._on_task, LATCHED),
            (String, JUDGED, self._on_judged, LATCHED),
            (Bool, SUCCESS, self._on_success, LATCHED),
        ):
            source.create_subscription(kind, topic, callback, qos, callback_group=group)

    def finish(self) -> None:
        """Have a run that ended just now written: whoever waits for its outcome alone ends the process at once."""
        if self._session.progress.state == RecorderState.IDLE:
            return
        with suppress(TimeoutError):
            self._token.wait_for(lambda: not self._run.sentence, END_TIMEOUT)
            self._token.wait_for(lambda: self._session.progress.state == RecorderState.IDLE, WRITE_TIMEOUT)

    def _on_instruction(self, message: String) -> None:
        self._follow(self._run.instructed(message.data))

    def _on_executions(self, message: GoalStatusArray) -> None:
        self._follow(self._run.executions(goals_of(message)))

    def _on_motions(self, message: GoalStatusArray) -> None:
        self._follow(self._run.motions(goals_of(message)))

    def _on_task(self, message: String) -> None:
        self._world_task = message.data

    def _on_success(self, message: Bool) -> None:
        self._world.hear_done(message.data)
        self._token.notify()

    def _on_judged(self, message: String) -> None:
        self._world.hear_judged(message.data)
        self._token.notify()

    def _follow(self, events: list[RunEvent]) -> None:
        for event in events:
            self._jobs.put(self._job(event))
        self._token.notify()

    def _job(self, event: RunEvent) -> Callable[[], None]:
        """What is to be done about an event. Images are collected from now on, whenever its turn comes."""
        if event == RunEvent.STARTED:
            sentence, capture = self._run.sentence, self._session.open(self._config.settle_time)
            self._verdict = self._world.begin(sentence)
            return lambda: self._start(sentence, capture)
        if event == RunEvent.REACHED:
            capture = self._session.open()
            return lambda: self._mark(capture)
        verdict = self._verdict  # the next run may have begun when it is asked for
        return lambda: self._end(event == RunEvent.TERMINATED, verdict)

    def _start(self, sentence: str, capture: Capture) -> None:
        def start() -> str:
            # With the first keyframe there, the simulated world has said which task it has laid.
            return self._session.start_with(lambda: self._task(sentence), (sentence,), capture)

        self._sentence = sentence
        done, message = self._session.attempt(start)
        self._fault = "" if done else message

    def _task(self, sentence: str) -> str:
        return self._config.task or (self._world_task if self._config.simulated else "") or task_of(sentence)

    def _mark(self, capture: Capture) -> None:
        if self._fault:  # without an earlier keyframe this one would be a wrong lesson
            self._maker.give_up(capture)
            return
        done, message = self._session.attempt(lambda: self._session.mark(capture))
        self._fault = "" if done else message

    def _end(self, terminated: bool, verdict: RunVerdict) -> None:
        failure = "" if terminated else "the sentence was not obeyed to its end"
        failure = failure or ("" if self._fault else self._refutation(verdict))
        if not failure and not self._fault and self._session.progress.keyframes == 1:
            failure = "the arm reached no keyframe"
        done, message = self._session.attempt(lambda: self._keep_or_drop(self._fault or failure))
        self._token.notify()
        fault = (self._fault or failure) if done else message
        self._on_end(RunEnd(self._sentence, fault, bool(failure)))

    def _keep_or_drop(self, fault: str) -> str:
        if self._session.progress.state == RecorderState.IDLE:
            return "the run was not recorded"
        if not fault:
            return self._recorder.end()
        if self._config.keep_failed and self._session.progress.keyframes > 1:
            return f"{fault}: {self._recorder.end(failed=True)}"
        return f"{fault}: {self._recorder.drop()}"

    def _refutation(self, verdict: RunVerdict) -> str:
        """What the simulated world has against the run, empty if it confirms it or if there is none."""
        if self._config.simulated:
            try:
                self._token.wait_for(lambda: verdict.confirms, self._config.confirm_timeout)
            except TimeoutError:
                return "the world does not confirm success"
        return ""
