"""Nodes that are killed in the middle of a run: the arm comes to rest, and whoever is started again goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from .arm import GUARD_PATIENCE, LEFT, MOVE, PATIENCE, RIGHT, is_moving, stays_at_rest
from .conftest import LATCHED, Peer, Process

EXECUTE = "/mini_diffuser/execute"
SENTENCE = "stack the red block on the green block"


class Stack:
    """The four nodes, each of which can be killed and started again."""

    def __init__(self, start: Callable[..., Process], checkpoint: Path, stop_file: Path) -> None:
        self._start = start
        # The slowest motions leave time to kill and to start, and last longer than the policy may be silent; ages are
        # generous, as others need the processors, too.
        self._parameters: dict[str, dict[str, Any]] = {
            "sim_node": {"image_size": 128, "instruction": f"'{SENTENCE}'"},
            "perception_node": {"max_image_age": 5.0},
            "guard_node": GUARD_PATIENCE,
            "motion_node": {
                **PATIENCE,
                "client_timeout": 2.0,
                "planner.velocity_scaling": 0.025,
                "stop_file": stop_file,
            },
            "policy_node": {"checkpoint": checkpoint, "samples": 8, "cloud_timeout": 120.0, "motion_silence": 60.0},
        }
        self.processes = {name: self._begin(name) for name in self._parameters}

    def restart(self, name: str) -> None:
        """Start a node that was killed."""
        self.processes[name] = self._begin(name)

    def kill(self, name: str) -> None:
        """End a node as kill -9 does."""
        self.processes[name].kill()

    def said(self, name: str) -> str:
        """What a node has written since it was started last."""
        return self.processes[name].said()

    def _begin(self, name: str) -> Process:
        return self._start(name, **self._parameters[name])


@pytest.fixture(scope="module")
def stack(start: Callable[..., Process], checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return Stack(start, checkpoint, tmp_path_factory.mktemp("stop") / "motion_node.stop")


@pytest.fixture(scope="module")
def joints(peer: Peer, stack: Stack) -> list[Any]:
    states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
    peer.await_that(lambda: states)
    return states


def send_sentence(peer: Peer, joints: list[Any], feedback: list[Any]) -> Any:
    """Handle of a sentence that has set the arm in motion."""
    handle = peer.send(ExecuteInstruction, EXECUTE, feedback.append, instruction=SENTENCE)
    peer.await_that(lambda: feedback[-1:] and feedback[-1].phase == "moving" and is_moving(joints))
    return handle


def test_a_run_goes_on_when_perception_is_killed_and_started_again(peer: Peer, stack: Stack, joints: list[Any]) -> None:
    feedback: list[Any] = []
    handle = send_sentence(peer, joints, feedback)
    stack.kill("perception_node")
    peer.await_that(lambda: feedback[-1].phase == "waiting")
    stack.restart("perception_node")
    peer.await_that(lambda: feedback[-1].keyframe >= 2 and feedback[-1].phase == "moving")
    peer.result_of(handle.cancel_goal_async())
    assert peer.result_of(handle.get_result_async()).result.outcome == ExecuteInstruction.Result.CANCELED


def test_a_policy_that_dies_leaves_the_arm_at_rest_and_another_takes_over(
    peer: Peer, stack: Stack, joints: list[Any]
) -> None:
    send_sentence(peer, joints, [])
    stack.kill("policy_node")
    peer.await_that(lambda: "no heartbeat of the policy" in stack.said("motion_node"))
    peer.await_that(lambda: stays_at_rest(joints))
    stack.restart("policy_node")
    peer.await_that(lambda: "ready for instructions" in stack.said("policy_node"))
    handle = send_sentence(peer, joints, [])
    peer.result_of(handle.cancel_goal_async())
    assert peer.result_of(handle.get_result_async()).result.outcome == ExecuteInstruction.Result.CANCELED
    peer.await_that(lambda: stays_at_rest(joints))


def test_a_motion_node_that_dies_in_a_motion_comes_back_stopped_and_ends_the_motion(
    peer: Peer, stack: Stack, joints: list[Any]
) -> None:
    peer.send(MoveToKeyframe, MOVE, candidates=[LEFT])
    peer.await_that(lambda: is_moving(joints))
    stopped = peer.collect(Bool, "/mini_diffuser/stopped", LATCHED)
    stack.kill("motion_node")
    stack.restart("motion_node")
    peer.await_that(lambda: stopped[-1:] == [Bool(data=True)])
    peer.await_that(lambda: "planning for" in stack.said("motion_node"))
    peer.await_that(lambda: stays_at_rest(joints))
    refused = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])
    assert refused.outcome == MoveToKeyframe.Result.STOPPED
    assert "ended while the arm was moving" in refused.message
    assert "resume" in refused.message
    peer.resume()
    handle = peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT])
    ended = handle.get_result_async()
    peer.await_that(lambda: is_moving(joints) or ended.done())
    assert not ended.done(), ended.result().result.message
    peer.result_of(handle.cancel_goal_async())
