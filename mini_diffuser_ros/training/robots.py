"""Whether all that a policy is made of is of one robot, and given in one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.training.demonstrations import SurveyedEpisode


def robot_faults(
    episodes: Sequence[SurveyedEpisode], policies: Mapping[str, Sequence[str]] | None = None, cell: str = ""
) -> Iterator[str]:
    """What is of another robot or frame than the rest; who does not say a robot is of any.

    Args:
        episodes: new and old ones.
        policies: name of a policy to the robots that it was trained with; one of several, made before that
            was refused, is of each of them.
        cell: file of the cell; empty for none.
    """
    robots: dict[str, list[str]] = {}
    for episode in episodes:
        robots.setdefault(_named(episode.world.robots), []).append(episode.stored.source)
    for policy, names in (policies or {}).items():
        if len(names) < 2 or not set(names) >= {name for episode in episodes for name in episode.world.robots}:
            robots.setdefault(_named(names), []).append(f"the policy {policy}")
    frames: dict[str, list[str]] = {}
    for episode in episodes:
        frames.setdefault(episode.frame, []).append(episode.stored.source)
    if cell:
        robot = read_cell(cell).robot
        robots.setdefault(Path(robot).name, []).append(f"data.cell {cell}")
        frames.setdefault(load_robot(robot).base_frame, []).append(f"data.cell {cell}")
    robots.pop("", None)
    frames.pop("", None)
    if len(robots) > 1:
        yield f"{_counted(robots, 'robots')}: one policy is of one robot: train on those of one"
    elif len(frames) > 1:  # robots have frames of their own
        yield f"{_counted(frames, 'frames')}: poses of one are not poses of the other"


def _named(robots: Iterable[str]) -> str:
    return " and ".join(sorted(robots))


def _counted(values: Mapping[str, Sequence[str]], what: str) -> str:
    ordered = sorted(values.items(), key=lambda item: -len(item[1]))
    parts = [f"{value} in {places[0] if len(places) == 1 else f'{len(places)} episodes'}" for value, places in ordered]
    return f"{len(values)} {what}: {'; '.join(parts)} (first {ordered[-1][0]} in {ordered[-1][1][0]})"
