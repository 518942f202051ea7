"""Kill -9 training at random moments and see whether it loses anything.

    python benchmarks/kill_training.py --data recordings/tabletop --kills 20

Each session trains in a process of its own, writes a checkpoint after every step, and is killed a random time after its
first.
After each kill every checkpoint must be whole, and none that was there before may be gone but those that newer ones
replace. After the last kill the run is trained to its end, and its losses are compared with those of a run that nobody
killed. Prints one JSON object; exit code 1 if anything was lost or differs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file
from tqdm import tqdm

from mini_diffuser_ros.commands.train import main as train
from mini_diffuser_ros.training.checkpoints import PROGRESS, STATE

RECIPE = Path(__file__).parents[1] / "config" / "train" / "tabletop.yaml"
KEEP = 2


def words(data: str, out: Path, cache: Path, steps: int) -> list[str]:
    """Arguments of ``mini-diffuser train`` for a short run of small steps."""
    values = {
        "batch.scenes": 4,
        "batch.level2": 4,
        "budget.steps": steps,
        "budget.minutes": 0,
        "optim.warmup": 10,
        "checkpoint.interval": 1,
        "checkpoint.keep": KEEP,
        "data.validation_share": 0,
        "data.workers": 1,
        "data.cache": cache,
    }
    named = [f"--{name}={value}" for name, value in values.items()]
    return ["--config", str(RECIPE), "--data", data, "--out", str(out), *named]


def committed(out: Path) -> set[int]:
    """Steps of the checkpoints that are there under their final name."""
    return {int(path.name.removeprefix("step_")) for path in (out / "checkpoints").glob("step_*")}


def damaged(out: Path) -> list[str]:
    """Checkpoints that cannot be read."""
    faulty = []
    for step in committed(out):
        folder = out / "checkpoints" / f"step_{step:08d}"
        try:
            load_file(folder / STATE)
            json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        except Exception as error:  # whatever is wrong with it, it is damaged
            faulty.append(f"{folder.name}: {error}")
    return faulty


def losses(out: Path) -> list[tuple[int, float, float]]:
    """Step, loss and norm of the gradient of each step in the log."""
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [(r["step"], r["total"], r["gradient"]) for r in map(json.loads, lines) if "total" in r]


def main() -> int:
    """Train, kill, look, and train on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="what `mini-diffuser train --data` takes, best a dozen episodes")
    parser.add_argument("--kills", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="of the whole run (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="longest wait for a kill (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-training-"))
    moments = random.Random(options.seed)
    # Imports take seconds; the sessions are forked from a server that has done them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mini_diffuser_ros.commands.train"])
    whole, killed = folder / "whole", folder / "killed"
    session = context.Process(target=train, args=(words(options.data, whole, folder / "cache", options.steps),))
    session.start()
    session.join()
    lost: list[str] = []
    writing = unfinished = 0
    for _ in tqdm(range(options.kills), desc="killing", unit="kill"):
        session = context.Process(target=train, args=(words(options.data, killed, folder / "cache", options.steps),))
        start = max(committed(killed), default=0)
        session.start()
        while max(committed(killed), default=0) == start and session.is_alive():
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, options.seconds))
        seen = committed(killed)
        unfinished += session.is_alive()
        session.kill()
        session.join()
        left = committed(killed)
        writing += any((killed / "checkpoints").glob(".step_*"))
        lost += damaged(killed)
        # Those of before may be gone only where as many newer ones have come.
        newest = sorted(seen | left)[-KEEP:]
        lost += [f"step {step} of {sorted(seen)} is gone" for step in newest if step in seen and step not in left]
    reached = max(committed(killed), default=0)
    session = context.Process(target=train, args=(words(options.data, killed, folder / "cache", options.steps),))
    session.start()
    session.join()
    report = {
        "kills": options.kills,
        "while_training": unfinished,
        "while_writing_a_checkpoint": writing,
        "lost": lost,
        "step_after_the_last_kill": reached,
        "steps": options.steps,
        "losses_as_without_kills": losses(killed) == losses(whole),
        "policy_exported": (killed / "policy" / "model.safetensors").exists(),
    }
    sys.stdout.write(json.dumps(report) + "\n")
    shutil.rmtree(folder)
    return 0 if not lost and report["losses_as_without_kills"] and report["policy_exported"] else 1


if __name__ == "__main__":
    sys.exit(main())
