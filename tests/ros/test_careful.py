"""motion_node asked for consent and in dry runs, and the commands that move the arm themselves, on Franka's drivers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from control_msgs.action import FollowJointTrajectory
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import MotionQuestion
from mini_diffuser_msgs.srv import AnswerQuestion
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from mini_diffuser_ros.robots import load_robot

from .arm import GUARD_PATIENCE, MOVE, PATIENCE, is_moving, keyframe, stays_at_rest
from .conftest import DISCOVERY, LATCHED, Peer, Process

Result = MoveToKeyframe.Result
ARM = "/fr3_arm_controller/follow_joint_trajectory"
PLACE, OTHER = keyframe(0.45, 0.1, 0.4), keyframe(0.45, -0.1, 0.4)
HOME = np.array(load_robot("fr3").home)
NAMES = load_robot("fr3").arm_joint_names
DRIVERS = {"robot": "fr3", "arm_action": ARM, "gripper_action": "/franka_gripper/gripper_action"}


@pytest.fixture(scope="module")
def states(peer: Peer, start: Callable[..., Process]) -> list[Any]:
    start("franka")
    start("guard_node", **DRIVERS, **GUARD_PATIENCE)
    states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
    peer.await_that(lambda: states)
    return states


@pytest.fixture(scope="module")
def questions(peer: Peer) -> list[Any]:
    return peer.collect(MotionQuestion, "/mini_diffuser/question", LATCHED)


@pytest.fixture(scope="module")
def goals(peer: Peer) -> list[Any]:
    """What the arm's controller says of each motion."""
    kind = FollowJointTrajectory.Impl.FeedbackMessage
    return peer.collect(kind, f"{ARM}/_action/feedback")


@pytest.fixture(scope="module")
def asking(start: Callable[..., Process], states: list[Any]) -> Iterator[Process]:
    process = start("motion_node", **DRIVERS, **PATIENCE, confirm=True, confirm_timeout=4.0)
    yield process
    process.end()


def place_of(state: Any) -> Any:
    positions = dict(zip(state.name, state.position, strict=True))
    return np.array([positions[name] for name in NAMES])


def next_question(peer: Peer, questions: list[Any], known: int) -> Any:
    return peer.await_that(lambda: next((one for one in questions[known:] if one.id), None))


@pytest.mark.usefixtures("asking")
def test_silence_never_moves(peer: Peer, states: list[Any], questions: list[Any]) -> None:
    known = len(states)
    result = peer.execute_until(Result.UNCONFIRMED, MoveToKeyframe, MOVE, candidates=[PLACE])
    assert "nobody answered within 4 s" in result.message
    assert not any(is_moving([state]) for state in states[known:])
    peer.await_that(lambda: questions and questions[-1].id == 0)


@pytest.mark.usefixtures("asking")
def test_only_an_answer_to_the_question_that_is_open_counts(
    peer: Peer, states: list[Any], questions: list[Any]
) -> None:
    known, seen = len(questions), len(states)
    handle = peer.send(MoveToKeyframe, MOVE, candidates=[PLACE, OTHER])
    question = next_question(peer, questions, known)
    assert "candidate 1 of 2: tool to x 0.450, y 0.100, z 0.400 m" in question.text
    for stale in (0, question.id - 1):
        assert not peer.call(AnswerQuestion, "/mini_diffuser/answer", id=stale, consent=True).success
    assert peer.call(AnswerQuestion, "/mini_diffuser/answer", id=question.id, consent=False).success
    result = peer.result_of(handle.get_result_async()).result
    assert result.outcome == Result.REFUSED
    assert "declined by the person" in result.message
    assert not peer.call(AnswerQuestion, "/mini_diffuser/answer", id=question.id, consent=True).success
    assert not any(is_moving([state]) for state in states[seen:])


class Terminal:
    """A command with a keyboard."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            ["mini-diffuser", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def await_line(self, words: str) -> None:
        """Read on until a line holds these words."""
        assert self._process.stdout is not None
        assert any(words in line for line in self._process.stdout), f"'{words}' was never said"

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def consent(self) -> None:
        """Say yes until it counts: not before the question can have been read."""
        assert self._process.stdout is not None
        while True:
            self.type("y")
            said = next(line for line in self._process.stdout if line.startswith(("it may begin", "this question was")))
            if said.startswith("it may begin"):
                return

    def end(self) -> tuple[int, str]:
        """Exit code after the end of the input, and what was said last."""
        said, _ = self._process.communicate(timeout=DISCOVERY)
        return self._process.returncode, said


@pytest.mark.usefixtures("asking")
def test_home_asks_in_its_own_terminal_and_obeys(peer: Peer, states: list[Any]) -> None:
    home = Terminal("home")
    home.await_line("may it begin?")
    home.consent()
    code, said = home.end()
    assert code == 0
    assert "reached home" in said
    peer.await_that(lambda: stays_at_rest(states, 10) and np.allclose(place_of(states[-1]), HOME, atol=0.01))


@pytest.mark.usefixtures("asking", "states")
def test_what_is_typed_before_a_question_consents_to_nothing(peer: Peer) -> None:
    terminal = Terminal("confirm")
    terminal.await_line("waiting for motions")
    terminal.type("y")
    terminal.await_line("nothing is asked")
    handle = peer.send(MoveToKeyframe, MOVE, candidates=[PLACE])
    terminal.await_line("may it begin?")
    terminal.type("perhaps")
    terminal.await_line("is no answer")
    terminal.consent()
    assert peer.result_of(handle.get_result_async()).result.outcome == Result.REACHED
    assert terminal.end()[0] == 0


@pytest.mark.usefixtures("asking")
def test_stop_at_the_question_stops(peer: Peer, questions: list[Any]) -> None:
    known = len(questions)
    handle = peer.send(MoveToKeyframe, MOVE, candidates=[PLACE])
    next_question(peer, questions, known)
    peer.await_that(lambda: peer.call(Trigger, "/mini_diffuser/stop").success)
    assert peer.result_of(handle.get_result_async()).result.outcome == Result.STOPPED

    def is_resumed() -> bool:  # again where a node hears of the stop only after the resume
        peer.resume()
        return bool(peer.execute(MoveToKeyframe, MOVE, candidates=[PLACE]).outcome == Result.UNCONFIRMED)

    peer.await_that(is_resumed)


def test_a_dry_run_shows_and_gives_the_controllers_no_goal(
    peer: Peer, start: Callable[..., Process], states: list[Any], asking: Process, goals: list[Any]
) -> None:
    asking.end()
    peer.await_that(lambda: not peer.node.count_publishers("/mini_diffuser/question"))
    dry = start("motion_node", **DRIVERS, **PATIENCE, dry_run=True)
    markers = peer.collect(MarkerArray, "/mini_diffuser/planned", LATCHED)
    known, told = len(states), len(goals)
    result = peer.execute_until(Result.PLANNED, MoveToKeyframe, MOVE, candidates=[PLACE])
    assert "nothing was moved" in result.message
    assert not result.success
    peer.await_that(lambda: markers and len(markers[-1].markers[0].points) > 10)  # and stays
    said = subprocess.run(["mini-diffuser", "home"], capture_output=True, text=True, timeout=DISCOVERY)
    assert said.returncode == 0
    assert "a dry run" in said.stdout
    assert not any(is_moving([state]) for state in states[known:])
    assert goals[told:] == []
    dry.end()
