"""What a camera is fixed to: it may move with a link of the arm, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Pose = NDArray[np.floating]
LinkPoses = Callable[[], Mapping[str, Pose]]
"""Gives link name to (4, 4) base_from_link at the time of the image; empty where nobody knows."""


SINCE, ANEW = "this node started", "restart this node"


class MountWatch:
    """Finds out by content what one camera is fixed to, and notices when it no longer is.

    A camera that has not moved against the base needs no link. Once it has, there has to be a link that it has moved
    with; a calibration that changed, a tripod that was pushed or a frame that was published anew moves with none.

    Args:
        moved_by: metres that it may move against what it is fixed to.
        turned_by: radians, likewise.
        fixed: metres and radians by which it may move against the base without a link that it moved with, if that is
            less: the frame of a camera on a tripod does not move at all, while that of one on the hand is as exact as
            the joint states are on time.
        since: when it was first seen, in words.
        anew: what to do once it is calibrated after it has moved, in words.
    """

    def __init__(
        self,
        moved_by: float,
        turned_by: float,
        since: str = SINCE,
        anew: str = ANEW,
        fixed: tuple[float, float] | None = None,
    ) -> None:
        self._held_within = (moved_by, turned_by)
        self._fixed_within = self._held_within if fixed is None else fixed
        self._since, self._anew = since, anew
        self._base: Pose | None = None
        self._links: dict[str, Pose] = {}  # link_from_camera where the camera was first seen
        self._left: set[str] = set()  # links that have moved away from where they were under the camera
        self._holds: str | None = None  # the link that it moves with; None for the base

    @property
    def is_fixed(self) -> bool:
        """Whether it has never moved against the base."""
        return self._holds is None

    def is_off_arm(self, links: LinkPoses, base: str) -> bool:
        """Whether it is known not to be on the arm: each link has been elsewhere meanwhile, and it has not moved.

        Args:
            links: where the arm's links are now.
            base: name of the link that does not move.
        """
        if self._base is None or not self.is_fixed:
            return False
        waiting = self._links.keys() - self._left - {base}
        if waiting:
            now = _from_links(links(), self._base)
            self._left |= {
                name
                for name in waiting & now.keys()
                if not _within(difference(self._links[name], now[name]), self._held_within)
            }
        return bool(self._left) and self._links.keys() <= self._left | {base}

    def fault(self, base_from_camera: Pose, links: LinkPoses) -> str:
        """How the camera has moved, in words that follow its name; empty if it may be where it is.

        Args:
            base_from_camera: (4, 4) at the time of an image.
            links: where the arm's links were then; asked only when it matters.
        """
        if self._base is None:
            self._base = np.array(base_from_camera)
        apart = difference(self._base, base_from_camera)
        if self._holds is None and _within(apart, self._fixed_within):
            if not self._links:  # nobody may have known them yet
                self._links = _from_links(links(), base_from_camera)
            return ""
        now = _from_links(links(), base_from_camera)
        # The one that held last comes first: it holds as a rule.
        for link in sorted(self._links.keys() & now.keys(), key=lambda name: name != self._holds):
            rest = difference(self._links[link], now[link])
            if _within(rest, self._held_within) and (self._holds is not None or self._explains(rest, apart)):
                self._holds = link
                return ""
        if self._holds is not None and _within(apart, self._held_within):
            return ""
        return self._told(base_from_camera, now)

    def _told(self, base_from_camera: Pose, now: Mapping[str, Pose]) -> str:
        holder = self._holds if self._holds in now else None
        before, after = (self._base, base_from_camera) if holder is None else (self._links[holder], now[holder])
        assert before is not None
        moved, turned = difference(before, after)
        against = "the base, and with no link of the arm" if holder is None else holder
        return (
            f"has moved by {moved:.3f} m and {np.degrees(turned):.1f} degrees against {against} since "
            f"{self._since}: calibrate it anew if it was pushed, or find out who else publishes its frame; then "
            f"{self._anew}"
        )

    def _explains(self, rest: tuple[float, float], apart: tuple[float, float]) -> bool:
        """Whether moving with a link leaves little of the way: with one that rests, a pushed tripod moves as well."""
        return all(
            left <= max(allowed, 0.5 * way) for left, allowed, way in zip(rest, self._fixed_within, apart, strict=True)
        )


def _within(difference: tuple[float, float], limits: tuple[float, float]) -> bool:
    return difference[0] <= limits[0] and difference[1] <= limits[1]


def _from_links(links: Mapping[str, Pose], base_from_camera: Pose) -> dict[str, Pose]:
    return {name: np.linalg.solve(base_from_link, base_from_camera) for name, base_from_link in links.items()}


def difference(before: Pose, after: Pose) -> tuple[float, float]:
    """Metres and radians between two poses."""
    moved = float(np.linalg.norm(after[:3, 3] - before[:3, 3]))
    # Twice the sine of half the angle, over the square root of 2: exact for small ones, where the trace is not.
    apart = float(np.linalg.norm(after[:3, :3] - before[:3, :3])) / np.sqrt(8.0)
    return moved, 2.0 * float(np.arcsin(min(1.0, apart)))
