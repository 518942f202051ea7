"""``mini-diffuser decide``: make the decisions of a recorded bag again, and say whether every bit is the same."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache, partial
from pathlib import Path

import torch
from ament_index_python.packages import get_package_share_directory

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.bags.reader import bags_in
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.nodes.bags.clouds_of_images import CloudsOfImages, RecordedCell
from mini_diffuser_ros.nodes.bags.recorded_decisions import DecisionInBag, recorded_decisions
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.policy.arithmetic import arithmetic_of
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.policy.errors import PolicyError
from mini_diffuser_ros.policy.policy import checked_device
from mini_diffuser_ros.running.recorded_decision import differences
from mini_diffuser_ros.support.errors import UserError, one_line

MOST_THREADS = 64


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if a decision does not come out as it was."""
    parser = CommandParser("decide", description=__doc__)
    parser.add_argument(
        "bags",
        type=Path,
        nargs="+",
        metavar="bag",
        help="an MCAP file of record:=bag, a folder of such, or the folder of 'ros2 bag record -a'",
    )
    parser.add_argument("--checkpoint", metavar="DIR", help="the policy that decided (default: the shipped one)")
    parser.add_argument("--device", help="where to compute (default: as it was: cpu or cuda)")
    parser.add_argument("--from-images", action="store_true", help="make each cloud again, too, of the images")
    parser.add_argument("--cell", type=Path, metavar="FILE", help="with --from-images: with the lenses of the cameras")
    parser.add_argument("--cut-off", action="store_true", help="take what there is of a bag that ends early")
    values = parser.parse_args(arguments)
    bags = [bag for path in values.bags for bag in bags_in(path)]
    checkpoint = values.checkpoint or os.path.join(
        get_package_share_directory("mini_diffuser_ros"), "models", "tabletop"
    )
    load = cache(partial(load_policy, checkpoint))  # once for all bags of a device
    same = count = 0
    for bag in bags:
        if len(bags) > 1:
            sys.stdout.write(f"{bag}:\n")
        found = recorded_decisions(bag, values.cut_off)
        if not found and len(bags) > 1:
            sys.stdout.write("holds no decision\n")
            continue
        same += _decide_again(bag, found, checkpoint, load, values)
        count += len(found)
    if not count:
        raise DataError(f"{', '.join(map(str, values.bags))}: no decision in any bag there")
    sys.stdout.write(f"{same} of {count} decisions come out the same to the bit\n")
    return 0 if same == count else 1


def _decide_again(
    bag: Path,
    found: list[DecisionInBag],
    checkpoint: str,
    load: Callable[[torch.device], Policy],
    values: argparse.Namespace,
) -> int:
    """Decide as in a bag, and tell; returns how many decisions came out the same.

    Raises:
        UserError: it holds none, those of another checkpoint, or not what is needed; or the device is not there.
    """
    if not found:
        raise DataError(f"{bag}: holds no decision (mini_diffuser_msgs/KeyframeModes)")
    _check_decided_by(checkpoint, found)
    device = values.device or next((one.decision.arithmetic.device for one in found if one.decision), "cpu")
    policy = load(_usable(device))
    made = _made_of_images(bag, values.cell, policy, found, values.cut_off) if values.from_images else None
    same = 0
    for number, one in enumerate(found, start=1):
        problems = list(_problems(policy, one))
        if made is not None and one.cloud not in made:
            problems.append("its cloud does not come out of the images")
        same += not problems
        seconds = (one.stamp - found[0].stamp) / 1e9
        said = "; ".join(problems) or "the same to the bit"
        sys.stdout.write(f"{number} of {len(found)}, {seconds:.1f} s, {one.sentence[:80]!r}: {said}\n")
    return same


def _made_of_images(
    bag: Path, cell: Path | None, policy: Policy, found: list[DecisionInBag], cut_off: bool
) -> Collection[str]:
    """Digests of the clouds that come out of the images to the bit.

    Raises:
        UserError: the bag does not say of which cameras and robot, or the policy not of which fusion.
    """
    if policy.fusion is None:
        raise PolicyError("the checkpoint does not say by which fusion its clouds are made: leave out --from-images")
    recorded = RecordedCell.of_bag(bag, None if cell is None else read_cell(cell))
    wanted = {one.cloud: one.cloud_stamp for one in found}
    return CloudsOfImages(bag, found[0].namespace, recorded, policy.fusion, wanted, cut_off).make()


def _usable(device: str) -> torch.device:
    """The device, if it is on this machine.

    Raises:
        PolicyError: it is not.
    """
    try:
        return checked_device(device)
    except ValueError as error:
        raise PolicyError(f"{error}; with --device cpu decisions come out, but not their last bits") from error


def _check_decided_by(checkpoint: str, found: list[DecisionInBag]) -> None:
    """Refuse to decide by another checkpoint than the one that did.

    Raises:
        PolicyError: naming the digests.
    """
    digest = read_checkpoint(checkpoint).digest()
    others = {one.checkpoint for one in found} - {digest}
    if others:
        raise PolicyError(
            f"the checkpoint {checkpoint} is another one ({digest[:12]}) than that which decided "
            f"({', '.join(sorted(other[:12] for other in others))}); name that by --checkpoint"
        )


def _problems(policy: Policy, one: DecisionInBag) -> Iterator[str]:
    """What is not as it was, in a few words each; nothing if it is the same to the bit."""
    if one.decision is None:
        yield "the bag does not hold the cloud that was looked at"
        return
    was = one.decision.arithmetic
    tune_cpu(min(max(was.threads, 1), MOST_THREADS))
    try:
        differing = differences(policy, one.decision)
    except UserError as error:
        yield one_line(error)
        return
    yield from differing
    if differing and (now := arithmetic_of(policy.device)) != was:
        yield f"it was computed by {was}, here by {now}"
