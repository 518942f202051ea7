"""The decisions of the policy in a bag, each with the cloud that it was made on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini_diffuser_msgs.msg import KeyframeModes
from sensor_msgs.msg import PointCloud2

from mini_diffuser_ros.data.bags.reader import read_bag
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.nodes.bags.message_types import message_of, type_name
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError, cloud_from_message, mode_from_message, seconds
from mini_diffuser_ros.policy.arithmetic import Arithmetic
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.running.recorded_decision import RecordedDecision, cloud_digest

MODES_TOPIC = "mini_diffuser/modes"
MOST_DECISIONS = 10_000  # each keeps its cloud in memory


@dataclass(frozen=True)
class DecisionInBag:
    """What a bag holds of a decision.

    Attributes:
        stamp: nanoseconds, when it was recorded.
        sentence: that was obeyed.
        checkpoint: digest of the checkpoint that decided.
        cloud: digest of the cloud that was looked at.
        cloud_stamp: seconds, of that cloud.
        namespace: of the stack, e.g. ``/left``; empty for none.
        decision: all of it; None if the bag does not hold the cloud that it was made on.
    """

    stamp: int
    sentence: str
    checkpoint: str
    cloud: str
    cloud_stamp: float
    namespace: str
    decision: RecordedDecision | None


def recorded_decisions(path: Path, cut_off: bool = False) -> list[DecisionInBag]:
    """The decisions in a bag of one of our runs, whoever recorded it, in their order; none if it holds none.

    They are known by their type and clouds by their digests, so that no name matters.

    Args:
        path: as of ``read_bag``.
        cut_off: as of ``read_bag``.

    Raises:
        DataError: as of ``read_bag``; or messages are of another version of the package than this.
    """
    told = []
    for message in read_bag(path, types={type_name(KeyframeModes)}, cut_off=cut_off):
        told.append((message, message_of(message)))
        if len(told) > MOST_DECISIONS:
            raise DataError(f"{path}: holds more than {MOST_DECISIONS} decisions; cut it into parts")
    clouds = _clouds(path, [modes for _, modes in told], cut_off)
    return [
        DecisionInBag(
            message.stamp,
            modes.instruction,
            modes.checkpoint,
            modes.cloud,
            seconds(modes.header.stamp),
            message.channel.topic.removesuffix(f"/{MODES_TOPIC}"),
            _decision(modes, clouds.get(modes.cloud)),
        )
        for message, modes in told
    ]


def _clouds(path: Path, looked_at: list[Any], cut_off: bool) -> dict[str, Cloud]:
    """Digest to cloud, of those that were looked at."""
    digests = {modes.cloud for modes in looked_at}
    found: dict[str, Cloud] = {}
    for message in read_bag(path, types={type_name(PointCloud2)}, cut_off=cut_off):
        if len(found) == len(digests):
            break
        try:
            cloud = cloud_from_message(message_of(message))
        except MalformedMessageError:
            continue  # somebody else's
        if (digest := cloud_digest(cloud)) in digests:
            found[digest] = cloud
    return found


def _decision(modes: Any, cloud: Cloud | None) -> RecordedDecision | None:
    if cloud is None:
        return None
    return RecordedDecision(
        cloud=cloud,
        sentence=modes.instruction,
        seed=modes.seed,
        samples=modes.samples,
        steps=modes.steps,
        checkpoint=modes.checkpoint,
        arithmetic=Arithmetic(modes.device, modes.threads, modes.library),
        modes=tuple(mode_from_message(mode) for mode in modes.modes),
    )
