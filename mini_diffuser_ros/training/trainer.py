"""The training loop: steps, the averaged weights, validation on the way, checkpoints, and going on from one."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig
from mini_diffuser_ros.support.settings import SettingsError, to_mapping
from mini_diffuser_ros.training.checkpoints import CheckpointStore, Trainee, TrainingProgress
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.dataset import DrawnSamples, Frame, TokenStates, batches
from mini_diffuser_ros.training.errors import DivergedError, GpuMemoryError
from mini_diffuser_ros.training.gradients import Gradients, ShardedStep, WholeStep
from mini_diffuser_ros.training.interrupt import StopRequest, stop_on_signal
from mini_diffuser_ros.training.metrics_log import MetricsLog
from mini_diffuser_ros.training.optimisation import (
    WeightAverage,
    budget_spent,
    learning_rate,
    make_optimizer,
    mixed_weights,
)
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.progress_bar import TrainingBar
from mini_diffuser_ros.training.report import Report, as_lines, as_record, score, summarise
from mini_diffuser_ros.training.validation import validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training session ended.

    Attributes:
        progress: steps and seconds so far, over all sessions of the run.
        report: validation on all held-out frames, empty if there are none or the session was interrupted.
        interrupted: True if it was stopped before the budget was spent.
        model: the network with the averaged weights.
    """

    progress: TrainingProgress
    report: Report
    interrupted: bool
    model: MiniDiffuser


