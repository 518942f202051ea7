"""``mini-diffuser demo``: record demonstrations from a terminal, one key a keyframe, with a running recorder_node.

ENTER marks a keyframe, so that a foot pedal or a presenter that types ENTER leaves both hands to the arm.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from mini_diffuser_msgs.msg import RecorderStatus
from mini_diffuser_msgs.srv import MarkKeyframe, StartEpisode
from rclpy.node import Node
from std_srvs.srv import Trigger

from mini_diffuser_ros.commands.arguments import LONGEST_WAIT, namespace, number_between
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.service_call import call_service
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.printable import printable

BASE = "mini_diffuser/recorder"
PATIENCE = 5.0  # seconds to look for a service
ANSWER_TIMEOUT = 60.0  # seconds; ending an episode writes all of it
STATUS_TIMEOUT = 5.0  # seconds
HELP = (
    "ENTER marks a keyframe, g opens or closes the gripper, u drops the last keyframe, e ends the episode, d drops it, "
    "q leaves (each with ENTER)"
)


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if it was left in order."""
    options = _parser().parse_args(arguments)
    try:
        with client_node("demo", options.namespace) as node:
            Demonstrator(RecorderClient(node, options.wait), options.task, options.sentences).run(sys.stdin)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what was marked stays with the recorder") from None
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("demo", description=__doc__)
    parser.add_argument("sentences", nargs="+", help="the instruction, and paraphrases of it")
    parser.add_argument("--task", required=True, help="name of the task, e.g. stack_cups")
    parser.add_argument(
        "--wait",
        type=number_between(0.0, LONGEST_WAIT),
        default=10.0,
        help="seconds to wait for the recorder (%(default)s)",
    )
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the recorder")
    return parser


class RecorderClient:
    """The services of a recorder, as calls that answer.

    Args:
        node: that calls; somebody else has to spin it.
        wait: seconds to wait for the recorder.

    Raises:
        NodeError: if there is none.
    """

    def __init__(self, node: Node, wait: float) -> None:
        self._token = CancellationToken()
        self._status: RecorderStatus | None = None
        node.create_subscription(RecorderStatus, f"{BASE}/status", self._on_status, LATCHED)
        kinds = {"start_episode": StartEpisode, "mark_keyframe": MarkKeyframe}
        names = (
            "start_episode",
            "mark_keyframe",
            "drop_keyframe",
            "end_episode",
            "drop_episode",
            "resume_episode",
            "toggle_gripper",
        )
        self._clients = {name: node.create_client(kinds.get(name, Trigger), f"{BASE}/{name}") for name in names}
        try:
            self._token.wait_for(lambda: self._status, wait)
        except TimeoutError:
            topic = node.resolve_topic_name(f"{BASE}/status")
            raise NodeError(
                f"nothing on {topic} within {wait:g} s; start one: ros2 run mini_diffuser_ros recorder_node"
            ) from None

    @property
    def status(self) -> RecorderStatus:
        """What the recorder said last about itself."""
        return self._status

    def call(self, name: str, request: Any = None) -> tuple[bool, str]:
        """Call a service; whether it succeeded, and what it says.

        Raises:
            NodeError: if it does not answer.
        """
        client = self._clients[name]
        response = call_service(
            client,
            client.srv_type.Request() if request is None else request,
            self._token,
            name=f"{BASE}/{name}",
            patience=PATIENCE,
            timeout=ANSWER_TIMEOUT,
            missing=f"no service {BASE}/{name}; has the recorder ended?",
        )
        # The status that goes with the answer may come after it, and the next key depends on it.
        with suppress(TimeoutError):
            self._token.wait_for(lambda: self.status.message == response.message, STATUS_TIMEOUT)
        return response.success, response.message

    def _on_status(self, message: RecorderStatus) -> None:
        self._status = message
        self._token.notify()


class Demonstrator:
    """Turns lines of the terminal into calls, episode after episode of one task.

    Args:
        recorder: what is called.
        task, sentences: of the episodes.
    """

    def __init__(self, recorder: RecorderClient, task: str, sentences: list[str]) -> None:
        self._recorder = recorder
        self._task, self._sentences = task, sentences
        self._keys: dict[str, Callable[[], None]] = {
            "": self._mark,
            "u": lambda: self._tell("drop_keyframe"),
            "e": lambda: self._tell("end_episode"),
            "g": lambda: self._tell("toggle_gripper"),
            "d": self._drop,
        }
        self._wants_to_drop = False

    def run(self, keys: TextIO) -> None:
        """Until ``q`` or the end of the input.

        Raises:
            NodeError: if the recorder does not answer.
        """
        if self._recorder.status.state == RecorderStatus.UNFINISHED:
            self._say(self._recorder.status.message)
            self._say("ENTER resumes it, e ends it, d drops it")
        else:
            self._say(f"ENTER starts an episode of {self._task}: '{self._sentences[0]}'")
        self._say(HELP)
        for line in keys:
            key = line.strip().lower()
            if key == "q":
                break
            if key not in self._keys:
                self._say(f"'{key}' is no key; {HELP}")
                continue
            self._wants_to_drop = self._wants_to_drop and key == "d"
            self._keys[key]()
        left = self._recorder.status
        if left.state == RecorderStatus.RECORDING:
            self._say(f"episode {left.episode} with {left.keyframes} keyframes stays with the recorder")

    def _mark(self) -> None:
        state = self._recorder.status.state
        if state == RecorderStatus.UNFINISHED:
            self._tell("resume_episode")
        elif state == RecorderStatus.IDLE:
            self._tell("start_episode", StartEpisode.Request(task=self._task, sentences=self._sentences))
        else:
            self._tell("mark_keyframe")

    def _drop(self) -> None:
        """Only when it is pressed twice: the keys lie next to each other."""
        if self._wants_to_drop:
            self._tell("drop_episode")
        else:
            status = self._recorder.status
            self._say(f"d once more drops episode {status.episode} with {status.keyframes} keyframes")
        self._wants_to_drop = not self._wants_to_drop

    def _tell(self, name: str, request: Any = None) -> None:
        done, message = self._recorder.call(name, request)
        self._say(message if done else f"NOT DONE: {message}")

    @staticmethod
    def _say(line: str) -> None:
        sys.stdout.write(f"{printable(line)}\n")
        sys.stdout.flush()
