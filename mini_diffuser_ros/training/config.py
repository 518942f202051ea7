"""The recipe: everything that decides what a training run does, read from YAML and printed and stored with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mini_diffuser_ros.records import Workspace
from mini_diffuser_ros.support.settings import (
    SettingsError,
    bounded,
    check_fields,
    flat,
    later,
    not_expected,
    to_mapping,
)


@dataclass(frozen=True)
class DataConfig:
    """Which demonstrations.

    Attributes:
        path: what ``open_episodes`` opens: recordings, a converted set, raw RLBench, PerAct or 3D-LOTUS keysteps.
        sentences: file of the sentences of 3D-LOTUS keysteps; empty looks for one beside them.
        cell: file of the cell that they are of, whose workspace and table hold for clouds and network; empty: none.
        fusion: fields of ``FusionConfig`` to change against those that the source itself goes by, by name.
        tasks: only these tasks; empty means all that the path holds.
        per_task: so many demonstrations of each task, drawn with ``seed``, of which fewer are part of more; a task that
            has not so many is refused. 0 means all.
        spread: of those none says the same as another one before each sentence was drawn once, as a person shows first
            one thing and then another; otherwise they are drawn whatever they say.
        validation_share: share of each task's episodes held out for validation, at least one; in [0, 0.5].
        cache: directory of the preprocessed clouds; empty means ``cache`` in the output directory.
        workers: processes that fuse images into clouds before the first step.
        skip_bad: leave out episodes that cannot be read or trained on, and list them; otherwise the first one ends
            the run. ``--skip-bad`` for short.
    """

    path: str = ""
    sentences: str = ""
    cell: str = ""
    fusion: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    per_task: int = bounded(0, 0, 10**9)
    spread: bool = later(False)
    validation_share: float = bounded(0.07, 0.0, 0.5)
    cache: str = ""
    workers: int = bounded(2, 1, 256)
    skip_bad: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class RehearsalConfig:
    """Old demonstrations that are drawn among the new ones, so that what they taught is not forgotten.

    Attributes:
        path: as ``data.path``; empty: nothing is rehearsed. ``--rehearse`` for short.
        tasks: only these tasks; empty means all that the path holds.
        per_task: so many demonstrations of each task, as ``data.per_task``; 0 means all.
        share: of each step's scenes that is drawn from them; with 0 they are only measured on.
    """

    path: str = ""
    tasks: tuple[str, ...] = ()
    per_task: int = bounded(0, 0, 10**9)
    share: float = bounded(0.5, 0.0, 0.95)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Attributes:
        preset: ``MiniDiffuserConfig`` to start from; ``auto`` is ``small``, or the network of ``start_from``.
        overrides: fields of that configuration to change: by dotted name, or parts as mappings of theirs.
    """

    preset: Literal["auto", "small", "base"] = "auto"
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WhereConfig:
    """Where things are, said once; what ``data.fusion``, ``model.overrides`` or ``augment`` say of it otherwise wins.

    Attributes:
        workspace: box that is kept of the clouds, that the network works in, and about whose middle ``augment.yaw``
            turns; its lower z lies a little above the table top. None leaves each to itself.
        table_height: metres, z of the table's top, likewise.
    """

    workspace: Workspace | None = None
    table_height: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class BatchConfig:
    """What one optimiser step sees.

    Attributes:
        scenes: clouds per step (level 1), over all processes together.
        level2: noised actions per cloud (level 2), in the same pass.
        decision_share: share of the scenes drawn from decision frames, where only the sentence tells the object.
        grasp_share: share drawn from frames whose action closes the gripper. The rest is drawn from all frames.
        task_weights: how much more often than others the frames of a task are drawn; 1 where a task is not named.
    """

    scenes: int = bounded(32, 1, 65536)
    level2: int = bounded(32, 1, 65536)
    decision_share: float = bounded(0.6, 0.0, 1.0)
    grasp_share: float = bounded(0.1, 0.0, 1.0)
    task_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.decision_share + self.grasp_share > 1.0:
            raise not_expected(
                "grasp_share", self.grasp_share, f"at most 1 - decision_share, {1 - self.decision_share:g}"
            )
        for task, weight in self.task_weights.items():
            if not 1e-3 <= weight <= 1e3:
                raise not_expected(f"task_weights.{task}", weight, "a number in [0.001, 1000]")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of each drawn sample, cloud and target alike; a zero switches its change off.

    Attributes:
        yaw: radians; rotation about the vertical through ``center``, uniform in +-yaw.
        center: (x, y) metres in the base frame.
        shift_xy: metres; shift along x and along y, uniform in +-shift_xy.
        shift_z: metres; shift along z, uniform in +-shift_z.
        dropout: up to this share of the points is left out, the share itself uniform from 0.
        jitter: metres; size of the noise on each coordinate of each point (not of the target).
        jitter_shape: ``normal``: jitter is the standard deviation; ``uniform``: the bound, and quicker to draw.
        color_gain: each colour channel is scaled by a factor uniform in 1 +- color_gain.
        voxels: whether one point a voxel is left ``after`` the cloud was changed, as for decisions, or ``before``, as
            published and in half the time: turning then brings some points into a common voxel.
        recolored: a task of fewer demonstrations is brought to so many by versions of them, in which colours that the
            sentences name are exchanged for others, in clouds and sentences, and those of two things for each other's;
            0: none.
        exchanged: share of the decision frames in which the things on the table take one another's places: few
            demonstrations are otherwise learned by their layouts.
        exchanged_later: the same of those decision frames alone in which something has been gripped or let go before,
            where it is not less: what a sentence says of places may have served its turn then, as that of the bowl
            "next to the ramekin" has once the bowl is in the hand.
        exchanged_grasps: the same of the frames in which the hand hovers over what it grasps next, which goes along
            with it: otherwise what was found where no demonstration had it is lost at the second look.
        mixed: share of the decision frames into which the thing that another demonstration of the task begins with is
            put, in the stead of one that none of this one's decisions goes to: otherwise few demonstrations are learned
            by which things lie together. What has the colour of what is meant is left out, since it may have its name;
            where things of other colours have the same name, as two cups, 0 is right.
        thing_height: metres above the table, up to which points belong to what stands on it; what has points above
            that, a hand for one, is left where it is.
        sensor: errors of the cameras, as ``d435 scale=1.5``, with which the images of exact simulated cameras are fused
            again, into clouds that are trained on besides; empty: none. Those of real cameras have errors of their own.
        sensor_copies: how often each demonstration is fused with them, each time with errors drawn anew.
    """

    yaw: float = bounded(math.radians(45.0), 0.0, math.pi)
    center: tuple[float, float] = (0.525, 0.0)
    shift_xy: float = bounded(0.05, 0.0, math.pi)
    shift_z: float = bounded(0.002, 0.0, math.pi)
    dropout: float = bounded(0.2, 0.0, 0.9)
    jitter: float = bounded(0.001, 0.0, math.pi)
    jitter_shape: Literal["normal", "uniform"] = "normal"
    color_gain: float = bounded(0.1, 0.0, 0.9)
    voxels: Literal["after", "before"] = "after"
    recolored: int = later(0, (0, 10**6))
    exchanged: float = later(0.0, (0.0, 1.0))
    exchanged_later: float = later(0.0, (0.0, 1.0))
    exchanged_grasps: float = later(0.0, (0.0, 1.0))
    mixed: float = later(0.0, (0.0, 1.0))
    thing_height: float = later(0.10, (0.01, 2.0))
    sensor: str = later("")
    sensor_copies: int = later(1, (1, 1000))

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class OptimConfig:
    """Linear warm-up and cosine decay; norms, biases and other vectors are not decayed.

    Attributes:
        method: ``adamw``; or ``muon`` (Jordan et al. 2024), which makes the updates of matrices orthogonal and leaves
            what is no matrix to AdamW.
        matrix_pace: learning rate of muon's matrices over ``lr``; 1 has updates of about the size of AdamW's.
        lr: learning rate after warm-up.
        final_lr: share of ``lr`` that the cosine ends at.
        betas: Adam's two decay rates.
        weight_decay: decoupled decay of the matrices.
        warmup: steps of linear warm-up.
        clip: largest norm of the gradient, larger ones are scaled down to it.
    """

    method: Literal["adamw", "muon"] = later("adamw")
    matrix_pace: float = later(4.0, (1e-3, 1e3))
    lr: float = bounded(1e-3, 1e-9, 10.0)
    final_lr: float = bounded(0.01, 0.0, 1.0)
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = bounded(0.03, 0.0, 10.0)
    warmup: int = bounded(150, 0, 10**9)
    clip: float = bounded(2.0, 1e-9, 1e9)

    def __post_init__(self) -> None:
        check_fields(self)
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise not_expected("betas", self.betas, "two numbers from 0 to less than 1")


@dataclass(frozen=True)
class BudgetConfig:
    """When training is done and where the cosine ends: at whichever of the two comes first.

    Attributes:
        steps: optimiser steps; 0 means no limit.
        minutes: wall-clock minutes of training, validation included, preprocessing not; 0 means no limit. With
            minutes the learning rate follows the clock where that is ahead of the steps, so that only runs
            bounded by steps are repeatable to the bit.
    """

    steps: int = bounded(0, 0, 10**9)
    minutes: float = bounded(0.0, 0.0, 1e6)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class ValidateConfig:
    """Measurements on held-out episodes with the averaged weights.

    Attributes:
        interval: steps between two validations; there is always one at the end.
        episodes: held-out episodes per task for those on the way, spread over all; the last one takes all.
        samples: hypotheses per decision, of which the densest mode counts.
        steps: DDIM steps per decision.
    """

    interval: int = bounded(200, 1, 10**9)
    episodes: int = bounded(10, 1, 10**9)
    samples: int = bounded(16, 1, 10**9)
    steps: int = bounded(5, 1, 10**9)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class CheckpointConfig:
    """What a run leaves behind to go on from.

    Attributes:
        interval: steps between two checkpoints; there is always one at the end and after Ctrl-C.
        keep: latest checkpoints kept; the one with the best validation is kept besides.
    """

    interval: int = bounded(200, 1, 10**9)
    keep: int = bounded(2, 1, 10**6)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        data: which demonstrations.
        start_from: directory of a policy to go on from (fine-tuning): its weights, its network's configuration and the
            fusion of its clouds are taken, what the recipe says otherwise is refused; empty starts with random weights.
            ``--from`` for short.
        start_share: of the weights of ``start_from`` in the policy that is validated and exported, the rest is what was
            learned (Wortsman et al. 2022, "Robust fine-tuning"); without ``start_from`` it says nothing.
        rehearsal: old demonstrations that are drawn among the new ones.
        model: which network.
        scene: where things are, for clouds, network and augmentation alike.
        batch: what one step sees.
        augment: random changes of the samples.
        optim: optimiser and schedule.
        budget: when it is done.
        validate: measurements on the way.
        checkpoint: what to keep.
        ema: decay of the averaged weights, which are the ones validated and exported; the average ramps up from
            the first step, decay_n = min(ema, (1 + n) / (10 + n)).
        seed: of initial weights, drawing, augmentation and noise; a step's randomness depends on seed and step only.
        device: ``auto`` takes CUDA where there is one.
        precision: of the network's matrix products: ``bfloat16`` autocast, ``float32``, or ``auto``, which is bfloat16
            on GPUs and float32 on CPUs. Weights, gradients and averages are float32 always.
        compile: let torch.compile make kernels for the network. It takes many minutes at the start, and leaves single
            operations wherever sizes follow from the data. Shards cannot be compiled.
        shards: equal parts of a step's scenes, each computed by a CPU thread of its own; on CPUs much faster than
            ``threads``. More than one needs a network without dropout; GPUs and torchrun's processes ignore it.
        threads: CPU threads inside torch's operations; 0 leaves torch's own choice.
        loaders: processes that prepare batches; 0 prepares them between two steps. Shards prepare their own.
        wandb: project on Weights & Biases, used where ``wandb`` is installed; empty leaves it alone.
        out: output directory; training goes on from the latest checkpoint in it if its data and recipe are the same.
        policy: directory of the exported policy; empty means ``policy`` in the output directory.
        knowledge: learn at the end what the policy knows about itself, as ``mini-diffuser assess`` does: some minutes.
    """

    data: DataConfig = field(default_factory=DataConfig)
    start_from: str = ""
    start_share: float = later(0.0, (0.0, 1.0))
    rehearsal: RehearsalConfig = field(default_factory=RehearsalConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    scene: WhereConfig = field(default=WhereConfig(), metadata={"later": True})
    batch: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    budget: BudgetConfig = field(default_factory=lambda: BudgetConfig(steps=1000))
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    ema: float = bounded(0.998, 0.0, 1.0)
    seed: int = bounded(0, 0, 2**63 - 1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    shards: int = bounded(1, 1, 1024)
    threads: int = bounded(0, 0, 1024)
    loaders: int = bounded(0, 0, 1024)
    wandb: str = "mini-diffuser"
    out: str = "training_runs/latest"
    policy: str = ""
    knowledge: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch.scenes % self.shards:
            raise not_expected("shards", self.shards, f"a divisor of batch.scenes, {self.batch.scenes}")
        if self.compile and self.shards > 1:
            raise SettingsError(
                "compile", f"is on with {self.shards} shards, which it knows nothing of; set shards to 1"
            )
        if not self.budget.steps and not self.budget.minutes:
            raise SettingsError("budget", "has neither steps nor minutes, set one of the two above zero")
        if self.data.cell and self.scene != WhereConfig():
            raise SettingsError(
                "scene", f"is given, and so is data.cell, {self.data.cell}, which says the same; leave one out"
            )

    def with_scene(self) -> TrainConfig:
        """The recipe with what ``scene`` says in its places: the same as one that says it there."""
        workspace = {} if self.scene.workspace is None else {"workspace": to_mapping(self.scene.workspace)}
        height = {} if self.scene.table_height is None else {"table_height": self.scene.table_height}
        where = workspace | height
        if not where:
            return self
        augment = self.augment
        if self.scene.workspace is not None and augment.center == AugmentConfig().center:
            (x0, y0, _), (x1, y1, _) = self.scene.workspace.lower, self.scene.workspace.upper
            augment = replace(augment, center=((x0 + x1) / 2, (y0 + y1) / 2))
        overrides = {f"scene.{name}": value for name, value in where.items()}
        return replace(
            self,
            scene=WhereConfig(),
            data=replace(self.data, fusion=_under(where, self.data.fusion)),
            model=replace(self.model, overrides=_under(overrides, self.model.overrides)),
            augment=augment,
        )

    @property
    def policy_directory(self) -> Path:
        """Where the trained policy is exported to."""
        return Path(self.policy) if self.policy else Path(self.out) / "policy"

    @property
    def cache_directory(self) -> Path:
        """Where preprocessed clouds are kept."""
        return Path(self.data.cache) if self.data.cache else Path(self.out) / "cache"


def _under(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by dotted name, with those of ``given``, which may be groups, in their stead."""
    said = flat(given)
    own = {name: value for name, value in flat(defaults).items() if name not in said}
    return own | said
