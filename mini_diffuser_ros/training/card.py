"""The model card of a trained policy: what it was trained on, how, where, and the figures measured at the end."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from mini_diffuser_ros.support.settings import to_mapping
from mini_diffuser_ros.training.checkpoints import TrainingProgress
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.identity import Stage
from mini_diffuser_ros.training.report import Report, as_table
from mini_diffuser_ros.training.start import Start


def model_card(
    config: TrainConfig,
    training: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
    progress: TrainingProgress,
    report: Report,
    parameters: int,
    device: torch.device,
    rows: Sequence[tuple[str, str]] = (),
) -> str:
    """Markdown card, every number of which comes from the run itself.

    Args:
        config: the recipe.
        training: demonstrations trained on.
        held_out: demonstrations only measured on.
        progress: steps and seconds of the run.
        report: validation of the exported weights on the held-out demonstrations, empty if there are none.
        parameters: number of weights of the network.
        device: where it was trained.
        rows: more rows of the table: what it is about and what is said.
    """
    return "\n".join(
        [
            "# Mini Diffuser checkpoint",
            "",
            "Coloured point cloud and sentence to the next keyframe of a gripper.",
            "`load_policy` reads this directory.",
            "",
            "| | |",
            "|---|---|",
            f"| network | {_network(config)}, {parameters:,} parameters |",
            f"| demonstrations | {_counts(training)}; held out: {_counts(held_out)} |",
            f"| data | {_data(progress.stages)} |",
            *(f"| {name} | {said} |" for name, said in rows),
            f"| training | {progress.step:,} steps of {config.batch.scenes} scenes with "
            f"{config.batch.level2} noised actions each, {progress.step * config.batch.scenes:,} scenes in all |",
            f"| time | {_times(progress)} |",
            f"| seed | {config.seed} |",
            f"| machine | {_machine(device, config.shards)} |",
            f"| software | Python {platform.python_version()}, torch {torch.__version__} |",
            "",
            *_going_on(progress),
            "## Held-out demonstrations",
            "",
            _figures(config, report),
            "",
            "## Recipe",
            "",
            "```yaml",
            yaml.safe_dump(to_mapping(_without_places(config)), sort_keys=False).rstrip(),
            "```",
            "",
        ]
    )


def start_rows(
    config: TrainConfig,
    start: Start | None,
    neglected: Sequence[str],
    rehearsed: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
) -> list[tuple[str, str]]:
    """What the card says of the policy that a training started from, and of what that knew.

    Args:
        config: the recipe.
        start: the policy, None if there was none.
        neglected: tasks of it that were not rehearsed.
        rehearsed: old demonstrations that were drawn among the others.
        held_out: old demonstrations only measured on; the policy may have been trained on them before.
    """
    rows = []
    if start is not None:
        kept = f", of which the policy is {config.start_share:.0%}" if config.start_share else ""
        rows.append(("started from", f"{start.name}, weights {start.digest}{kept}"))
    if rehearsed or held_out:
        share = config.rehearsal.share if rehearsed else 0.0
        drawn = f"{_counts(rehearsed)}, in {share:.0%} of the scenes"
        rows.append(("rehearsed", f"{drawn}; held out here, as `(old)` below: {_counts(held_out)}"))
    if neglected:
        rows.append(("not rehearsed", f"{', '.join(neglected)}: known before, and may have been forgotten"))
    return rows


def skipped_rows(skipped: Sequence[str]) -> list[tuple[str, str]]:
    """What the card says of demonstrations that could not be trained on."""
    episodes = "1 episode" if len(skipped) == 1 else f"{len(skipped)} episodes"
    return [("left out", f"{episodes} that cannot be read or trained on")] if skipped else []


def _network(config: TrainConfig) -> str:
    if config.model.preset != "auto":
        return config.model.preset
    return "that of the policy started from" if config.start_from else "small"


def _data(stages: Sequence[Stage]) -> str:
    identity = stages[-1].identity if stages else None
    if identity is None:
        return "not known"
    return f"{len(identity.episodes)} episodes, digest {identity.digest}"


def _going_on(progress: TrainingProgress) -> list[str]:
    """What was learned from what, if it was not the same all the time."""
    stages = progress.stages
    if len(stages) < 2:
        return []
    ends = [*(stage.start for stage in stages[1:]), progress.step]
    lines = [_stage(stage, before, end) for before, stage, end in zip((None, *stages), stages, ends, strict=False)]
    return [
        "## Other data or another recipe on the way",
        "",
        "Training was made to go on (`--continue-anyway`). Recipe and demonstrations on this card are the last ones.",
        "",
        *lines,
        "",
    ]


def _stage(stage: Stage, before: Stage | None, end: int) -> str:
    steps = f"steps {stage.start + 1} to {end}" if end > stage.start else f"no step after {stage.start}"
    line = f"* {steps}: {_data([stage])}"
    if before is None or stage.identity is None:
        return line
    if before.identity is None:
        return f"{line}; what was before is not known"
    return f"{line}; {stage.identity.differences(before.identity)}"


def _figures(config: TrainConfig, report: Report) -> str:
    if not report:
        return "None were held out, so nothing was measured."
    return (
        f"Single decisions against the demonstrator's, {config.validate.samples} hypotheses, "
        f"{config.validate.steps} DDIM steps, most probable mode. `first` and `later` are decision frames, where the "
        "sentence tells the object; `rest` are the others.\n\n" + as_table(report)
    )


def _times(progress: TrainingProgress) -> str:
    phases = progress.phases()
    parts = ", ".join(f"{name} {seconds / 60.0:.1f}" for name, seconds in phases.items())
    return f"{sum(phases.values()) / 60.0:.1f} minutes: {parts}"


def _counts(demonstrations: Sequence[Demonstration]) -> str:
    counts = Counter(demonstration.task for demonstration in demonstrations)
    return ", ".join(f"{count} {task}" for task, count in sorted(counts.items())) or "none"


def _machine(device: torch.device, shards: int) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} CPU cores ({_processor()}), {shards} shards of {torch.get_num_threads()} threads"


def _processor() -> str:
    """The processor's name; the platform module knows only the architecture on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _without_places(config: TrainConfig) -> TrainConfig:
    """The recipe without directories, which belong to one machine."""
    data = replace(config.data, path=Path(config.data.path).name, cache="")
    rehearsal = replace(config.rehearsal, path=Path(config.rehearsal.path).name)
    start = Path(config.start_from).name
    return replace(config, data=data, rehearsal=rehearsal, start_from=start, out=Path(config.out).name, policy="")
