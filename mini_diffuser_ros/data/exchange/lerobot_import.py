"""Episodes of ours that went out as a LeRobotDataset, read back: equal, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.exchange.incoming import IncomingEpisode, no_cloud
from mini_diffuser_ros.data.exchange.lerobot_folder import EpisodePlace, LeRobotFolder
from mini_diffuser_ros.data.exchange.lerobot_layout import (
    DEPTH,
    DIGEST,
    EPISODE,
    EPISODE_VERSION,
    EXTRINSICS,
    GRIPPER_NAME,
    IMAGES,
    INTRINSICS,
    LENS,
    LENS_VALUES,
    POSE_NAMES,
    STAMP,
    STAMPS,
    STATE,
)
from mini_diffuser_ros.data.fields import Fields, parse_json
from mini_diffuser_ros.data.formats.episode_file import MAX_KEYFRAMES
from mini_diffuser_ros.data.formats.images import decode_color, depth_metres
from mini_diffuser_ros.records import CameraView, Distortion, Episode, Keyframe, Provenance
from mini_diffuser_ros.robots import ROBOTS


def is_ours(folder: LeRobotFolder) -> bool:
    """Whether :func:`export_lerobot` wrote a dataset; LeRobot's tools may have taken parts of it since."""
    return {EPISODE, DIGEST, STATE, STAMP} <= set(folder.info.features)


def exported_episode(folder: LeRobotFolder, place: EpisodePlace, robot: str | None = None) -> IncomingEpisode:
    """One episode of ours.

    Args:
        folder: of the dataset.
        place: where the episode is.
        robot: name or folder of a robot description, instead of the one that the episode names.

    Raises:
        EpisodeFileError: if something is not as it was written, naming it.
    """
    if not 2 <= place.length <= MAX_KEYFRAMES:
        raise EpisodeFileError(
            place.file, f"episode {place.index} has {place.length} frames, expected 2 to {MAX_KEYFRAMES}"
        )
    texts = folder.texts(place, EPISODE)
    about = [Fields(place.file, parse_json(place.file, text.encode(), EPISODE), "", EPISODE) for text in texts]
    about[0].expect("version", EPISODE_VERSION)
    if about[0].has("keyframes") and about[0].integer("keyframes") != place.length:
        raise about[0].fault("keyframes", f"{place.length}, as many as there are: the others are gone")
    world = about[0].child("world")
    source, named = about[0].text("source"), about[0].optional_text("robot")
    if robot is None and named is not None and named not in ROBOTS:
        raise about[0].fault("robot", f"one of {', '.join(ROBOTS)}: name its description with --robot")
    episode = Episode(
        task=about[0].text("task"),
        variation=about[0].integer("variation"),
        sentences=about[0].texts("sentences"),
        keyframes=tuple(_keyframes(folder, place, about)),
        source=source,
        provenance=Provenance(
            world.names("worlds"), world.names("robots"), world.names("cells"), world.names("cameras")
        ),
    )
    return IncomingEpisode(
        episode,
        robot=named if robot is None else robot,
        frame=about[0].text("base_frame"),
        name=about[0].text("name"),
        digests=folder.texts(place, DIGEST),
        exported_robot=named,
    )


@dataclass(frozen=True, eq=False)
class _Lenses:
    """What the frames of an episode say of a camera, T values each."""

    name: str
    stamps: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    extrinsics: NDArray[np.float64]
    coefficients: NDArray[np.float64]


def _keyframes(folder: LeRobotFolder, place: EpisodePlace, about: list[Fields]) -> Iterator[Keyframe]:
    names = folder.feature(STATE).names or ()
    expected = (*POSE_NAMES, GRIPPER_NAME)
    if names[:8] != expected or len(names) != folder.feature(STATE).shape[0]:
        raise EpisodeFileError(folder.info.root, f"{STATE} has names {names}, expected {expected} and joints")
    state, stamps = folder.numbers(place, STATE), folder.numbers(place, STAMP)
    cameras = [
        _lenses(folder, place, name.removeprefix(IMAGES)) for name in folder.info.features if name.startswith(IMAGES)
    ]
    unit = about[0].length("depth_unit_metres")
    for number, values in enumerate(state):
        yield Keyframe(
            pose=values[:7],
            gripper_open=bool(values[7]),
            stamp=float(stamps[number]),
            load_cloud=no_cloud,
            load_views=partial(_views, folder, place, number, cameras, unit, about[number].child("lenses")),
            joint_positions=dict(zip(names[8:], values[8:].tolist(), strict=True)),
        )


def _lenses(folder: LeRobotFolder, place: EpisodePlace, camera: str) -> _Lenses:
    shapes = {STAMPS: (), INTRINSICS: (3, 3), EXTRINSICS: (4, 4), LENS: (LENS_VALUES,)}
    found = []
    for beginning, shape in shapes.items():
        values = folder.numbers(place, beginning + camera)
        if values.shape[1:] != shape:
            raise EpisodeFileError(place.file, f"{beginning}{camera} is of shape {values.shape[1:]}, expected {shape}")
        found.append(values)
    return _Lenses(camera, *found)


def _views(
    folder: LeRobotFolder, place: EpisodePlace, number: int, cameras: list[_Lenses], unit: float, lenses: Fields
) -> tuple[CameraView, ...]:
    names = [beginning + camera.name for camera in cameras for beginning in (IMAGES, DEPTH)]
    frame = folder.frame(place, number, names)
    return tuple(_view(place, frame, number, camera, unit, lenses) for camera in cameras)


def _view(
    place: EpisodePlace, frame: dict[str, Any], number: int, camera: _Lenses, unit: float, lenses: Fields
) -> CameraView:
    steps = frame[DEPTH + camera.name]
    if steps.dtype != np.uint16 or steps.ndim != 2:
        raise EpisodeFileError(place.file, f"{DEPTH}{camera.name} is {steps.dtype}, expected uint16 of two dimensions")
    try:
        color = decode_color(frame[IMAGES + camera.name])
    except ValueError as error:
        raise EpisodeFileError(place.file, f"{IMAGES}{camera.name} of frame {number}: {error}") from error
    return CameraView(
        name=camera.name,
        color=color,
        depth=depth_metres(steps, unit),
        intrinsics=camera.intrinsics[number],
        base_from_camera=camera.extrinsics[number],
        stamp=float(camera.stamps[number]),
        distortion=_distortion(lenses, camera.name, camera.coefficients[number]),
    )


def _distortion(lenses: Fields, camera: str, coefficients: NDArray[np.float64]) -> Distortion:
    if not lenses.has(camera):
        return Distortion()
    said = lenses.child(camera)
    return Distortion(said.text("model"), tuple(coefficients[: said.integer("count")].tolist()))
