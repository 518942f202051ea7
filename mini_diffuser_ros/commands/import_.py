"""``mini-diffuser import``: demonstrations in a format of others, or in bags, into recordings of ours."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import namespace
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.bags.kinds import is_bag
from mini_diffuser_ros.data.bags.reader import bags_in
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.incoming import IncomingFolder
from mini_diffuser_ros.data.exchange.lerobot_layout import is_lerobot
from mini_diffuser_ros.data.exchange.lerobot_source import lerobot_episodes
from mini_diffuser_ros.support.files import output_folder

if TYPE_CHECKING:
    from mini_diffuser_ros.nodes.bags.demonstrations import BagRequest

OF_BAGS = ("instruction", "task", "cell", "cameras", "namespace", "tool_pose", "cut_off")


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if every episode of a LeRobotDataset was skipped."""
    values = _parsed(arguments)
    with output_folder(values.destination, "destination"):
        return _import(values)


def _import(values: argparse.Namespace) -> int:
    if is_lerobot(values.path):
        _refuse_others(values, OF_BAGS, "a bag")
        return _import_lerobot(values)
    if is_bag(values.path):
        _refuse_others(values, ("mapping",), "a LeRobotDataset")
        return _import_bag(values)
    raise DataError(
        f"{values.path}: holds nothing that can be imported, expected a LeRobotDataset (meta/info.json) or a bag (MCAP)"
    )


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = CommandParser(
        "import",
        description="Read demonstrations in a format of others, or in bags, into recordings of ours. An episode that is"
        " there with the same content is not added again.",
    )
    parser.add_argument(
        "path",
        type=Path,
        help="the directory of a LeRobotDataset v3, an MCAP file, the directory of a rosbag2 bag, or one of MCAP "
        "files of record:=bag, each a bag of its own",
    )
    parser.add_argument("destination", type=Path, help="folder of recordings to add to, made if missing")
    parser.add_argument(
        "--robot", help="its description, by name or folder (default: the one that the data or the cell name)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="go on after a bad episode and list it at the end")
    data = parser.add_argument_group("LeRobotDataset")
    data.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="YAML: what data that are not ours do not say of themselves; without it, what is missing is listed",
    )
    bags = parser.add_argument_group("bags")
    bags.add_argument(
        "--instruction",
        metavar="SENTENCE",
        help="what the arm was led to do by hand: the whole bag is one episode, with a keyframe where the arm rests or "
        "the gripper changes. Without it, each sentence that the stack obeyed is one",
    )
    bags.add_argument("--task", help="name of the task (default: the simulated one, or the words of the sentence)")
    bags.add_argument("--cell", type=Path, metavar="FILE", help="where it was recorded: robot, cameras, lenses, places")
    bags.add_argument(
        "--cameras",
        nargs="+",
        metavar="NAME",
        help="default: those of the cell, else all in the bag; NAME=/BEGIN where its topics begin otherwise",
    )
    bags.add_argument(
        "--namespace", type=namespace, metavar="NAME", help="of the arm and its cameras, where the bag has several"
    )
    bags.add_argument(
        "--tool-pose",
        choices=("tf", "joints"),
        help="where the tool's pose is from; joints where the bag has no TF of the arm (default: tf)",
    )
    bags.add_argument(
        "--cut-off", action="store_true", default=None, help="take a bag that ends early as far as it goes"
    )
    return parser.parse_args(arguments)


def _refuse_others(values: argparse.Namespace, names: tuple[str, ...], kind: str) -> None:
    """Refuse options that mean nothing for what is imported."""
    for name in names:
        if getattr(values, name) is not None:
            raise DataError(f"--{name.replace('_', '-')} is for {kind}, which {values.path} is not: leave it out")


