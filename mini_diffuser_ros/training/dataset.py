"""Demonstrations as training samples: which frame a draw takes, how it is changed, how samples make a batch.

A draw is a pure function of (seed, step, slot). Batches are therefore the same however many processes prepare them,
whichever process trains on which slots, and wherever an interrupted run goes on.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mini_diffuser_ros.geometry import voxel_downsample
from mini_diffuser_ros.policy import MiniDiffuserConfig, TrainingBatch, scene_points
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.augmentation import augment, workspace_ranges
from mini_diffuser_ros.training.config import AugmentConfig, BatchConfig
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.frames import FrameKind, frame_kinds
from mini_diffuser_ros.training.things import TableTop, exchange_places, mixed_in

TokenStates = Mapping[str, Tensor]
"""Sentence to its token states (L, D) float32."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One keyframe with its action.

    Attributes:
        task: task name.
        sentences: paraphrases of the instruction.
        cloud: what is seen at the keyframe, base frame.
        pose: (7,) xyz + xyzw, where the action goes, base frame.
        gripper_open: gripper after the action.
        terminate: True if the action ends the task.
        kind: what the action decides.
        decided: (7,) each, where the other decisions of its demonstration go.
    """

    task: str
    sentences: tuple[str, ...]
    cloud: Cloud
    pose: NDArray[np.float64]
    gripper_open: bool
    terminate: bool
    kind: FrameKind
    decided: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame as the network reads it: see :class:`TrainingBatch` for the meaning of the fields.

    Attributes:
        points: (N, 7) float32.
        tokens: (L, D) float32.
        target: (7,) float32 xyz + xyzw in the centred frame.
        gripper_open: 1 or 0.
        terminate: 1 or 0.
    """

    points: Tensor
    tokens: Tensor
    target: Tensor
    gripper_open: float
    terminate: float


def frames_of(demonstrations: Sequence[Demonstration]) -> list[Frame]:
    """All frames of the demonstrations, in their order."""
    return [frame for demonstration in demonstrations for frame in _frames(demonstration)]


def _frames(demonstration: Demonstration) -> Iterator[Frame]:
    kinds = frame_kinds(demonstration.poses, demonstration.gripper_open)
    decisions = [t for t, kind in enumerate(kinds) if kind.decides_object]
    for t, kind in enumerate(kinds):
        yield Frame(
            task=demonstration.task,
            sentences=demonstration.sentences,
            cloud=demonstration.clouds[t],
            pose=demonstration.poses[t + 1],
            gripper_open=bool(demonstration.gripper_open[t + 1]),
            terminate=t + 2 == len(demonstration.poses),
            kind=kind,
            decided=tuple(demonstration.poses[other + 1] for other in decisions if other != t),
        )


def as_old(frame: Frame) -> Frame:
    """A held-out frame that what was learned before is measured on, under a task of its own."""
    return replace(frame, task=f"{frame.task} (old)")


def without_empty_scenes(
    demonstrations: Sequence[Demonstration], model: MiniDiffuserConfig, skip_bad: bool
) -> tuple[list[Demonstration], list[str]]:
    """Demonstrations whose every cloud has a point in the network's workspace, and a line for each other one.

    Raises:
        DatasetError: at the first other one unless such are to be skipped, or if nothing is left.
    """
    low, high = np.array([model.scene.workspace.lower, model.scene.workspace.upper])
    usable: list[Demonstration] = []
    faulty: list[str] = []
    for demonstration in demonstrations:
        for number, cloud in enumerate(demonstration.clouds[:-1]):
            if not ((cloud.points >= low) & (cloud.points <= high)).all(axis=1).any():
                faulty.append(
                    f"{demonstration.source}: the cloud of keyframe {number} has no point in the network's workspace "
                    f"{model.scene.workspace}; set model.overrides.scene.workspace"
                )
                break
        else:
            usable.append(demonstration)
    if faulty and not (skip_bad and usable):
        raise DatasetError(faulty[0])
    return usable, faulty


def single_demonstration(task: str) -> str:
    """What is wrong with a task of a single demonstration, of which one is to be held out."""
    return (
        f"task {task!r} has a single demonstration, one to train on and one to hold out for validation are needed; "
        "record more or set data.validation_share to 0"
    )


