"""Decisions of a bag come out the same to the bit, or it is said which does not, and by which checkpoint they can."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mini_diffuser_msgs.msg import KeyframeModes
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.reader import BagMessage
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.nodes.bags.message_types import definition_of, message_of, type_name
from mini_diffuser_ros.nodes.ros.messages import cloud_from_message, cloud_to_message, mode_to_message
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy, load_policy, save_policy
from mini_diffuser_ros.policy.arithmetic import arithmetic_of
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.running.recorded_decision import cloud_digest

pytest.importorskip("mcap.writer")
Altering = Callable[[KeyframeModes], None]
SENTENCE = "press the red button"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "untrained"
    torch.manual_seed(0)
    save_policy(MiniDiffuser(MiniDiffuserConfig.small()), folder)
    return folder


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> Policy:
    return load_policy(checkpoint)


def seen(number: int) -> Cloud:
    """The cloud of a moment."""
    noise = np.random.default_rng(number)
    points = noise.uniform((0.3, -0.2, 0.0), (0.7, 0.2, 0.2), (200, 3)).astype(np.float32)
    return Cloud(points, noise.integers(0, 255, (200, 3), np.uint8), "panda_link0", 1.8e9 + number / 3)


def told(policy: Policy, checkpoint: Path, cloud: Cloud, seed: int) -> KeyframeModes:
    """What policy_node says of a decision."""
    arithmetic = arithmetic_of(policy.device)
    modes = policy.decide(cloud, SENTENCE, samples=8, steps=2, seed=seed)
    return KeyframeModes(
        header=Header(frame_id=cloud.frame),
        instruction=SENTENCE,
        modes=[mode_to_message(mode) for mode in modes],
        seed=seed,
        samples=8,
        steps=2,
        cloud=cloud_digest(cloud),
        checkpoint=read_checkpoint(checkpoint).digest(),
        device=arithmetic.device,
        threads=arithmetic.threads,
        library=arithmetic.library,
    )


@pytest.fixture
def record(policy: Policy, checkpoint: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a bag of two decisions, the second of which is altered as its caller likes."""

    def write(alter: Altering = lambda _: None, clouds: Sequence[int] = (1, 2)) -> Path:
        bag = BagWriter(tmp_path / "run.mcap", {})

        def add(topic: str, message: object) -> None:
            kind = type(message)
            bag.add(Channel(topic, type_name(kind), definition_of(kind), ""), serialize_message(message), 10**18)

        for number in (1, 2):
            cloud = cloud_to_message(seen(number))
            if number in clouds:
                add("/left/mini_diffuser/cloud", cloud)
            modes = told(policy, checkpoint, cloud_from_message(cloud), seed=number)
            if number == 2:
                alter(modes)
            add("/left/mini_diffuser/modes", modes)
        bag.close()
        return bag.path

    return write


