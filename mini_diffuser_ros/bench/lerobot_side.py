"""What LeRobot itself does with datasets, in an interpreter that has it: run as a file, by ``bench lerobot``.

Nothing of this package is imported: it is not installed there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lerobot import __version__
from lerobot.datasets.lerobot_dataset import LeRobotDataset

NAME = "bench/lerobot"


def read(root: Path, out: Path) -> None:
    """Every frame, as LeRobot's loader gives it to a training: a column of all frames each feature."""
    dataset = LeRobotDataset(NAME, root=root)
    frames = [dataset[number] for number in range(len(dataset))]
    columns: dict[str, Any] = {name: np.stack([_plain(frame[name]) for frame in frames]) for name in frames[0]}
    np.savez(out, **columns)


def write(columns: Path, features: Path, root: Path) -> None:
    """A dataset by LeRobot's own recorder, of frames that come one after another."""
    values = dict(np.load(columns))
    episodes, tasks = values.pop("episode"), values.pop("task")
    declared = {
        name: {**feature, "shape": tuple(feature["shape"])}
        for name, feature in json.loads(features.read_text()).items()
    }
    dataset = LeRobotDataset.create(NAME, fps=1, features=declared, root=root, use_videos=False)
    for number, episode in enumerate(episodes):
        dataset.add_frame({**{name: value[number] for name, value in values.items()}, "task": str(tasks[number])})
        if number + 1 == len(episodes) or episodes[number + 1] != episode:
            dataset.save_episode()
    dataset.finalize()


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else np.asarray(value)


def main(words: list[str]) -> None:
    """``read ROOT OUT`` or ``write COLUMNS FEATURES ROOT``; says LeRobot's version."""
    verb, *rest = words
    if verb == "read":
        read(Path(rest[0]), Path(rest[1]))
    else:
        write(Path(rest[0]), Path(rest[1]), Path(rest[2]))
    sys.stdout.write(f"\n{__version__}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