def split(
    demonstrations: Sequence[Demonstration], share: float, seed: int
) -> tuple[list[Demonstration], list[Demonstration]]:
    """Training and held-out demonstrations: of each task the share, at least one unless the share is 0.

    Which ones are held out depends on the seed and on their order.

    Raises:
        DatasetError: if a task has too few to train on some and hold out another.
    """
    held_out: set[int] = set()
    for task in sorted({demonstration.task for demonstration in demonstrations}):
        mine = [index for index, demonstration in enumerate(demonstrations) if demonstration.task == task]
        if share and len(mine) < 2:
            raise DatasetError(single_demonstration(task))
        count = min(len(mine) - 1, max(1, round(share * len(mine)))) if share else 0
        held_out.update(np.random.default_rng(seed).permutation(mine)[:count].tolist())
    training = [demonstration for index, demonstration in enumerate(demonstrations) if index not in held_out]
    return training, [demonstrations[index] for index in sorted(held_out)]


class DrawnSamples(Dataset[Sample]):
    """Samples by (step, slot) of the training run.

    The first slots of a step draw from decision frames, the next ones from grasp frames, the others from all frames. Of
    each of the three the last slots draw from the rehearsed frames, where there are any.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        tokens: TokenStates,
        model: MiniDiffuserConfig,
        batch: BatchConfig,
        augmentation: AugmentConfig,
        seed: int,
        rehearsed: Sequence[Frame] = (),
        rehearsed_share: float = 0.0,
    ) -> None:
        frames = [*frames, *rehearsed]
        self._frames = frames
        self._voxelised = augmentation.voxels == "before"
        if self._voxelised:
            self._frames = [replace(frame, cloud=_voxels(frame.cloud, model.scene.voxel_size)) for frame in frames]
        weights = np.array([batch.task_weights.get(frame.task, 1.0) for frame in frames])
        decisions = np.array([frame.kind.decides_object for frame in frames])
        grasps = np.array([frame.kind is FrameKind.GRASP for frame in frames])
        rehearses = np.arange(len(frames)) >= len(frames) - len(rehearsed)
        first_grasp = round(batch.decision_share * batch.scenes)
        first_any = round((batch.decision_share + batch.grasp_share) * batch.scenes)
        kinds = ((first_grasp, decisions), (first_any, grasps), (batch.scenes, decisions | True))
        share = rehearsed_share if len(rehearsed) else 0.0
        self._groups = tuple(_groups(kinds, weights, rehearses, share))
        self._firsts: dict[str, list[int]] = {}
        for index, frame in enumerate(frames):
            if frame.kind is FrameKind.FIRST:
                self._firsts.setdefault(frame.task, []).append(index)
        self._tokens = tokens
        self._model = model
        self._ranges = workspace_ranges(model.scene.workspace)
        self._augmentation = augmentation
        self._table = TableTop(model.scene.workspace, model.scene.table_height, augmentation.thing_height)
        self._seed = seed

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        step, slot = key
        random = np.random.default_rng([self._seed, step, slot])
        sums = next(sums for end, sums in self._groups if slot < end)
        index = int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
        frame = self._frames[index]
        sentence = frame.sentences[random.integers(len(frame.sentences))]
        cloud, pose = self._mixed(frame, random), frame.pose
        exchanged = self._exchanged_share(frame.kind)
        # Nothing is drawn where nothing is exchanged: the draws of other recipes stay what they were.
        if exchanged and random.random() < exchanged:
            hovers = frame.kind is FrameKind.GRASP
            cloud, pose = exchange_places(cloud, pose, self._table, random, hovers)
        cloud, pose = augment(cloud, pose, self._ranges, self._augmentation, random)
        tokens = self._tokens[sentence]
        try:
            return make_sample(replace(frame, cloud=cloud, pose=pose), tokens, self._model, self._voxelised)
        except ValueError:
            # Turned, its last points may leave the workspace; as it was recorded it has some.
            return make_sample(frame, tokens, self._model, self._voxelised)

    def _mixed(self, frame: Frame, random: np.random.Generator) -> Cloud:
        """What is seen of a frame, or of some with what another demonstration of its task begins with among it."""
        share = self._augmentation.mixed if frame.kind.decides_object else 0.0
        others = self._firsts.get(frame.task, [])
        if not share or not others or random.random() >= share:
            return frame.cloud
        other = self._frames[others[random.integers(len(others))]]
        if set(other.sentences) & set(frame.sentences):
            return frame.cloud
        return mixed_in(frame.cloud, (frame.pose, *frame.decided), other.cloud, other.pose, self._table, random)

    def _exchanged_share(self, kind: FrameKind) -> float:
        """Of frames of a kind, the share in which things take one another's places."""
        if kind is FrameKind.GRASP:
            return self._augmentation.exchanged_grasps
        if kind is FrameKind.LATER:
            return max(self._augmentation.exchanged, self._augmentation.exchanged_later)
        return self._augmentation.exchanged if kind.decides_object else 0.0


