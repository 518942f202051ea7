"""All four nodes together, from a sentence to motion, and to their common end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeModes
from mini_diffuser_msgs.srv import ResetWorld
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from mini_diffuser_ros.data.bags.reader import read_bag
from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC
from mini_diffuser_ros.nodes.ros.messages import cloud_from_message
from mini_diffuser_ros.policy.checkpoint import read_checkpoint

from .arm import GUARD_PATIENCE, LEFT, PATIENCE, RIGHT
from .conftest import ANSWER, DISCOVERY, LATCHED, Peer, Process

EXECUTE = "/mini_diffuser/execute"
Result = ExecuteInstruction.Result


@pytest.fixture(scope="module")
def modes(peer: Peer) -> list[Any]:
    """Every decision of the stack, as this listens before it runs."""
    return peer.collect(KeyframeModes, "/mini_diffuser/modes")


@pytest.fixture(scope="module")
def stack(start: Callable[..., Process], checkpoint: Path, modes: list[Any]) -> dict[str, Process]:
    instruction = "stack the red block on the green block"
    return {
        "sim": start("sim_node", image_size=128, instruction=f"'{instruction}'"),
        "perception": start(
            "perception_node", cameras="[front, left_shoulder, wrist, rear]", max_image_age=5.0, checkpoint=checkpoint
        ),
        "guard": start("guard_node", **GUARD_PATIENCE),
        "motion": start("motion_node", client_timeout=4.0, **PATIENCE),
        # An untrained policy asks for much that is refused, which need not take long, and what is named lies nowhere.
        "policy": start(
            "policy_node",
            checkpoint=checkpoint,
            keyframe_limit=1,
            samples=8,
            candidates=2,
            decisions_per_keyframe=1,
            accept_unfamiliar=True,
        ),
    }


@pytest.mark.usefixtures("stack")
def test_a_missing_camera_is_named_and_the_others_are_fused(peer: Peer) -> None:
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    clouds = peer.collect(PointCloud2, "/mini_diffuser/cloud", qos_profile_sensor_data)
    cloud = cloud_from_message(peer.await_that(lambda: clouds[-1:])[0])
    assert cloud.frame == "panda_link0"
    assert len(cloud) > 50

    def newest(camera: str) -> Any:
        statuses = [s for array in diagnostics for s in array.status if s.name.endswith(f"camera {camera}")]
        return statuses[-1] if statuses else DiagnosticStatus(level=DiagnosticStatus.STALE)

    peer.await_that(lambda: newest("rear").level == DiagnosticStatus.ERROR)
    peer.await_that(lambda: "camera rear: no camera_info, colour, depth" in newest("rear").message)
    peer.await_that(lambda: newest("front").level == newest("wrist").level == DiagnosticStatus.OK)


@pytest.mark.usefixtures("stack")
def test_a_sentence_leads_to_decisions_and_motion(peer: Peer, modes: list[Any]) -> None:
    phases: list[str] = []
    sentence = "stack the red block on the green block"
    result = peer.execute(ExecuteInstruction, EXECUTE, lambda f: phases.append(f.phase), instruction=sentence)
    # An untrained policy may end anywhere, but it is asked, and motion answers.
    assert result.outcome in (Result.TERMINATED, Result.KEYFRAME_LIMIT, Result.FAILED), result.message
    # Decisions, feedback and the result come in any order.
    peer.await_that(lambda: modes and {"deciding", "planning"} <= set(phases))
    assert modes[0].instruction == sentence
    assert modes[0].header.frame_id == "panda_link0"
    assert sum(mode.share for mode in modes[0].modes) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.usefixtures("stack")
def test_a_sentence_goes_into_a_bag_of_which_the_same_decisions_come_out_to_the_bit(
    peer: Peer, start: Callable[..., Process], checkpoint: Path, modes: list[Any], tmp_path: Path
) -> None:
    pytest.importorskip("mcap.writer")
    cameras = ("front", "left_shoulder", "wrist")
    recorder = start("bag_node", folder=tmp_path, cameras=f"[{', '.join(cameras)}]", tail=0.5)
    peer.await_that(lambda: "each run goes into a bag" in recorder.said())
    sentence, count = "press the white button", 0

    def is_written() -> bool:
        """Whether the sentence was; as long as its publisher has not discovered who records, it is not."""
        nonlocal count
        before = len(modes)
        peer.execute(ExecuteInstruction, EXECUTE, instruction=sentence)
        count = len(modes) - before
        return bool(list(tmp_path.iterdir()))

    peer.await_that(is_written)
    recorder.end()
    [path] = tmp_path.glob("*_press_the_white_button.mcap")
    # Clouds of an untrained policy are made by nobody's fusion.
    images_too = ["--from-images"] if read_checkpoint(checkpoint).fusion else []
    command = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "decide", path, "--checkpoint", checkpoint]
    said = subprocess.run([*command, *images_too], capture_output=True, text=True, timeout=DISCOVERY)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == f"{count} of {count} decisions come out the same to the bit"
    images = {f"/{name}/{topic}" for name in cameras for topic in (COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC)}
    assert images <= {message.channel.topic for message in read_bag(path)}


@pytest.mark.usefixtures("stack")
def test_a_stop_ends_a_sentence_that_waits_or_moves_and_the_next_is_told(peer: Peer) -> None:
    def is_stopped() -> bool:
        """Whether the stop found the sentence under way."""
        peer.resume()
        handle = peer.send(ExecuteInstruction, EXECUTE, instruction="stack the red block on the green block")
        peer.call(Trigger, "/mini_diffuser/stop")
        return bool(peer.result_of(handle.get_result_async()).result.outcome == Result.STOPPED)

    peer.await_that(is_stopped)
    # It may take a busy machine longer to bring the arm to rest than the service waits.
    peer.await_that(lambda: peer.call(Trigger, "/mini_diffuser/stop").success)

    def is_told() -> bool:
        """Again where policy_node hears of the stop only while it obeys the sentence."""
        result = peer.execute(ExecuteInstruction, EXECUTE, instruction="press the blue button")
        assert result.outcome == Result.STOPPED
        return "resume" in result.message

    peer.await_that(is_told)
    peer.resume()
    # The policy hears of it by another way than the next sentence.
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    ready = ("policy_node: policy", "ready for instructions")
    peer.await_that(lambda: ready in [(s.name, s.message) for array in diagnostics for s in array.status])


@pytest.mark.usefixtures("stack")
def test_a_sentence_on_the_topic_leaves_the_table_alone(peer: Peer) -> None:
    tasks = peer.collect(String, "/sim/task", LATCHED)
    active = peer.collect(String, "/mini_diffuser/active_instruction", LATCHED)
    peer.await_that(lambda: tasks)
    topic = peer.node.create_publisher(String, "/mini_diffuser/instruction", 10)
    peer.await_that(lambda: topic.get_subscription_count() > 0)
    topic.publish(String(data="press the white button"))
    peer.await_that(lambda: [sentence.data for sentence in active][-1:] == ["press the white button"])
    kept = peer.call(ResetWorld, "/sim/reset", instruction="stack the red block on the green block", seed=-1)
    assert "everything is " in kept.message  # on the table, or in a hand that was stopped while it carried
    # There is no white button: what lies there is judged by no sentence meanwhile.
    peer.await_that(lambda: [task.data for task in tasks][-1:] == ["stack_blocks"])
    assert {task.data for task in tasks} == {"stack_blocks", ""}


@pytest.mark.usefixtures("stack")
def test_a_sentence_that_the_table_does_not_allow_has_it_laid_anew(peer: Peer) -> None:
    tasks = peer.collect(String, "/sim/task", LATCHED)
    command = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "say", "press the blue button"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=DISCOVERY)
    assert said.stdout.startswith("laid push_buttons with seed"), said.stdout + said.stderr
    peer.await_that(lambda: [task.data for task in tasks][-1:] == ["push_buttons"])
    success = peer.collect(Bool, "/sim/success", LATCHED)
    assert peer.await_that(lambda: success)[-1].data is False


@pytest.mark.usefixtures("stack")
def test_the_table_can_be_laid_by_hand_and_says_what_it_cannot(peer: Peer) -> None:
    response = peer.call(ResetWorld, "/sim/reset", task="put_item_in_bowl", seed=4)
    assert response.success
    assert response.task == "put_item_in_bowl"
    assert response.instruction
    refused = peer.call(ResetWorld, "/sim/reset", task="juggle", seed=4)
    assert not refused.success
    assert "stack_blocks" in refused.message


@pytest.mark.usefixtures("stack")
def test_an_arm_that_leaps_as_the_table_is_laid_anew_after_a_motion_is_not_stopped(peer: Peer) -> None:
    move = "/mini_diffuser/move_to_keyframe"

    def is_left() -> bool:
        """A motion under way when the table was laid before has been aborted, and waits for a resume."""
        peer.resume()
        return bool(peer.execute(MoveToKeyframe, move, candidates=[LEFT]).success)

    peer.await_that(is_left)
    stopped = peer.collect(Bool, "/mini_diffuser/stopped", LATCHED)
    states = peer.collect(JointState, "/joint_states")
    handle = peer.send(MoveToKeyframe, move, candidates=[RIGHT])
    peer.await_that(lambda: any(abs(speed) > 0.2 for state in states[-1:] for speed in state.velocity))
    peer.result_of(handle.cancel_goal_async())
    assert peer.result_of(handle.get_result_async()).result.outcome == MoveToKeyframe.Result.CANCELED
    assert peer.call(ResetWorld, "/sim/reset", task="put_item_in_bowl", seed=5).success
    peer.await_that(lambda: peer.execute(MoveToKeyframe, move, candidates=[LEFT]).success)
    assert {message.data for message in stopped} == {False}


def test_ctrl_c_ends_every_node_in_order_even_in_the_middle_of_a_sentence(
    peer: Peer, stack: dict[str, Process]
) -> None:
    def under_way() -> Any:
        """The end to come of a sentence that waits or moves; all that an untrained policy wants may be refused."""
        peer.resume()
        phases: list[str] = []
        sentence = "stack the red block on the green block"
        handle = peer.send(ExecuteInstruction, EXECUTE, lambda f: phases.append(f.phase), instruction=sentence)
        ended = handle.get_result_async()
        peer.await_that(lambda: {"moving", "waiting"} & set(phases) or ended.done())
        return None if ended.done() else ended

    ended = peer.await_that(under_way)
    told = len(stack["motion"].said())
    for process in stack.values():
        process.signal(signal.SIGINT)
    result = peer.result_of(ended, ANSWER).result
    assert result.outcome == Result.FAILED
    assert result.message.endswith("_node is shutting down")  # policy_node, or before it motion_node
    assert "is not known" not in stack["motion"].said()[told:]  # the joint states last as long as the motion
    deadline = time.monotonic() + DISCOVERY
    codes = {name: process.wait(max(0.1, deadline - time.monotonic())) for name, process in stack.items()}
    assert set(codes.values()) == {0}, {name: stack[name].said()[-2000:] for name, code in codes.items() if code}


@pytest.mark.parametrize(
    ("node", "parameters", "words"),
    [
        ("policy_node", {"checkpoint": "/nowhere"}, ["/nowhere"]),
        ("perception_node", {"max_rate": 0.0}, ["max_rate"]),
        ("perception_node", {"tf_timeout": "soon"}, ["tf_timeout"]),
        ("perception_node", {"robot": "r2d2"}, ["r2d2", "panda"]),
        ("perception_node", {"fusion.voxel_size": -0.01}, ["voxel_size", "-0.01"]),
    ],
)
def test_a_node_that_cannot_start_says_why_in_one_line(
    start: Callable[..., Process], node: str, parameters: dict[str, Any], words: list[str]
) -> None:
    process = start(node, **parameters)
    assert process.wait(DISCOVERY) == 1
    last = process.said().strip().splitlines()[-1]
    assert all(word in last for word in words), last
    assert "Traceback" not in process.said()
