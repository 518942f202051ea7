"""Where a cell has its cameras, and whether they are there: TF may say something else, by a publisher of before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.cell.cell import Cell, frame_from_optical
from mini_diffuser_ros.sensing.mounts import LinkPoses, Pose, difference

IN_BODY = (0.1, 0.1)
"""Metres and radians by which a lens may be elsewhere than the body that was calibrated; its driver knows it better."""


@dataclass(frozen=True, eq=False)
class CalibratedPlace:
    """Where a camera was calibrated to be.

    Attributes:
        frame: that was calibrated.
        parent: frame that it is fixed to.
        parent_from_frame: (4, 4).
    """

    frame: str
    parent: str
    parent_from_frame: Pose

    @property
    def is_body(self) -> bool:
        """Whether the camera's body was calibrated, within which its driver gives the frame of the images."""
        return not np.array_equal(frame_from_optical(self.frame), np.eye(4))


def camera_places(cell: Cell | None) -> Mapping[str, CalibratedPlace]:
    """Camera to where the cell has it, of those whose place it gives."""
    cameras = {} if cell is None else cell.cameras
    return {
        name: CalibratedPlace(cell.frame_of(name), camera.parent, camera.parent_from_camera)
        for name, camera in cameras.items()
        if cell is not None and camera.parent
    }


def misplaced(
    place: CalibratedPlace,
    frame: str,
    base_from_camera: Pose,
    base: str,
    links: LinkPoses,
    within: tuple[tuple[float, float], tuple[float, float]],
) -> str:
    """How far a camera is from where the cell has it, in words that follow its name; empty if it is there.

    Args:
        place: where it was calibrated to be.
        frame: of its images.
        base_from_camera: (4, 4) of that frame, by TF.
        base: name of the base frame.
        links: where the arm's links are at that time.
        within: metres and radians that are allowed, of one fixed to the base and of one on a link of the arm.
    """
    if frame != place.frame and not place.is_body:
        return (
            f"has images in frame '{frame}', but the cell has the place of '{place.frame}': calibrate the frame of the "
            "images, and name it (cameras.<name>.frame of the cell)"
        )
    base_from_parent = np.eye(4) if place.parent == base else links().get(place.parent)
    if base_from_parent is None:
        return ""  # a frame that is no link, or nobody knows where the arm is
    expected = base_from_parent @ place.parent_from_frame @ frame_from_optical(place.frame)
    moved, turned = difference(expected, base_from_camera)
    most_moved, most_turned = IN_BODY if place.is_body else within[place.parent != base]
    if moved <= most_moved and turned <= most_turned:
        return ""
    on = "" if place.parent == base else f" on {place.parent}"
    return (
        f"is {moved:.3f} m and {np.degrees(turned):.1f} degrees from where the cell has it{on}: find out who else "
        f"publishes frame '{frame}', and end one of the two"
    )
