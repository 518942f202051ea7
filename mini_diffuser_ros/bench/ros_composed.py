"""The same run in one process and in one process a node: time to readiness, memory and CPU.

Seconds to "ready for instructions", to the first motion and in all, MB of proportional
set size of the nodes when ready and at most, CPU seconds of the launch and all its nodes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.heard_process import READY, launch_words
from mini_diffuser_ros.bench.resources import descendants, proportional_mb

SAMPLING_PERIOD = 0.25  # seconds


@dataclass(frozen=True, kw_only=True)
class ComposedSetting:
    """What is run.

    Attributes:
        repeats: of each of the two.
        instruction: to obey.
    """

    repeats: int = at_least(1, 3)
    instruction: str = "press the blue button"


class MemorySampler:
    """Proportional set size of the descendants of a process, looked at again and again."""

    def __init__(self, parent: int) -> None:
        self.now = self.most = 0.0
        self._parent = parent
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no longer."""
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLING_PERIOD):
            self.now = sum(map(proportional_mb, descendants(self._parent)))
            self.most = max(self.most, self.now)


def measure(composed: bool, instruction: str, folder: Path) -> dict[str, object]:
    """One run of the launch."""
    arguments = {"composed": str(composed).lower(), "instruction": instruction, "runs": str(folder)}
    words = launch_words(exit_on_done="true", **arguments)
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    memory = MemorySampler(process.pid)
    found: dict[str, object] = {"composed": composed}
    for line in process.stdout or ():
        if READY in line:
            found["ready_s"] = round(time.monotonic() - start, 2)
            found["ready_mb"] = round(memory.now)
    _, status, usage = os.wait4(process.pid, 0)
    memory.close()
    report = json.loads(max(folder.glob("*/run.json")).read_text())
    return {
        **found,
        "first_motion_s": report["sentence_to_first_motion_s"],
        "sentence_s": report["seconds"],
        "launch_s": round(time.monotonic() - start, 2),
        "most_mb": round(memory.most),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "success": report["success"] and os.waitstatus_to_exitcode(status) == 0,
    }


def measure_composed(settings: Sequence[ComposedSetting]) -> Iterator[dict[str, object]]:
    """Alternate between the two, so that what else the machine does meets both."""
    for setting in settings:
        for number in range(2 * setting.repeats):
            with tempfile.TemporaryDirectory() as folder:
                yield measure(bool(number % 2), setting.instruction, Path(folder))


BENCHMARK = Benchmark(ComposedSetting, measure_composed, __doc__)
