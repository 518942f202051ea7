"""policy_node on its own: sentences that are refused, that wait, that take over, that are thought about for long."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from control_msgs.action import FollowJointTrajectory
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat, KeyframeModes
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool, String

from mini_diffuser_ros.nodes.ros.messages import cloud_to_message
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.simulation import TabletopWorld

from .conftest import DISCOVERY, LATCHED, SHIPPED, Peer, Process

EXECUTE = "/mini_diffuser/execute"
SLOW = "/slow/mini_diffuser"
CONSENT = {"allow_simulated_policy": True}  # nobody simulates here
BAD_GOALS = [sys.executable, "-m", "mini_diffuser_ros", "bench", "ros-bad-goals", "--json"]
Result = ExecuteInstruction.Result


def known_of_itself() -> frozenset[str]:
    """The parts of knowledge of the shipped policy; none where it is not installed."""
    if not (SHIPPED / "model.safetensors").is_file():
        return frozenset()
    knowledge = read_checkpoint(SHIPPED).knowledge
    return frozenset() if knowledge is None else frozenset(knowledge.parts)


@pytest.fixture(scope="module", autouse=True)
def policy(start: Callable[..., Process], checkpoint: Path) -> Process:
    return start("policy_node", checkpoint=checkpoint, cloud_timeout=2.0, threads=1, **CONSENT)


@pytest.fixture(scope="module")
def slow_policy(start: Callable[..., Process], checkpoint: Path, peer: Peer) -> Iterator[Process]:
    """A policy that sees clouds and thinks about each for seconds."""
    rng = np.random.default_rng(0)
    points = rng.uniform((0.4, -0.2, 0.01), (0.6, 0.2, 0.1), (400, 3)).astype(np.float32)
    with published(peer, f"{SLOW}/cloud", Cloud(points, np.full(points.shape, 90, np.uint8), "panda_link0")):
        slow = {"samples": 2000, "steps": 50, "threads": 1, **CONSENT}
        yield start("policy_node", namespace="/slow", checkpoint=checkpoint, **slow)


@contextmanager
def published(peer: Peer, topic: str, cloud: Cloud) -> Iterator[None]:
    """The same cloud again and again, with fresh stamps."""
    publisher = peer.node.create_publisher(PointCloud2, topic, qos_profile_sensor_data)

    def publish() -> None:
        stamp = peer.node.get_clock().now().nanoseconds * 1e-9
        publisher.publish(cloud_to_message(replace(cloud, stamp=stamp)))

    timer = peer.node.create_timer(0.1, publish)
    yield
    peer.node.destroy_timer(timer)


def send_and_await_decision(peer: Peer, sentence: str) -> Any:
    """Handle of a sentence that the slow policy thinks about."""
    phases: list[str] = []
    handle = peer.send(ExecuteInstruction, f"{SLOW}/execute", lambda f: phases.append(f.phase), instruction=sentence)
    peer.await_that(lambda: "deciding" in phases)
    return handle


@pytest.mark.parametrize(("sentence", "reason"), [("", "empty"), ("   ", "empty"), ("press " * 100, "599 characters")])
def test_sentences_that_are_none_are_refused(peer: Peer, sentence: str, reason: str) -> None:
    result = peer.execute(ExecuteInstruction, EXECUTE, instruction=sentence)
    assert (result.outcome, result.keyframes) == (Result.REFUSED, 0)
    assert reason in result.message


def test_a_sentence_forges_no_line_of_the_log(peer: Peer, policy: Process) -> None:
    forged = "press the\n[INFO] [1.0] [guard_node]: resumed\x1b[2J blue button"
    result = peer.execute(ExecuteInstruction, EXECUTE, instruction=forged)
    assert result.outcome == Result.REFUSED
    assert "holds control characters" in result.message
    peer.await_that(lambda: r"'press the\n[INFO] [1.0] [guard_node]: resumed\x1b[2J blue button'" in policy.said())
    assert not any(line.startswith("[INFO] [1.0]") for line in policy.said().splitlines())
    assert "\x1b" not in policy.said()


@pytest.mark.skipif("familiarity" not in known_of_itself(), reason="a policy that knows no sentence from another")
def test_a_sentence_that_was_not_taught_is_refused_unless_it_is_accepted_all_the_same(
    peer: Peer, start: Callable[..., Process], checkpoint: Path
) -> None:
    strange = "appuie sur le bouton jaune"
    refused = peer.execute(ExecuteInstruction, EXECUTE, instruction=strange)
    assert (refused.outcome, refused.keyframes) == (Result.UNFAMILIAR, 0)
    assert re.search(r"was not taught .*; nearest that it knows: '.+', '.+', '.+'$", refused.message)
    denied = peer.execute(ExecuteInstruction, EXECUTE, instruction="dont press the bule button")
    assert (denied.outcome, denied.keyframes) == (Result.UNFAMILIAR, 0)
    assert denied.message.startswith("'not' denies what the sentence asks for")
    assert denied.message.endswith("('dont' read as 'do not', 'bule' read as 'blue')")
    # Taught, in words that no demonstration has: it waits for a cloud, which nobody sends.
    taught = peer.execute(ExecuteInstruction, EXECUTE, instruction="would you kindly press that blue button, please")
    assert taught.outcome == Result.FAILED
    assert "no cloud" in taught.message
    easy = start(
        "policy_node", namespace="/easy", checkpoint=checkpoint, cloud_timeout=0.5, accept_unfamiliar=True, **CONSENT
    )
    accepted = peer.execute(ExecuteInstruction, "/easy/mini_diffuser/execute", instruction=strange)
    assert accepted.outcome == Result.FAILED
    assert "no cloud" in accepted.message
    easy.end()


def test_a_policy_of_simulations_drives_no_other_arm_unasked(
    peer: Peer, start: Callable[..., Process], checkpoint: Path
) -> None:
    unasked = start("policy_node", namespace="/unasked", checkpoint=checkpoint)
    told = peer.collect(DiagnosticArray, "/diagnostics")
    result = peer.execute(ExecuteInstruction, "/unasked/mini_diffuser/execute", instruction="press the blue button")
    assert result.outcome == Result.REFUSED
    assert re.search(
        r"the policy (was trained in simulation|does not say what) .*allow_simulated_policy:=true", result.message
    )
    parts = peer.await_that(
        lambda: [one for array in told for one in array.status if one.name == "unasked/policy_node: policy"]
    )
    assert parts[-1].message == result.message
    unasked.end()


@contextmanager
def beating(peer: Peer, topic: str, sender: str) -> Iterator[None]:
    """Signs of life of somebody else."""
    heart = peer.node.create_publisher(Heartbeat, topic, 10)
    beat = Heartbeat(serving=True, sender=f"{sender} (process 1 on elsewhere)", instance=7)
    timer = peer.node.create_timer(0.05, lambda: heart.publish(beat))
    yield
    peer.node.destroy_timer(timer)
    peer.node.destroy_publisher(heart)


def test_an_arm_is_simulated_only_if_the_simulation_serves_it(
    peer: Peer, start: Callable[..., Process], checkpoint: Path
) -> None:
    space = "/which"
    policy = start("policy_node", namespace=space, checkpoint=checkpoint, cloud_timeout=0.5, accept_unfamiliar=True)
    beat = f"{space}/mini_diffuser/heartbeat/sim"

    def outcome() -> int:
        execute = f"{space}/mini_diffuser/execute"
        return int(peer.execute(ExecuteInstruction, execute, instruction="press the blue button").outcome)

    publisher = peer.node.create_publisher(
        String, f"{space}/sim/task", LATCHED
    )  # as the playback of a recording has it
    publisher.publish(String(data="press_button"))
    action = f"{space}/arm/follow"
    server = ActionServer(peer.node, FollowJointTrajectory, action, lambda _: FollowJointTrajectory.Result())
    names = {"robot": "panda", "arm_action": action, "gripper_action": "hand"}

    def answer(request: GetParameters.Request, response: GetParameters.Response) -> GetParameters.Response:
        response.values = [ParameterValue(type=4, string_value=names[name]) for name in request.names]
        return response

    peer.node.create_service(GetParameters, f"{space}/motion_node/get_parameters", answer)
    assert outcome() == Result.REFUSED
    with beating(peer, beat, f"{space}/sim_node"):  # a simulation beside an arm of somebody else's
        assert [outcome() for _ in range(3)] == [Result.REFUSED] * 3
    with beating(peer, beat, peer.node.get_fully_qualified_name()):
        peer.await_that(lambda: outcome() == Result.FAILED)  # for want of a cloud
    server.destroy()
    policy.end()


def test_a_second_policy_node_leaves_the_motion_of_the_first_alone(
    peer: Peer, start: Callable[..., Process], checkpoint: Path
) -> None:
    space, canceled, ends = "/twice", list[Any](), threading.Event()

    def move(goal: Any) -> Any:
        ends.wait(DISCOVERY)
        goal.succeed()
        return MoveToKeyframe.Result(success=True)

    def cancel(goal: Any) -> CancelResponse:
        canceled.append(goal)
        return CancelResponse.ACCEPT

    action, group = f"{space}/mini_diffuser/move_to_keyframe", ReentrantCallbackGroup()
    server = ActionServer(peer.node, MoveToKeyframe, action, move, cancel_callback=cancel, callback_group=group)
    with beating(peer, f"{space}/mini_diffuser/heartbeat/policy", "the first one"):
        handle = peer.send(MoveToKeyframe, action, home=True)
        second = start("policy_node", namespace=space, checkpoint=checkpoint)
        assert second.wait(DISCOVERY) == 1
        assert "there is a policy node already, the first one" in second.said()
    assert canceled == []
    ends.set()
    assert peer.result_of(handle.get_result_async()).result.success
    server.destroy()


def test_a_sentence_before_the_first_cloud_waits_and_then_fails_with_the_reason(peer: Peer) -> None:
    feedback: list[Any] = []
    result = peer.execute(ExecuteInstruction, EXECUTE, feedback.append, instruction="press the blue button")
    assert result.outcome == Result.FAILED
    assert "no cloud on mini_diffuser/cloud within 2.0 s" in result.message
    peer.await_that(lambda: len(feedback) > 1)  # which may come after the result
    assert [(f.phase, f.message) for f in feedback] == [("looking", ""), ("waiting", "no cloud yet")]


def interrupted(peer: Peer, interrupt: Callable[[Any], Any]) -> Any:
    """Result of a sentence that was interrupted before it had waited too long for a cloud."""

    def attempt() -> Any:
        handle = peer.send(ExecuteInstruction, EXECUTE, instruction="press the blue button")
        interrupt(handle)
        result = peer.result_of(handle.get_result_async()).result
        return None if result.outcome == Result.FAILED else result

    return peer.await_that(attempt)


def test_a_newer_sentence_takes_over(peer: Peer) -> None:
    newer: list[Any] = []

    def take_over(_: Any) -> None:
        handle = peer.send(ExecuteInstruction, EXECUTE, instruction="press the red button")
        newer.append(handle.get_result_async())

    result = interrupted(peer, take_over)
    assert result.outcome == Result.PREEMPTED
    assert "press the red button" in result.message
    assert peer.result_of(newer[-1]).result.outcome == Result.FAILED


def test_a_refused_sentence_takes_over_nothing(peer: Peer) -> None:
    older = peer.send(ExecuteInstruction, EXECUTE, instruction="press the blue button").get_result_async()
    assert peer.execute(ExecuteInstruction, EXECUTE, instruction="").outcome == Result.REFUSED
    assert peer.result_of(older).result.outcome == Result.FAILED


def test_a_canceled_sentence_says_so(peer: Peer) -> None:
    result = interrupted(peer, lambda handle: peer.result_of(handle.cancel_goal_async()))
    assert result.outcome == Result.CANCELED


def test_a_sentence_on_the_topic_is_taken_up(peer: Peer, policy: Process) -> None:
    active = peer.collect(String, "/mini_diffuser/active_instruction", LATCHED)
    publisher = peer.node.create_publisher(String, "/mini_diffuser/instruction", 10)
    peer.await_that(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="press the green button"))
    peer.await_that(lambda: [message.data for message in active][-1:] == ["press the green button"])
    peer.await_that(lambda: "'press the green button': no cloud" in policy.said())


def test_malformed_sentences_are_refused_with_the_reason_and_the_next_valid_one_is_taken() -> None:
    words = [*BAD_GOALS, "--count", "100", "--node", "policy_node"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=3 * DISCOVERY)
    assert told.returncode == 0, told.stdout + told.stderr
    assert json.loads(told.stdout)["refused"] == 100


@pytest.mark.parametrize(("lead", "words"), [(3.0, "s in the future"), (-3.0, "shows what was 3.")])
def test_clouds_of_another_clock_are_no_clouds_of_now(peer: Peer, lead: float, words: str) -> None:
    points = np.zeros((1, 3), np.float32)
    clouds = peer.node.create_publisher(PointCloud2, "/mini_diffuser/cloud", qos_profile_sensor_data)

    def publish() -> None:
        stamp = peer.node.get_clock().now().nanoseconds * 1e-9 + lead
        clouds.publish(cloud_to_message(Cloud(points, np.zeros(points.shape, np.uint8), "panda_link0", stamp)))

    timer = peer.node.create_timer(0.1, publish)
    try:
        result = peer.execute(ExecuteInstruction, EXECUTE, instruction="press the blue button")
        assert result.outcome == Result.FAILED
        assert words in result.message
        assert "synchronise" in result.message
    finally:
        peer.node.destroy_timer(timer)
        peer.node.destroy_publisher(clouds)


def test_it_does_not_decide_on_clouds_of_two(peer: Peer) -> None:
    cloud = Cloud(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), "panda_link0")
    with published(peer, "/mini_diffuser/cloud", cloud), published(peer, "/mini_diffuser/cloud", cloud):
        result = peer.execute(ExecuteInstruction, EXECUTE, instruction="press the blue button")
    assert result.outcome == Result.FAILED
    assert "mini_diffuser/cloud is published more than once" in result.message


@pytest.mark.usefixtures("slow_policy")
def test_it_says_when_it_is_ready_and_how_it_is(peer: Peer) -> None:
    ready = peer.collect(Bool, f"{SLOW}/ready", LATCHED)
    peer.await_that(lambda: ready[-1:] == [Bool(data=True)])
    arrays = peer.collect(DiagnosticArray, "/diagnostics")
    peer.await_that(lambda: any("slow/policy_node: cloud" in s.name for array in arrays for s in array.status))

    def values(part: str) -> dict[str, str]:
        statuses = {status.name: status for array in arrays for status in array.status}
        return {value.key: value.value for value in statuses[f"slow/policy_node: {part}"].values}

    peer.await_that(lambda: float(values("cloud")["rate (Hz)"]) > 0.0)
    assert values("cloud")["points"] == "400"
    assert values("policy")["device"] == "cpu"
    assert values("policy")["sentence"] == "none"


@pytest.mark.usefixtures("slow_policy")
def test_a_decision_keeps_neither_a_stop_nor_a_cancel_nor_a_newer_sentence_waiting(peer: Peer) -> None:
    decided = peer.collect(KeyframeModes, f"{SLOW}/modes")
    stopped = peer.node.create_publisher(Bool, f"{SLOW}/stopped", LATCHED)
    older = send_and_await_decision(peer, "press the blue button")
    newer = send_and_await_decision(peer, "press the red button")
    assert peer.result_of(older.get_result_async()).result.outcome == Result.PREEMPTED
    peer.result_of(newer.cancel_goal_async())
    assert peer.result_of(newer.get_result_async()).result.outcome == Result.CANCELED
    last = send_and_await_decision(peer, "press the green button")
    stopped.publish(Bool(data=True))
    assert peer.result_of(last.get_result_async()).result.outcome == Result.STOPPED
    refused = peer.execute(ExecuteInstruction, f"{SLOW}/execute", instruction="press the blue button")
    assert refused.outcome == Result.STOPPED
    assert "resume" in refused.message
    # None of them waited for its decision, and the modes of those are dropped.
    assert decided == []


@pytest.mark.skipif(not (SHIPPED / "model.safetensors").is_file(), reason="an untrained policy goes anywhere")
def test_a_sentence_that_gets_nowhere_ends_before_the_keyframe_limit(peer: Peer, start: Callable[..., Process]) -> None:
    world = TabletopWorld(renderer="rays", image_size=(96, 96))
    world.reset("push_buttons", 3)
    table = fuse_views(world.views(), FusionConfig(), world.robot, world.joint_positions())

    def move(goal: Any) -> Any:
        goal.succeed()
        return MoveToKeyframe.Result(success=True, outcome=MoveToKeyframe.Result.REACHED, chosen=0)

    server = ActionServer(
        peer.node, MoveToKeyframe, "/vain/mini_diffuser/move_to_keyframe", move, callback_group=ReentrantCallbackGroup()
    )
    try:
        with published(peer, "/vain/mini_diffuser/cloud", table):
            settings = {"fruitless_keyframes": 3, "settle_time": 0.0, "accept_unfamiliar": True, **CONSENT}
            start("policy_node", namespace="/vain", checkpoint=SHIPPED, **settings)
            result = peer.execute(
                ExecuteInstruction, "/vain/mini_diffuser/execute", instruction="press the blue button"
            )
    finally:
        server.destroy()
    assert result.outcome == Result.NO_PROGRESS, result.message
    assert "no progress: the last 3 keyframes led to nothing new" in result.message
    assert result.keyframes < 15


@pytest.mark.skipif("presence" not in known_of_itself(), reason="a policy that cannot tell what is in the scene")
def test_what_is_not_there_is_given_up_without_a_move_and_what_is_there_is_done(
    peer: Peer, start: Callable[..., Process]
) -> None:
    world = TabletopWorld(renderer="rays", image_size=(96, 96))
    world.reset("push_buttons", 3)  # orange, yellow, green
    table = fuse_views(world.views(), FusionConfig(), world.robot, world.joint_positions())
    moves: list[Any] = []
    decided = peer.collect(KeyframeModes, "/there/mini_diffuser/modes")

    def move(goal: Any) -> Any:
        moves.append(goal.request)
        goal.abort()
        return MoveToKeyframe.Result(success=False, outcome=MoveToKeyframe.Result.STOPPED, message="enough seen")

    action = "/there/mini_diffuser/move_to_keyframe"
    server = ActionServer(peer.node, MoveToKeyframe, action, move, callback_group=ReentrantCallbackGroup())
    try:
        with published(peer, "/there/mini_diffuser/cloud", table):
            start("policy_node", namespace="/there", checkpoint=SHIPPED, settle_time=0.0, **CONSENT)
            execute = "/there/mini_diffuser/execute"
            missing = peer.execute(ExecuteInstruction, execute, instruction="press the blue button")
            moved = list(moves)
            present = peer.execute(ExecuteInstruction, execute, instruction="press the orange button")
    finally:
        server.destroy()
    assert missing.outcome == Result.NOT_FOUND, missing.message
    assert missing.message.startswith("nothing in the scene fits what 'press the blue button' names")
    assert (missing.keyframes, moved) == (0, [])
    assert present.outcome == Result.STOPPED, present.message
    assert len(moves) == 1
    first, again, found = (modes.presence for modes in decided)
    assert max(first, again) < found
    assert all(len(modes.sureness) in (0, len(modes.modes)) for modes in decided)


@pytest.mark.skipif(not (SHIPPED / "model.safetensors").is_file(), reason="an untrained policy goes anywhere")
def test_what_is_lost_on_the_way_is_decided_on_anew(peer: Peer, start: Callable[..., Process]) -> None:
    world = TabletopWorld(renderer="rays", image_size=(96, 96))
    world.reset("stack_blocks", 3)
    table = fuse_views(world.views(), FusionConfig(), world.robot, world.joint_positions())
    outcome = MoveToKeyframe.Result
    ends = iter(
        [
            outcome(success=True, outcome=outcome.REACHED, chosen=0, held=0.04),
            outcome(outcome=outcome.OBJECT_LOST, message="lost on the way"),
            outcome(outcome=outcome.STOPPED, message="enough seen"),
        ]
    )
    held: list[float] = []

    def move(goal: Any) -> Any:
        held.append(goal.request.held)
        goal.succeed()
        return next(ends)

    action = "/lost/mini_diffuser/move_to_keyframe"
    server = ActionServer(peer.node, MoveToKeyframe, action, move, callback_group=ReentrantCallbackGroup())
    try:
        with published(peer, "/lost/mini_diffuser/cloud", table):
            settings = {"settle_time": 0.0, "accept_unfamiliar": True, **CONSENT}
            start("policy_node", namespace="/lost", checkpoint=SHIPPED, **settings)
            sentence = world.goal.sentences[0]
            result = peer.execute(ExecuteInstruction, "/lost/mini_diffuser/execute", instruction=sentence)
    finally:
        server.destroy()
    assert result.outcome == Result.STOPPED, result.message
    assert held == [0.0, pytest.approx(0.04), 0.0]
