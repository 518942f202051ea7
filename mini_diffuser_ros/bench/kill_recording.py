"""kill -9 at random moments of recording and of converting: is every committed episode still there, does each go on?

    mini-diffuser bench kill-recording record --out killed/recordings --episodes 14
    mini-diffuser bench kill-recording convert --source recordings/tabletop --out killed/converted

Starts the command, waits until it has committed an episode more and then a random time, kills its whole process group,
and compares what is there with what was there after the kills before, byte by byte. At the end the command runs to its
end and ``mini-diffuser check`` reads everything. There must be more to do than is done until
the last kill.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, positional
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.data import DataError, open_episodes
from mini_diffuser_ros.data.lmdb_file import read_keys, read_value
from mini_diffuser_ros.data.store.database import is_episode

MINI_DIFFUSER = (sys.executable, "-m", "mini_diffuser_ros")
POLL = 0.02  # seconds between looks at what is committed

Digests = dict[str, str]


def _verb(text: str) -> str:
    if text not in ("record", "convert"):
        raise ValueError(f"{text!r} is neither record nor convert")
    return text


@dataclass(frozen=True, kw_only=True)
class KillRecordingSetting:
    """What to kill.

    Attributes:
        command: record or convert.
        out: folder to write, not existing.
        source: what to convert.
        episodes: episodes of each task to record.
        kills: how often.
        workers: processes of the command.
        seed: of the moments.
    """

    command: str = positional(_verb)
    out: Path
    source: Path | None = None
    episodes: int = at_least(1, 40)
    kills: int = at_least(1, 20)
    workers: int = at_least(1, 1)
    seed: int = at_least(0, 0)

    def words(self) -> list[str]:
        """The command.

        Raises:
            BenchError: it has nothing to convert.
        """
        workers = ["--workers", str(self.workers)]
        if self.command == "record":
            return [*MINI_DIFFUSER, "record", "--episodes", str(self.episodes), "--out", str(self.out), *workers]
        if self.source is None:
            raise BenchError("convert needs --source, what to convert")
        return [*MINI_DIFFUSER, "convert", str(self.source), str(self.out), *workers]


def recorded(folder: Path) -> Digests:
    """Digest of each episode file."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.zip")}


def converted(folder: Path) -> Digests:
    """Digest of each episode of a database."""
    try:
        return {
            key: hashlib.sha256(read_value(folder, key)).hexdigest() for key in read_keys(folder) if is_episode(key)
        }
    except DataError:
        return {}


def count_recorded(folder: Path) -> int:
    """How many episode files there are."""
    return sum(1 for _ in folder.glob("*.zip"))


def count_converted(folder: Path) -> int:
    """How many episodes a database holds."""
    try:
        return sum(is_episode(key) for key in read_keys(folder))
    except DataError:
        return 0


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """The command in a process group of its own, so that its workers are killed with it."""
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def kill_often(
    command: Sequence[str],
    folder: Path,
    count: Callable[[Path], int],
    digests: Callable[[Path], Digests],
    kills: int,
    rng: random.Random,
) -> dict[str, object]:
    """Kill the command so often; raises BenchError as soon as an episode is lost or changed."""
    before: Digests = {}
    moments = []
    for _ in range(kills):
        process, began = start(command), time.monotonic()
        while process.poll() is None and count(folder) <= len(before):
            time.sleep(POLL)
        time.sleep(rng.uniform(0.0, 1.0))
        if process.poll() is not None:
            raise BenchError(f"{' '.join(command)} ended by itself with {process.returncode} before it was killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        moments.append(round(time.monotonic() - began, 2))
        after = digests(folder)
        lost = [name for name, digest in before.items() if after.get(name) != digest]
        if lost:
            raise BenchError(f"lost or changed after a kill: {', '.join(lost)}")
        before = after
    finished = start(command).wait()
    checked = subprocess.run([*MINI_DIFFUSER, "check", str(folder), "--workers", "1"], capture_output=True, text=True)
    after = digests(folder)
    return {
        "kills": kills,
        "killed_after_s": moments,
        "committed_at_last_kill": len(before),
        "lost": sum(after.get(name) != digest for name, digest in before.items()),
        "exit_code_of_last_run": finished,
        "episodes_at_the_end": len(open_episodes(folder)),
        "check": checked.stdout.splitlines()[-1],
        "leftovers": [file.name for file in folder.iterdir() if file.name.startswith(".")],
    }


def measure_kills(settings: Sequence[KillRecordingSetting]) -> Iterator[dict[str, object]]:
    """Record or convert under fire."""
    for setting in settings:
        count, digests = (count_recorded, recorded) if setting.command == "record" else (count_converted, converted)
        rng = random.Random(setting.seed)
        report = kill_often(setting.words(), setting.out, count, digests, setting.kills, rng)
        yield {"command": setting.command, "passed": not report["lost"], **report}


BENCHMARK = Benchmark(KillRecordingSetting, measure_kills, __doc__)
