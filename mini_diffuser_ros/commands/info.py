"""``mini-diffuser info``: what a set of demonstrations holds, and pictures of it; or what a policy was trained on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import trange

from mini_diffuser_ros.commands.arguments import add_source_arguments, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.data.summary import (
    CloudSummary,
    TaskSummary,
    draw_episode,
    spread,
    summarise_clouds,
    summarise_tasks,
)
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, Checkpoint, read_checkpoint
from mini_diffuser_ros.policy.knowledge.facts import ignorance
from mini_diffuser_ros.records import Episode, Provenance
from mini_diffuser_ros.support.drawing import shown_metres
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import make_writable

_CLOUDS_OF = 20  # Episodes whose clouds are fused for the extents; all would take minutes.


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser("info", description="Summarise demonstrations of any kind, or a policy directory.")
    add_source_arguments(parser)
    parser.add_argument("--skip-bad", action="store_true", help="go on after a bad episode and list it at the end")
    parser.add_argument(
        "--show", type=whole_number_from(0), default=5, metavar="N", help="sentences to show of each task"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="DIR", help="write pictures of the clouds with the gripper in them"
    )
    parser.add_argument(
        "--plot-episodes", type=whole_number_from(0), default=2, metavar="N", help="episodes of each task to draw"
    )
    values = parser.parse_args(arguments)
    if (values.path / CONFIG_FILE).is_file():
        checkpoint = read_checkpoint(values.path)
        _check_files(values.path, checkpoint)
        sys.stdout.write(_policy_report(checkpoint, values.show, str(values.path)))
        return 0
    opened = open_episodes(values.path, sentences=values.sentences)
    if values.plot is not None:
        make_writable(values.plot, "--plot")
    episodes, faults = _readable(opened, values.skip_bad)
    sys.stdout.write(_report(episodes, values.show))
    if values.plot is not None:
        try:
            _plot(episodes, values.plot, values.plot_episodes)
        except OSError as error:
            raise UserError(f"cannot write pictures to {values.plot}: {error.strerror or error}") from error
    for fault in faults:
        sys.stderr.write(f"skipped {fault}\n")
    return 0


def _readable(opened: Episodes, skip_bad: bool) -> tuple[list[Episode], list[str]]:
    """The episodes, and what is wrong with those that cannot be read."""
    episodes, faults = [], []
    for index in trange(len(opened), desc="reading", unit="episode", disable=None):
        try:
            episodes.append(opened[index])
        except DataError as error:
            if not skip_bad:
                raise
            faults.append(str(error))
    if not episodes:
        raise DataError(f"none of {len(opened)} episodes can be read; the first: {faults[0]}")
    return episodes, faults


def _report(episodes: Sequence[Episode], sentences: int) -> str:
    tasks = summarise_tasks(episodes)
    keyframes = sum(len(episode.keyframes) for episode in episodes)
    world = Provenance.of_all(episode.provenance for episode in episodes)
    lines = [f"{len(episodes)} episodes, {keyframes} keyframes, {len(tasks)} tasks", f"made in: {world}"]
    for name, task in tasks.items():
        lines += _task_lines(name, task, sentences)
    lines += _cloud_lines(summarise_clouds(episodes, _CLOUDS_OF))
    return "\n".join(lines) + "\n"


def _check_files(folder: Path, checkpoint: Checkpoint) -> None:
    """Vouch for nothing that cannot be used: the weights have their digest, and the knowledge can be read.

    Without torch, with which nothing could be loaded, neither is looked at.

    Raises:
        CheckpointError: they are missing, damaged, of another policy, or do not fit what config.json says of them.
    """
    if find_spec("torch") is None:
        return
    from mini_diffuser_ros.policy.knowledge.knowledge import read_knowledge
    from mini_diffuser_ros.policy.weights import read_content

    read_content(folder, checkpoint.weights_sha256)
    read_knowledge(folder, checkpoint)


def _policy_report(checkpoint: Checkpoint, sentences: int, path: str) -> str:
    fusion = checkpoint.fusion
    box = "clouds of unknown making" if fusion is None else f"clouds in {fusion.workspace}, {fusion.frame}"
    lines = [
        f"policy of format {checkpoint.format_version}, weights {checkpoint.weights_sha256[:12]}",
        f"trained in: {checkpoint.world}",
        *([f"started from weights {checkpoint.started_from[:12]}"] if checkpoint.started_from else []),
        box,
    ]
    for task, known in checkpoint.tasks.items():
        lines += [f"{task}: {len(known)} sentences", *(f"    {sentence}" for sentence in spread(known, sentences))]
    return "\n".join([*lines, *knowledge_lines(checkpoint, path)]) + "\n"


def knowledge_lines(checkpoint: Checkpoint, path: str) -> list[str]:
    """What a policy knows about itself, with what each threshold refuses, and what it does not know."""
    facts = checkpoint.knowledge
    lines = []
    for name, part in facts.parts.items() if facts is not None else ():
        lines += [f"knows its {name}, {part.learned_from}"]
        lines += [f"    {what}: below {threshold}" for what, threshold in part.thresholds.items()]
    missing = ignorance(facts, path)
    return [*lines, missing] if missing else lines


def _task_lines(name: str, task: TaskSummary, sentences: int) -> list[str]:
    lengths = ", ".join(f"{count} x {length}" for length, count in sorted(task.lengths.items()))
    more = len(task.sentences) - sentences
    return [
        f"{name}: {task.episodes} episodes, {task.variations} variations",
        f"    keyframes an episode: {lengths}",
        f"    end effector {_box(task.poses_low, task.poses_high)}",
        f"    {len(task.sentences)} sentences",
        *(f"        {sentence}" for sentence in task.sentences[:sentences]),
        *([f"        ... and {more} more"] if more > 0 else []),
    ]


def _cloud_lines(clouds: CloudSummary) -> list[str]:
    fewest, median, most = clouds.points
    return [
        f"clouds (of {clouds.clouds} keyframes): {fewest:.0f} to {most:.0f} points, median {median:.0f}",
        f"    {_box(clouds.low, clouds.high)}",
    ]


def _box(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    extents = (f"{axis} {shown_metres(a)} to {shown_metres(b)}" for axis, a, b in zip("xyz", low, high, strict=True))
    return ", ".join(extents) + " m"


def _plot(episodes: Sequence[Episode], folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for task in sorted({episode.task for episode in episodes}):
        for episode in spread([episode for episode in episodes if episode.task == task], count):
            file = folder / f"{episode.source.replace('/', '-')}.png"
            draw_episode(episode).save(file)
            sys.stdout.write(f"drew {file}\n")