def _groups(
    kinds: Sequence[tuple[int, NDArray[np.bool_]]],
    weights: NDArray[np.float64],
    rehearses: NDArray[np.bool_],
    share: float,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """End of each group's slots, and the running sums of its frames' weights.

    Args:
        kinds: end of the slots that draw one kind of frames, and which frames are of it (F,).
        weights: of the frames (F,).
        rehearses: which frames are old ones (F,).
        share: of the slots, which draws those.
    """
    start = 0
    for end, chosen in kinds:
        # Rounded at the ends of the kinds, so that all of them together have the share.
        old = round(share * end) - round(share * start)
        for stop, source in ((end - old, ~rehearses), (end, rehearses)):
            pool = chosen & source
            yield stop, np.cumsum(weights * (pool if pool.any() else source))
        start = end


class StepSlots:
    """Batch sampler: the (step, slot) keys of one process, step after step without end."""

    def __init__(self, first_step: int, slots: range) -> None:
        self._first_step = first_step
        self._slots = slots

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        step = self._first_step
        while True:
            yield [(step, slot) for slot in self._slots]
            step += 1


def batches(
    samples: DrawnSamples, first_step: int, slots: range, loaders: int, pin: bool = False
) -> Iterator[TrainingBatch]:
    """The batches of all steps from ``first_step`` on, without end.

    Args:
        samples: what is drawn from.
        first_step: number of the first step.
        slots: slots of each step that make a batch.
        loaders: processes that prepare batches; 0 prepares each when it is asked for.
        pin: put batches into page-locked memory, for copies to a GPU.
    """
    loader = DataLoader(
        samples,
        batch_sampler=StepSlots(first_step, slots),
        collate_fn=collate,
        num_workers=loaders,
        worker_init_fn=_leave_interrupts_to_the_trainer,
        prefetch_factor=4 if loaders else None,
        pin_memory=pin,
    )
    return iter(loader)


def make_sample(frame: Frame, tokens: Tensor, config: MiniDiffuserConfig, voxelised: bool = False) -> Sample:
    """The frame through the policy's own preprocessing, its target in the same centred frame."""
    scene = scene_points(frame.cloud, config, voxelised)
    target = frame.pose.astype(np.float32)
    target[:3] = frame.pose[:3] - scene.centre
    return Sample(
        points=torch.from_numpy(scene.points),
        tokens=tokens,
        target=torch.from_numpy(target),
        gripper_open=float(frame.gripper_open),
        terminate=float(frame.terminate),
    )


def collate(samples: Sequence[Sample]) -> TrainingBatch:
    """The samples after one another, ragged: nothing is padded."""
    lengths = torch.tensor([len(sample.points) for sample in samples])
    targets = torch.stack([sample.target for sample in samples])
    return TrainingBatch(
        points=torch.cat([sample.points for sample in samples]),
        batch=torch.repeat_interleave(torch.arange(len(samples)), lengths),
        text_tokens=torch.cat([sample.tokens for sample in samples]),
        text_lengths=torch.tensor([len(sample.tokens) for sample in samples]),
        target_xyz=targets[:, :3].contiguous(),
        target_quat=targets[:, 3:].contiguous(),
        gripper_open=torch.tensor([sample.gripper_open for sample in samples]),
        terminate=torch.tensor([sample.terminate for sample in samples]),
    )


def _voxels(cloud: Cloud, voxel_size: float) -> Cloud:
    points, colors = voxel_downsample(cloud.points, cloud.colors, voxel_size)
    return replace(cloud, points=points, colors=colors)


def _leave_interrupts_to_the_trainer(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
