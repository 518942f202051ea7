"""The same run in one process and in one process a node: time to readiness, memory and CPU.

    python benchmarks/ros_composed.py --repeats 3

Prints one JSON object a run: seconds to "ready for instructions", to the first motion and in all, MB of proportional
set size of the nodes when ready and at most, CPU seconds of the launch and all its nodes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SAMPLING_PERIOD = 0.25  # seconds
READY = "ready for instructions"


class Memory:
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
            self.now = sum(map(_megabytes, _descendants(self._parent)))
            self.most = max(self.most, self.now)


def _descendants(parent: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents[int(entry.parent.name)] = int(fields[1])
    found = [parent]
    for one in found:
        found += [pid for pid, of in parents.items() if of == one]
    return found[1:]


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def measure(composed: bool, instruction: str, folder: Path) -> dict[str, object]:
    """One run of the launch."""
    ros2 = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
    words = [ros2, "launch", "mini_diffuser_ros", "bringup.launch.py", "exit_on_done:=true"]
    words += [f"composed:={str(composed).lower()}", f"instruction:={instruction}", f"runs:={folder}"]
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    memory = Memory(process.pid)
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


def main() -> None:
    """Alternate between the two, so that what else the machine does meets both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--instruction", default="press the blue button")
    options = parser.parse_args()
    for _ in range(options.repeats):
        for composed in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                sys.stdout.write(json.dumps(measure(composed, options.instruction, Path(folder))) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