class Trainer:
    """One run in one output directory; goes on from the latest checkpoint in it."""

    def __init__(
        self,
        config: TrainConfig,
        model_config: MiniDiffuserConfig,
        training: Sequence[Frame],
        held_out: Sequence[Frame],
        tokens: TokenStates,
        device: torch.device,
        processes: Processes | None = None,
        rehearsed: Sequence[Frame] = (),
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Build the network, or restore it from the latest checkpoint.

        Args:
            config: the recipe.
            model_config: the network's configuration.
            training: frames that are trained on.
            held_out: frames that are only measured on; may be empty.
            tokens: token states of every sentence of both.
            device: where to train.
            processes: this process among those of the run; alone by default.
            rehearsed: old frames, of which each step draws the recipe's share.
            start: weights to begin with; random ones by default.

        Raises:
            TrainingCheckpointError: if the output directory's checkpoint is damaged or of another network.
            SettingsError: if the batch cannot be shared out as the recipe says.
        """
        self._config = config
        self._held_out = held_out
        self._tokens = tokens
        self._device = device
        self._processes = processes or Processes()
        self._slots = self._processes.slots(config.batch.scenes)
        share = config.rehearsal.share
        self._samples = DrawnSamples(
            training, tokens, model_config, config.batch, config.augment, config.seed, rehearsed, share
        )
        torch.manual_seed(config.seed)
        self._model = MiniDiffuser(model_config).to(device)
        if start is not None:
            self._model.load_state_dict(start)
        self._start = start
        average = WeightAverage(self._model, config.ema)
        self._trainee = Trainee(self._model, average, make_optimizer(self._model, config.optim))
        self._store = CheckpointStore(Path(config.out), config.checkpoint.keep)
        self.progress = TrainingProgress()
        latest = self._store.latest()
        if latest is not None:
            self.progress = self._store.load(latest, self._trainee)
            log.info("going on from step %d", self.progress.step)

    def run(self, progress_bar: bool = True) -> TrainingOutcome:
        """Train until the budget is spent or the user asks to stop; either way a checkpoint is left.

        Raises:
            DivergedError: if the loss is no longer finite.
            GpuMemoryError: if the GPU's memory does not suffice.
        """
        leads = self._processes.leads
        metrics = self._metrics_log() if leads else None
        gradients = self._gradients()
        bar = TrainingBar(self._config.batch.scenes, shown=progress_bar and leads)
        try:
            with stop_on_signal() as stop:
                interrupted = self._train(gradients, metrics, bar, stop)
            report: Report = {}
            # Whatever becomes of the validation, and of who waits for it: what was trained is kept.
            unsaved = leads and not interrupted and not self._store.has(self.progress.step)
            if unsaved:
                self._store.save(self._trainee, self.progress)
            if not interrupted:
                before = self.progress.validating
                report = self._validate(self._held_out, metrics)
                self.progress.seconds += self.progress.validating - before
        except torch.cuda.OutOfMemoryError as error:
            raise self._memory_error() from error
        finally:
            bar.close()
            gradients.close()
            if metrics is not None:
                metrics.close()
        if unsaved:
            self._store.tell(self.progress)
        elif leads:
            self._store.save(self._trainee, self.progress)
        self._processes.wait()
        return TrainingOutcome(self.progress, report, interrupted, self._averaged_model())

    def _memory_error(self) -> GpuMemoryError:
        batch, model, latest = self._config.batch, self._config.model, self._store.latest()
        kept = f"{latest.name} is kept" if latest is not None else "no checkpoint was reached"
        return GpuMemoryError(
            f"the GPU's memory was full after {self.progress.step} steps; lower batch.scenes ({batch.scenes}) or "
            f"batch.level2 ({batch.level2}), set precision ({self._config.precision}) to bfloat16, or take a smaller "
            f"model.preset ({model.preset}); {kept}"
        )

    def _train(self, gradients: Gradients, metrics: MetricsLog | None, bar: TrainingBar, stop: StopRequest) -> bool:
        """Step until the budget is spent (False) or a stop is requested (True)."""
        config, progress = self._config, self.progress
        started = time.perf_counter() - progress.seconds
        while True:
            progress.seconds = time.perf_counter() - started
            spent = budget_spent(config.budget, progress.step, progress.seconds)
            spent, stopping = self._processes.agree(spent, float(stop.requested))
            if stopping or spent >= 1.0:
                bar.reach(progress.step, min(spent, 1.0))
                return bool(stopping)
            losses = self._step(gradients, spent)
            progress.step += 1
            rate = bar.show(progress.step, spent, losses)
            if metrics is not None:
                metrics.write(progress.step, {"seconds": round(progress.seconds, 2), "rate": round(rate, 1), **losses})
            if progress.step % config.validate.interval == 0:
                self._validate(_spread(self._held_out, config.validate.episodes), metrics)
            if progress.step % config.checkpoint.interval == 0 and self._processes.leads:
                progress.seconds = time.perf_counter() - started
                self._store.save(self._trainee, progress)

    def _metrics_log(self) -> MetricsLog:
        config = self._config
        return MetricsLog(Path(config.out), self.progress.step, config.wandb, to_mapping(config))

    def _gradients(self) -> Gradients:
        config, first, slots = self._config, self.progress.step, self._slots
        precision = precision_of(config, self._device)
        if config.shards > 1 and self._device.type == "cpu" and self._processes.size == 1:
            if self._model.config.layers.dropout:
                raise SettingsError("shards", "is above 1 with dropout in the network; set one of them to 1 or 0")
            width = len(slots) // config.shards
            parts = [slots[start : start + width] for start in range(0, len(slots), width)]
            sources = [batches(self._samples, first, part, loaders=0) for part in parts]
            return ShardedStep(self._model, sources, config.batch.level2, config.seed, precision)
        source = batches(self._samples, first, slots, config.loaders, pin=self._device.type == "cuda")
        level2, seed = config.batch.level2, config.seed
        return WholeStep(self._model, source, level2, seed, self._processes, precision, config.compile)

    def _step(self, gradients: Gradients, spent: float) -> dict[str, float]:
        """One optimiser step; returns the losses, the learning rate and the norm of the gradient before clipping."""
        step, optimizer = self.progress.step, self._trainee.optimizer
        rate = learning_rate(self._config.optim, step, spent)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["pace"]
        self._model.train()
        losses = gradients.compute(step)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._config.optim.clip)
        *values, length = torch.stack([*losses.values(), norm]).tolist()
        if not math.isfinite(values[0]) or not math.isfinite(length):
            raise DivergedError(
                f"step {step + 1}: loss {values[0]}, gradient norm {length}; lower optim.lr or optim.clip"
            )
        optimizer.step()
        self._trainee.average.update(self._model, step + 1)
        return {**dict(zip(losses, values, strict=True)), "lr": rate, "gradient": length}

    def _validate(self, frames: Sequence[Frame], metrics: MetricsLog | None) -> Report:
        if not frames:
            return {}
        started = time.perf_counter()
        model = self._averaged_model()
        errors = validate(model, frames, self._tokens, self._config.validate, self._config.seed, self._processes)
        report = summarise(errors)
        progress = self.progress
        progress.validating += time.perf_counter() - started
        if progress.best_score is None or score(report) >= progress.best_score:
            progress.best_score, progress.best_step = score(report), progress.step
        if metrics is not None:
            metrics.write(progress.step, {"validation": as_record(report), "score": round(score(report), 4)})
            for line in as_lines(report):
                tqdm.write(f"step {progress.step}  {line}")
        return report

    def _averaged_model(self) -> MiniDiffuser:
        model = copy.deepcopy(self._model)
        tensors = self._trainee.average.tensors
        if self._start is not None and self._config.start_share:
            tensors = mixed_weights(tensors, self._start, self._config.start_share)
        model.load_state_dict(tensors)
        return model.eval()


def precision_of(config: TrainConfig, device: torch.device) -> torch.dtype:
    """Of the network's matrix products on a device."""
    if config.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def _spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    """About the frames of ``count`` episodes of each task, spread over all of them."""
    chosen: list[Frame] = []
    for task in dict.fromkeys(frame.task for frame in frames):
        mine = [frame for frame in frames if frame.task == task]
        ends = [index for index, frame in enumerate(mine) if frame.terminate]
        starts = [0, *(end + 1 for end in ends[:-1])]
        picked = evenly_spread(len(ends), count)
        chosen.extend(frame for index in picked for frame in mine[starts[index] : ends[index] + 1])
    return chosen