def _import_lerobot(values: argparse.Namespace) -> int:
    readings = list(lerobot_episodes(values.path, values.robot, values.mapping))
    added, faults = 0, []
    grips: set[bool] = set()
    with IncomingFolder(values.destination) as into:
        for read in tqdm(readings, desc="importing", unit="episode", disable=None):
            try:
                incoming = read()
                added += into.add(incoming) is not None
                grips.update(keyframe.gripper_open for keyframe in incoming.episode.keyframes)
            except DataError as error:
                if not values.skip_bad:
                    raise DataError(f"{error} (--skip-bad goes on)") from error
                faults.append(str(error))
    _tell(added, len(readings), len(readings) - added - len(faults), values.destination)
    for fault in faults:
        sys.stderr.write(f"skipped {fault}\n")
    if len(grips) == 1:
        always = "open" if grips.pop() else "closed"
        sys.stderr.write(f"the gripper is {always} at every keyframe: are its feature, column and threshold right?\n")
    return 1 if readings and len(faults) == len(readings) else 0


def _import_bag(values: argparse.Namespace) -> int:
    try:
        from mini_diffuser_ros.nodes.bags.demonstrations import BagRequest
    except ModuleNotFoundError as error:
        raise DataError(f"the messages in a bag need ROS 2 ({error}): source its setup.bash") from error
    from mini_diffuser_ros.cell import read_cell

    request = BagRequest(
        instruction=values.instruction,
        task=values.task or "",
        cell=None if values.cell is None else read_cell(values.cell),
        robot=values.robot or "",
        cameras={name: place for name, _, place in (one.partition("=") for one in values.cameras or ())},
        namespace=values.namespace,
        tool_pose=values.tool_pose or "tf",
        cut_off=bool(values.cut_off),
        skip_bad=values.skip_bad,
    )
    bags = bags_in(values.path)
    with IncomingFolder(values.destination) as into:
        if len(bags) == 1:
            _import_one(bags[0], into, request, values.destination)
            return 0
        became = [_import_among_others(bag, into, request, values.destination) for bag in bags]
    if not any(became):
        raise DataError(f"{values.path}: none of its {len(bags)} bags became an episode")
    return 0


def _import_among_others(bag: Path, into: IncomingFolder, request: BagRequest, destination: Path) -> bool:
    """Import one of several bags, and tell; returns whether it gave anything.

    Raises:
        DataError: as of ``import_bag``, unless such bags are to be skipped.
    """
    from mini_diffuser_ros.nodes.bags.demonstrations import NoEpisodeError

    sys.stdout.write(f"{bag}:\n")
    sys.stdout.flush()
    try:
        _import_one(bag, into, request, destination)
    except NoEpisodeError as error:
        sys.stderr.write(f"left out {error}\n")
        return False
    except DataError as error:
        if not request.skip_bad:
            said = "" if "--skip-bad" in str(error) else " (--skip-bad goes on)"
            raise DataError(f"{error}{said}") from error
        sys.stderr.write(f"skipped {error}\n")
        return False
    return True


def _import_one(bag: Path, into: IncomingFolder, request: BagRequest, destination: Path) -> None:
    from mini_diffuser_ros.nodes.bags.demonstrations import import_bag

    with tqdm(desc="importing", unit=" s of the bag", disable=None, bar_format="{desc}: {n:.1f}{unit}") as bar:
        outcome = import_bag(bag, into, request, lambda seconds: bar.update(seconds - bar.n))
    for line in outcome.left_out:
        sys.stderr.write(f"left out {line}\n")
    for line in outcome.faulty:
        sys.stderr.write(f"skipped {line}\n")
    for line in outcome.notes:
        sys.stderr.write(f"{line}\n")
    added, lost = len(outcome.added), len(outcome.left_out) + len(outcome.faulty)
    _tell(added, added + outcome.there + lost, outcome.there, destination)


def _tell(added: int, count: int, there: int, destination: Path) -> None:
    said = f", {there} were there already" if there else ""
    sys.stdout.write(f"added {added} of {count} episodes to {destination}{said}\n")
