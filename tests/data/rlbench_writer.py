"""Writes made-up demonstrations in the layouts of RLBench, PerAct and 3D-LOTUS, without any of their code."""

import json
import pickle
import sys
import types
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import scene

FIVE = ("left_shoulder", "right_shoulder", "overhead", "wrist", "front")
FOUR = ("left_shoulder", "right_shoulder", "wrist", "front")


def _class_named(module: str, name: str) -> type:
    """A class that pickles as ``module.name``; pickle looks it up there when it writes."""
    made = type(name, (), {"__module__": module})
    for depth in range(len(module.split("."))):
        package = ".".join(module.split(".")[: depth + 1])
        sys.modules.setdefault(package, types.ModuleType(package))
    setattr(sys.modules[module], name, made)
    return made


Demo = _class_named("rlbench.demo", "Demo")
Observation = _class_named("rlbench.backend.observation", "Observation")


@dataclass(frozen=True)
class Motion:
    """What an arm did.

    Attributes:
        poses: (T, 7) gripper xyz + xyzw, world frame.
        gripper_open: (T,).
        velocities, joints: (T, 7).
        keyframes: which frames are the keyframes, by construction.
    """

    poses: NDArray[np.float64]
    gripper_open: NDArray[np.float64]
    velocities: NDArray[np.float64]
    joints: NDArray[np.float64]
    keyframes: tuple[int, ...]


def motion(seed: int = 0, frames: int = 24) -> Motion:
    """Moves, rests at frame 8, closes the gripper at frame 12, moves on and ends."""
    rng = np.random.default_rng(seed)
    quaternions = rng.normal(size=(frames, 4))
    poses = np.hstack([rng.uniform((0.0, -0.3, 0.7), (0.6, 0.3, 1.3), (frames, 3)), quaternions])
    poses[:, 3:] /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    velocities = rng.uniform(0.2, 0.5, (frames, 7))
    velocities[8:11] = 0.01
    gripper = np.where(np.arange(frames) < 12, 1.0, 0.0)
    return Motion(poses, gripper, velocities, rng.normal(size=(frames, 7)), (0, 8, 12, frames - 1))


def write_demo(
    folder: Path,
    moves: Motion,
    cameras: tuple[str, ...] = FIVE,
    more: dict[str, Any] | None = None,
    core: str = "numpy._core",
) -> None:
    """One episode folder: the pickle and every camera's images of every frame.

    Args:
        more: added to ``misc`` of each observation.
        core: what numpy's inner package is called in the pickle; older writers have ``numpy.core``.
    """
    folder.mkdir(parents=True)
    rigs = scene.cameras(cameras)
    demo = Demo()
    demo._observations = [_observation(moves, t, rigs, more or {}) for t in range(len(moves.poses))]
    demo.random_seed = np.random.RandomState(0).get_state()
    demo.num_reset_attempts = 1
    (folder / "low_dim_obs.pkl").write_bytes(dumps(demo, core))
    for rig in rigs:
        image = scene.render(rig)
        code = image.depth_code
        pictures = {
            "rgb": image.rgb,
            "depth": np.stack([code >> 16, code >> 8 & 255, code & 255], axis=-1),
            "mask": np.stack([image.mask & 255, image.mask >> 8 & 255, image.mask >> 16], axis=-1),
        }
        for kind, pixels in pictures.items():
            (folder / f"{rig.name}_{kind}").mkdir()
            png = BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(png, "PNG")
            for t in range(len(moves.poses)):
                (folder / f"{rig.name}_{kind}" / f"{t}.png").write_bytes(png.getvalue())


def dumps(value: object, core: str = "numpy._core") -> bytes:
    """A pickle of protocol 4, numpy's inner package called as wanted."""
    data = pickle.dumps(value, protocol=4)
    if core == "numpy._core":
        return data
    # A name is stored with its length before it, so that of another length takes more than a replacement; without
    # frames, whose lengths would change too.
    return _without_frames(value).replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")


def _without_frames(value: object) -> bytes:
    stream = BytesIO()
    pickler = pickle._Pickler(stream, protocol=4)  # type: ignore[attr-defined]
    pickler.framer.start_framing = lambda: None
    pickler.dump(value)
    return stream.getvalue()


