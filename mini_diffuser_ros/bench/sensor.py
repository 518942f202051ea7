"""Success of a policy against errors of the cameras and against which cameras there are, as JSON and as a plot.

    mini-diffuser bench sensor models/tabletop --episodes 20 --out docs/results/sensor

Layouts, and the errors that are drawn with them, are the same for each policy. Intervals are Wilson's, 95 %, over the
episodes of all tasks. A run that is interrupted goes on: what the JSON file of the same settings holds is not
measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, between, positional, read_by
from mini_diffuser_ros.bench.plotting import pyplot
from mini_diffuser_ros.evaluation import EpisodeResult, wilson_interval
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, tabletop_trials
from mini_diffuser_ros.evaluation.world_episodes import run_world_trial
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.workers import map_in_workers

ALL = TabletopProtocol().cameras


@dataclass(frozen=True, kw_only=True)
class SensorSetting:
    """What is evaluated how often, and where the figures go.

    Attributes:
        checkpoint: directory of the policy.
        label: of it in the plot; by default its directory.
        sensor: kind of the cameras, as d435.
        scales: factors of the sensor's errors, each with all cameras.
        subsets: measure every subset of the cameras, too.
        subset_scale: factor of the errors for those.
        fusion: changes of the fusion that the policy was trained with, as 'level_reach=0.06 table_spreads=3'.
        episodes: of each task.
        seed: of the first layout.
        workers: processes.
        also: draw these results, JSON files, too.
        out: files to write, without .json and .png.
    """

    checkpoint: str = positional()
    label: str = ""
    sensor: str = "d435"
    scales: tuple[float, ...] = read_by(between(0.0, 100.0), (0.0, 1.0, 2.0, 3.0))
    subsets: bool = False
    subset_scale: float = read_by(between(0.0, 100.0), 1.0)
    fusion: str = ""
    episodes: int = at_least(1, 20)
    seed: int = at_least(0, 300000)
    workers: int = at_least(1, 1)
    also: tuple[Path, ...] = ()
    out: Path

    def protocols(self) -> Iterator[tuple[float, TabletopProtocol]]:
        """The evaluations, each with the scale of its errors."""
        wanted = [(scale, ALL) for scale in self.scales]
        if self.subsets:
            wanted += [(self.subset_scale, chosen) for size in (3, 2, 1) for chosen in combinations(ALL, size)]
        for scale, cameras in dict.fromkeys(wanted):
            line = str(sensor_of(f"{self.sensor} scale={scale}"))
            yield (
                scale,
                TabletopProtocol(
                    episodes=self.episodes, seed=self.seed, sensor=line, cameras=cameras, fusion=self.fusion
                ),
            )


def measure_sensor(settings: Sequence[SensorSetting]) -> Iterator[dict[str, Any]]:
    """One row an evaluation; files are written after each, drawn at the end."""
    pyplot()
    for setting in settings:
        label = setting.label or setting.checkpoint
        file = setting.out.with_suffix(".json")
        rows = [row for other in setting.also for row in json.loads(other.read_text(encoding="utf-8"))]
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        for scale, protocol in setting.protocols():
            about = {
                "label": label,
                "sensor": protocol.sensor,
                "scale": scale,
                "cameras": list(protocol.cameras),
                "fusion": protocol.fusion,
                "seed": protocol.seed,
            }
            row = next((one for one in known if _is_of(one, about, protocol)), None)
            if row is None:
                row = {**about, **_measured(setting, protocol)}
            rows.append(row)
            yield row
            lines = ",\n".join(json.dumps(one) for one in rows)
            write_whole(file, f"[\n{lines}\n]\n")
        plot(rows, setting.out.with_suffix(".png"))


def _is_of(row: dict[str, Any], about: dict[str, Any], protocol: TabletopProtocol) -> bool:
    counted = {task: figures["episodes"] for task, figures in row["tasks"].items()}
    return about.items() <= row.items() and counted == dict.fromkeys(protocol.tasks, protocol.episodes)


def _measured(setting: SensorSetting, protocol: TabletopProtocol) -> dict[str, Any]:
    trials = tabletop_trials(setting.checkpoint, protocol)
    done = map_in_workers(run_world_trial, trials, setting.workers)
    bar = tqdm(done, total=len(trials), desc=f"{protocol.sensor}, {len(protocol.cameras)} cameras", unit="episode")
    results = list(bar)
    return {**_rate(results), "tasks": {t: _rate([one for one in results if one.task == t]) for t in protocol.tasks}}


def _rate(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    successes = sum(result.success for result in results)
    interval = wilson_interval(successes, len(results))
    return {"success": successes / len(results), "interval": list(interval), "episodes": len(results)}


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Success against the scale of the errors, and for each set of cameras."""
    plt = pyplot()
    figure, (against_scale, of_cameras) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    labels = list(dict.fromkeys(row["label"] for row in rows))
    subsets = list(dict.fromkeys(tuple(row["cameras"]) for row in rows))
    for number, label in enumerate(labels):
        mine = [row for row in rows if row["label"] == label]
        full = sorted((row for row in mine if tuple(row["cameras"]) == ALL), key=lambda row: float(row["scale"]))
        _bars(against_scale, [row["scale"] + 0.03 * number for row in full], full, f"C{number}", label, "-")
        partial = [row for row in mine if tuple(row["cameras"]) != ALL]
        if partial:
            partial += [row for row in full if row["scale"] == partial[0]["scale"]]
        places = [subsets.index(tuple(row["cameras"])) + 0.15 * number for row in partial]
        _bars(of_cameras, places, partial, f"C{number}", label, "")
    against_scale.set(xlabel="scale of the errors (1: D435, 5 mm, 1 degree)", ylabel="success", ylim=(-0.03, 1.03))
    against_scale.legend(fontsize=8)
    of_cameras.set(ylim=(-0.03, 1.03), title="by cameras")
    of_cameras.set_xticks(range(len(subsets)), ["\n".join(names) for names in subsets], fontsize=7)
    for axis in (against_scale, of_cameras):
        axis.grid(alpha=0.3)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)
    plt.close(figure)


def _bars(
    axis: Any, places: Sequence[float], rows: Sequence[dict[str, Any]], color: str, label: str, line: str
) -> None:
    if rows:
        values = [row["success"] for row in rows]
        below = [max(value - row["interval"][0], 0.0) for value, row in zip(values, rows, strict=True)]
        above = [max(row["interval"][1] - value, 0.0) for value, row in zip(values, rows, strict=True)]
        axis.errorbar(places, values, [below, above], fmt=line + "o", color=color, capsize=3, markersize=4, label=label)


BENCHMARK = Benchmark(SensorSetting, measure_sensor, __doc__)
