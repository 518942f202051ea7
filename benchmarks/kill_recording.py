"""kill -9 at random moments of recording and of converting: is every committed episode still there, does each go on?

    python benchmarks/kill_recording.py record --out killed/recordings --episodes 14
    python benchmarks/kill_recording.py convert --from recordings/tabletop --out killed/converted

Starts the command, waits until it has committed an episode more and then a random time, kills its whole process group,
and compares what is there with what was there after the kills before, byte by byte. At the end the command runs to its
end and ``mini-diffuser check`` reads everything. Prints one JSON object. There must be more to do than is done until
the last kill.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mini_diffuser_ros.data import DataError, open_episodes
from mini_diffuser_ros.data.lmdb_file import read_keys, read_value
from mini_diffuser_ros.data.store.database import ABOUT

MINI_DIFFUSER = (sys.executable, "-m", "mini_diffuser_ros.commands.main")
POLL = 0.02  # seconds between looks at what is committed

Digests = dict[str, str]


def recorded(folder: Path) -> Digests:
    """Digest of each episode file."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.zip")}


def converted(folder: Path) -> Digests:
    """Digest of each episode of a database."""
    try:
        return {key: hashlib.sha256(read_value(folder, key)).hexdigest() for key in read_keys(folder) if key != ABOUT}
    except DataError:
        return {}


def count_recorded(folder: Path) -> int:
    """How many episode files there are."""
    return sum(1 for _ in folder.glob("*.zip"))


def count_converted(folder: Path) -> int:
    """How many episodes a database holds."""
    try:
        return sum(key != ABOUT for key in read_keys(folder))
    except DataError:
        return 0


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """The command in a process group of its own, so that its workers are killed with it."""
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)


def kill_often(
    command: Sequence[str],
    folder: Path,
    count: Callable[[Path], int],
    digests: Callable[[Path], Digests],
    kills: int,
    rng: random.Random,
) -> dict[str, object]:
    """Kill the command so often; raises RuntimeError as soon as an episode is lost or changed."""
    before: Digests = {}
    moments = []
    for _ in range(kills):
        process, began = start(command), time.monotonic()
        while process.poll() is None and count(folder) <= len(before):
            time.sleep(POLL)
        time.sleep(rng.uniform(0.0, 1.0))
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended by itself with {process.returncode} before it was killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        moments.append(round(time.monotonic() - began, 2))
        after = digests(folder)
        lost = [name for name, digest in before.items() if after.get(name) != digest]
        if lost:
            raise RuntimeError(f"lost or changed after a kill: {', '.join(lost)}")
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


def main() -> None:
    """Record or convert under fire."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["record", "convert"])
    parser.add_argument("--out", type=Path, required=True, help="folder to write, not existing")
    parser.add_argument("--from", type=Path, dest="source", help="what to convert")
    parser.add_argument("--episodes", type=int, default=40, help="episodes of each task to record")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="processes of the command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    values = parser.parse_args()
    rng = random.Random(values.seed)
    workers = ["--workers", str(values.workers)]
    if values.command == "record":
        record = ["record", "--episodes", str(values.episodes), "--out", str(values.out), *workers]
        report = kill_often([*MINI_DIFFUSER, *record], values.out, count_recorded, recorded, values.kills, rng)
    else:
        convert = ["convert", str(values.source), str(values.out), *workers]
        report = kill_often([*MINI_DIFFUSER, *convert], values.out, count_converted, converted, values.kills, rng)
    sys.stdout.write(json.dumps({"command": values.command, **report}) + "\n")


if __name__ == "__main__":
    main()