def test_what_was_decided_comes_out_again(
    record: Callable[..., Path], checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", str(record()), "--checkpoint", str(checkpoint)]) == 0
    assert "2 of 2 decisions come out the same to the bit" in capsys.readouterr().out


EARLIER_DEFINITION = """\
std_msgs/Header header
string instruction
KeyframeMode[] modes
int64 seed
uint32 samples
uint32 steps
string cloud
string checkpoint
string device
uint32 threads
string library
{separator}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{separator}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
{separator}
MSG: mini_diffuser_msgs/KeyframeMode
geometry_msgs/Pose pose
bool gripper_open
bool terminate
float32 share
float32 spread
{separator}
MSG: geometry_msgs/Pose
geometry_msgs/Point position
geometry_msgs/Quaternion orientation
{separator}
MSG: geometry_msgs/Point
float64 x
float64 y
float64 z
{separator}
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w
""".format(separator="=" * 80)
"""Of KeyframeModes, before it said what the policy knows of sentence and scene."""


@pytest.mark.parametrize("library", ["torch", "torch 2", "torch 2.", "torch 2.1"])
def test_a_bag_of_an_earlier_version_is_decided_again(
    library: str, policy: Policy, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = BagWriter(tmp_path / "earlier.mcap", {})
    cloud = cloud_to_message(seen(1))
    kind = type(cloud)
    bag.add(Channel("/cloud", type_name(kind), definition_of(kind), ""), serialize_message(cloud), 10**18)
    modes = told(policy, checkpoint, cloud_from_message(cloud), seed=1)
    modes.library = library
    channel = Channel("/modes", type_name(KeyframeModes), EARLIER_DEFINITION, "")
    earlier = serialize_message(modes)[:-16]  # without three numbers and the number of what there is of each mode
    bag.add(channel, earlier, 10**18)
    bag.close()
    assert main(["decide", str(bag.path), "--checkpoint", str(checkpoint)]) == 0
    assert "1 of 1 decisions come out the same" in capsys.readouterr().out
    read = message_of(BagMessage(channel, earlier, 0))
    assert all(math.isnan(number) for number in (read.familiarity, read.presence, read.completion))
    assert list(read.sureness) == []


def move_by_a_bit(modes: KeyframeModes) -> None:
    modes.modes[0].pose.position.x = np.nextafter(modes.modes[0].pose.position.x, 1.0)


def close_the_gripper(modes: KeyframeModes) -> None:
    modes.modes[0].gripper_open = not modes.modes[0].gripper_open


def believe_more(modes: KeyframeModes) -> None:
    modes.modes[0].share = float(np.nextafter(np.float32(modes.modes[0].share), np.float32(2.0)))


def draw_others(modes: KeyframeModes) -> None:
    modes.seed += 1
    modes.library = "torch of another machine"


def forget_one(modes: KeyframeModes) -> None:
    modes.modes = modes.modes[:-1]


def say_nothing(modes: KeyframeModes) -> None:
    modes.instruction = ""


def draw_too_many(modes: KeyframeModes) -> None:
    modes.samples = 2**32 - 1


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (move_by_a_bit, "mode 1: its pose is"),
        (close_the_gripper, "mode 1: gripper_open was"),
        (believe_more, "mode 1: share was"),
        (draw_others, "it was computed by cpu, "),
        (forget_one, "modes instead of"),
        (say_nothing, "cannot decide"),
        (draw_too_many, "4294967295"),
    ],
)
def test_what_was_not_decided_so_is_told(
    alter: Altering,
    words: str,
    record: Callable[..., Path],
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["decide", str(record(alter)), "--checkpoint", str(checkpoint)]) == 1
    first, second, end = capsys.readouterr().out.splitlines()
    assert first.endswith("the same to the bit")
    assert words in second
    assert end == "1 of 2 decisions come out the same to the bit"


def test_a_cloud_that_is_not_there_is_told(
    record: Callable[..., Path], checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", str(record(clouds=(2,))), "--checkpoint", str(checkpoint)]) == 1
    assert "does not hold the cloud" in capsys.readouterr().out.splitlines()[0]


def test_another_checkpoint_is_refused_by_its_digest(
    record: Callable[..., Path], checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    save_policy(MiniDiffuser(MiniDiffuserConfig.small()), tmp_path / "other")
    assert main(["decide", str(record()), "--checkpoint", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert read_checkpoint(checkpoint).digest()[:12] in said
    assert read_checkpoint(tmp_path / "other").digest()[:12] in said


def test_a_bag_that_ends_early_is_refused_unless_asked_for(
    record: Callable[..., Path], checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = record()
    bag.write_bytes(bag.read_bytes()[:-3000])
    assert main(["decide", str(bag), "--checkpoint", str(checkpoint)]) == 2
    assert "is cut off" in capsys.readouterr().err
    assert main(["decide", str(bag), "--checkpoint", str(checkpoint), "--cut-off"]) == 2
    assert "holds no decision" in capsys.readouterr().err
