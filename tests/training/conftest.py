"""Small synthetic demonstrations: blobs of colour on a table, one of which the sentence names."""

import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.records import CameraView, Cloud, Episode, Keyframe

# Imported for the first time, as the verbs do, it starts a process, which fast tests may not.
with suppress(ImportError):
    import mujoco  # noqa: F401

COLORS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220)}
HOME = (0.45, 0.0, 0.45)


def blob(center: np.ndarray, color: tuple[int, int, int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of a 4 cm cube standing at ``center``."""
    points = center + random.uniform(-0.02, 0.02, (60, 3))
    return points.astype(np.float32), np.tile(np.array(color, np.uint8), (60, 1))


def top_views(seed: int) -> tuple[CameraView, ...]:
    """A camera a metre above the table that looks straight down on a patch of noise 4 cm high."""
    random = np.random.default_rng(seed)
    base_from_camera = np.diag([1.0, -1.0, -1.0, 1.0])
    base_from_camera[:3, 3] = (0.5, 0.0, 1.0)
    view = CameraView(
        name="top",
        color=random.integers(0, 256, (24, 24, 3), dtype=np.uint8),
        depth=np.full((24, 24), 0.96, np.float32),
        intrinsics=np.array([[60.0, 0.0, 11.5], [0.0, 60.0, 11.5], [0.0, 0.0, 1.0]]),
        base_from_camera=base_from_camera,
    )
    return (view,)


def pick_episode(seed: int) -> Episode:
    """Pick the named one of three blobs up and put it on the next one."""
    random = np.random.default_rng(seed)
    names = list(random.permutation(list(COLORS)))
    centers = np.array([[0.40, -0.2, 0.02], [0.5, 0.0, 0.02], [0.62, 0.2, 0.02]])
    centers[:, :2] += random.uniform(-0.03, 0.03, (3, 2))
    parts = [blob(center, COLORS[name], random) for center, name in zip(centers, names, strict=True)]
    cloud = Cloud(np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts]), "panda_link0")
    above, down, target = np.array([0, 0, 0.15]), centers[0], centers[1]
    stops = [HOME, down + above, down, down + above, target + above, target + above / 3, target + above]
    opens = [True, True, False, False, False, True, True]
    quaternion = top_down_quaternion(random.uniform(-0.5, 0.5))
    keyframes = [
        Keyframe(np.array([*stop, *quaternion]), is_open, float(t), lambda: cloud, partial(top_views, seed))
        for t, (stop, is_open) in enumerate(zip(stops, opens, strict=True))
    ]
    sentences = (f"put the {names[0]} block on the {names[1]} block", f"stack {names[0]} on {names[1]}")
    return Episode("stack_blobs", 0, sentences, keyframes, f"seed {seed}")


@pytest.fixture(scope="session")
def make_episode() -> Callable[[int], Episode]:
    """Makes the synthetic episode of a seed."""
    return pick_episode


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A directory of three recorded episodes."""
    store = EpisodeStore(tmp_path / "recordings")
    for seed in range(3):
        store.write(pick_episode(seed), seed)
    return store.path


def edit_recording(file: Path, change: Callable[[dict[str, Any]], None], to: Path | None = None) -> Path:
    """Change the index of a recording, as somebody who edits it or another program would; its images stay."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members["episode.json"])
    change(index)
    members["episode.json"] = json.dumps(index).encode()
    with zipfile.ZipFile(target := to or file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target
