"""The example's world with faults at the seeds that its settings name, for tests of what becomes of them."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mini_diffuser_ros.records import CameraView, KeyframeMode
from mini_diffuser_ros.running import KeyframeAction, LaidTask, LayoutError, MotionReport, WorldError, WorldStartError
from mini_diffuser_ros.running.world_names import world_class
from mini_diffuser_ros.support.errors import UserError

Blocks = world_class(f"{Path(__file__).parents[2] / 'examples' / 'your_own_world.py'}:Blocks")


@dataclass(frozen=True)
class FaultySettings:
    """Seeds and tasks at which something fails; ``log`` is a file for what was laid out, by which process.

    A process stops at seeds ``hanging``, and a world that is ``clinging`` never closes.
    ``exported`` is copied over ``policy`` at seed 1; one that ``moves_to`` takes its process there when it is made.
    Folders ``removed`` go with the first layout, and one is made where something is ``occupied``.
    """

    image_size: int = 32
    impossible: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    mistaken: tuple[int, ...] = ()
    undoable: tuple[str, ...] = ()
    unstartable: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    untaught: tuple[str, ...] = ()
    hanging: tuple[int, ...] = ()
    clinging: bool = False
    moves_to: str = ""
    exported: str = ""
    policy: str = ""
    never_starts: bool = False
    unlit: tuple[int, ...] = ()
    log: str = ""
    removed: str = ""
    occupied: str = ""


class Faulty(Blocks):
    """Not to be relied on."""

    Settings = FaultySettings

    def __init__(self, settings: FaultySettings) -> None:
        super().__init__(settings)
        self.settings, self.seed = settings, -1
        if settings.moves_to:
            os.chdir(settings.moves_to)

    def lay_out(self, task: str, seed: int) -> LaidTask:
        self.seed = seed
        if self.settings.log:
            with Path(self.settings.log).open("a") as file:
                file.write(f"{os.getpid()} {task} {seed}\n")
        if self.settings.removed:
            shutil.rmtree(self.settings.removed, ignore_errors=True)
        if self.settings.occupied:
            Path(self.settings.occupied).mkdir(exist_ok=True)
        if self.settings.never_starts:
            raise WorldStartError("no power")
        if seed in self.settings.unlit:
            raise WorldStartError(f"no light with seed {seed}")
        if task in self.settings.unstartable:
            raise WorldStartError(f"{task} lacks a model")
        if task in self.settings.unfinished:
            return LaidTask(f"{task}, one day")
        if task in self.settings.undoable:
            raise LayoutError(f"{task}: never")
        if seed in self.settings.impossible:
            raise LayoutError(f"{task}: no room with seed {seed}")
        if self.settings.exported and seed == 1:
            shutil.copytree(self.settings.exported, self.settings.policy, dirs_exist_ok=True)
        if seed in self.settings.hanging:
            os.kill(os.getpid(), signal.SIGSTOP)
        if seed in self.settings.deadly:
            os._exit(1)
        return super().lay_out(task, seed)

    def expert(self) -> Iterator[KeyframeAction]:
        if "_on_".join((self.top, self.bottom)) in self.settings.untaught:
            raise UserError("no grasp of it is known; add one")
        return super().expert()

    def close(self) -> None:
        if self.settings.clinging:
            time.sleep(1e6)

    def views(self) -> list[CameraView]:
        if self.seed in self.settings.broken:
            raise WorldError("the cameras fell silent")
        if self.seed in self.settings.mistaken:
            raise ZeroDivisionError("a mistake in views")
        return super().views()


class Numpys(Faulty):
    """One whose answers are numpy's."""

    def move(self, candidates: list[KeyframeMode]) -> MotionReport:
        report = super().move(candidates)
        return replace(report, chosen=None if report.chosen is None else np.int64(report.chosen))

    def success(self) -> bool:
        return np.bool_(super().success())


class Measuring(Faulty):
    """One whose results depend on something that is installed."""

    distributions = ("hypothesis",)


class Blind(Faulty):
    """One whose cameras measure nothing."""

    def views(self) -> list[CameraView]:
        return [replace(view, depth=np.full_like(view.depth, np.nan)) for view in super().views()]


class Heavy(Faulty):
    """One whose memory is not given back."""

    tasks_per_process = 1


class Unattended(Faulty):
    """One that has nobody to show how."""

    expert = None