def _observation(moves: Motion, t: int, rigs: list[scene.Camera], more: dict[str, Any]) -> Any:
    observation = Observation()
    for name in FIVE:
        for kind in ("rgb", "depth", "mask", "point_cloud"):
            setattr(observation, f"{name}_{kind}", None)
    observation.gripper_pose = moves.poses[t]
    observation.gripper_open = float(moves.gripper_open[t])
    observation.joint_velocities = moves.velocities[t]
    observation.joint_positions = moves.joints[t]
    observation.gripper_joint_positions = np.array([0.04, 0.04])
    observation.ignore_collisions = np.array([1.0])
    observation.misc = {"variation_index": 3, "joint_poses": [moves.poses[t]] * 7, **more}
    for rig in rigs:
        observation.misc[f"{rig.name}_camera_extrinsics"] = rig.extrinsics
        observation.misc[f"{rig.name}_camera_intrinsics"] = rig.intrinsics
        observation.misc[f"{rig.name}_camera_near"] = scene.NEAR
        observation.misc[f"{rig.name}_camera_far"] = np.float64(scene.FAR)
    return observation


def write_raw(root: Path, task: str, variation: int, episodes: int, sentences: list[str], **more: Any) -> None:
    """``<task>/variation<N>/episodes/episode<M>``."""
    folder = root / task / f"variation{variation}"
    for number in range(episodes):
        write_demo(folder / "episodes" / f"episode{number}", motion(number), **more)
    (folder / "variation_descriptions.pkl").write_bytes(dumps(sentences))


def write_peract(root: Path, task: str, variations: list[int], sentences: list[str]) -> None:
    """``<task>/all_variations/episodes/episode<M>``, one episode for each variation given."""
    for number, variation in enumerate(variations):
        folder = root / task / "all_variations" / "episodes" / f"episode{number}"
        write_demo(folder, motion(number), FOUR)
        (folder / "variation_number.pkl").write_bytes(dumps(variation))
        (folder / "variation_descriptions.pkl").write_bytes(dumps(sentences))


def write_lotus(folder: Path, episodes: dict[str, dict[str, Any]]) -> None:
    """One keystep LMDB; see :func:`keysteps`."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, values in episodes.items():
            transaction.put(key.encode(), msgpack.packb(values, default=array_map))


def write_sentences(file: Path, table: dict[str, list[str]]) -> None:
    """The sentences of keysteps."""
    file.write_text(json.dumps(table), encoding="utf-8")


def keysteps(seed: int = 0, steps: int = 4, points: int = 50) -> dict[str, Any]:
    """An episode of keysteps with random clouds, the arm's first link boxed."""
    rng = np.random.default_rng(seed)
    moves = motion(seed)
    frames = list(range(0, 4 * steps, 4))
    link = np.tile([0.0, 0.0, 0.8, 0.0, 0.0, np.sin(0.3), np.cos(0.3)], (steps, 1))
    limits = np.tile([-0.1, 0.1, -0.2, 0.2, -0.05, 0.05], (steps, 1))
    return {
        "xyz": [
            rng.uniform((-0.5, -1.0, 0.6), (0.5, 1.0, 1.1), (points + t, 3)).astype(np.float32) for t in range(steps)
        ],
        "rgb": [rng.integers(0, 256, (points + t, 3), dtype=np.uint8) for t in range(steps)],
        "sem": [],
        "action": np.hstack([moves.poses[frames], moves.gripper_open[frames][:, None]]),
        "key_frameids": frames,
        "bbox_info": {"Panda_link1_respondable_bbox": limits, "Panda_leftfinger_visual_bbox": limits},
        "pose_info": {"Panda_link1_respondable_pose": link, "Panda_leftfinger_visual_pose": link},
    }


def array_map(value: Any) -> dict[bytes, Any]:
    """What msgpack-numpy makes of an array or a number of numpy's."""
    if isinstance(value, np.ndarray):
        return {b"nd": True, b"type": value.dtype.str, b"kind": b"", b"shape": value.shape, b"data": value.tobytes()}
    return {b"nd": False, b"type": value.dtype.str, b"data": value.tobytes()}
