"""What the cameras show, believed or not: pictures change, depth measures, places hold, cameras agree."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.perception import InvalidViewError
from mini_diffuser_ros.perception.content import ContentConfig, check_measures, check_pose, check_unit
from mini_diffuser_ros.perception.survey import Finding, survey
from mini_diffuser_ros.records import CameraView, Workspace
from mini_diffuser_ros.sensing.camera_places import CalibratedPlace, misplaced
from mini_diffuser_ros.sensing.mounts import ANEW, SINCE, LinkPoses, MountWatch
from mini_diffuser_ros.sensing.still_pictures import KINDS, StillPartsWatch, StillPictureWatch, told_parts, told_still

RESTS = (0.002, 0.004)  # metres and radians that cameras may move from one set to the next to count as at rest


@dataclass(frozen=True, eq=False)
class Pictures:
    """What one camera sent, as it came.

    Attributes:
        camera: its name.
        frame: that the images are in.
        color, depth: bytes.
    """

    camera: str
    frame: str
    color: memoryview | bytes
    depth: memoryview | bytes


class ContentWatch:
    """Remembers what the cameras have shown, and says what a cloud of theirs must not be made of.

    Args:
        cameras: names.
        workspace: in the base frame.
        base: name of the base frame.
        config: what is not believed.
        places: camera to where it was calibrated to be.
        since: from when on a camera has to stay where it is, in words.
        anew: what to do once one that has moved is calibrated, in words.
        fused_as: a view with the pose that fusion gives it, as that is what a cloud is made of; its own by default.

    Attributes:
        sees_workspace: whether the last survey found that fixed cameras see the workspace, empty or not, as it is.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        workspace: Workspace,
        base: str,
        config: ContentConfig,
        since: str = SINCE,
        anew: str = ANEW,
        places: Mapping[str, CalibratedPlace] | None = None,
        fused_as: Callable[[CameraView], CameraView] = lambda view: view,
    ) -> None:
        self._fused_as = fused_as
        self._places = places or {}
        self._workspace, self._base, self._config = workspace, base, config
        self._pictures = {(name, kind): StillPictureWatch(config.still_after) for name in cameras for kind in KINDS}
        self._parts = {(name, kind): StillPartsWatch(config.still_after) for name in cameras for kind in KINDS}
        fixed = (config.fixed_moved_by, config.fixed_turned_by)
        self._places_within = (fixed, (config.moved_by, config.turned_by))
        self._mounts = {name: MountWatch(config.moved_by, config.turned_by, since, anew, fixed) for name in cameras}
        self._known_faults: dict[str, tuple[float, str]] = {}  # camera to when it last had one, and to which
        self._rest = {name: MountWatch(*RESTS) for name in cameras}
        self._findings: list[Finding] = []
        self._suspected = config.survey_period > 0.0  # until the first survey
        self._surveyed = self.sees_workspace = False
        self._next_survey = 0.0

    def forget_pictures(self) -> None:
        """Time began anew, as with a recording that begins again: what was shown before may be shown again."""
        after = self._config.still_after
        self._pictures = {which: StillPictureWatch(after) for which in self._pictures}
        self._parts = {which: StillPartsWatch(after) for which in self._parts}

    def faults(
        self,
        pictures: Sequence[Pictures],
        views: Sequence[CameraView],
        blind: Mapping[str, str],
        links: LinkPoses,
        steady: float,
    ) -> dict[str, str]:
        """Camera to what is wrong with what it shows, in one line; a cloud with it would mislead.

        Args:
            pictures: of one set.
            views: the same as records.
            blind: of :meth:`blind`.
            links: where the arm's links are at that time.
            steady: seconds of the steady clock.
        """
        found: dict[str, str] = {}
        views_by_name = {view.name: view for view in views}
        for one in pictures:
            if fault := self._fault(one, views_by_name[one.camera], blind.get(one.camera, ""), links, steady):
                found[one.camera] = fault
        found.update(_same_frames(pictures))
        return self._with_recent(found, views_by_name, steady)

    def blind(self, views: Sequence[CameraView]) -> dict[str, str]:
        """Cameras whose views measure nothing, and why.

        That of a camera on the arm may be too near to what it looks at.
        """
        found = {}
        for view in views:
            try:
                check_measures(view, self._config)
            except InvalidViewError as error:
                found[view.name] = error.problem
        return found

    def remember(self, views: Sequence[CameraView], links: LinkPoses) -> None:
        """Take cameras to be where they were when these views were taken; ``links`` is where the arm's were then."""
        for view in views:
            if view.name in self._mounts:
                self._mounts[view.name].fault(np.asarray(view.base_from_camera), links)

    def survey(self, views: Sequence[CameraView], arm_rests: bool, steady: float, links: LinkPoses = dict) -> None:
        """Compare the cameras with one another, if it is time to and nothing moves.

        Args:
            views: of one set.
            arm_rests: whether the arm does.
            steady: seconds of the steady clock.
            links: where the arm's links are.
        """
        at_rest = [self._stands(view) for view in views]
        self._surveyed = False
        if self._config.survey_period == 0.0 or steady < self._next_survey or not (arm_rests and all(at_rest)):
            return
        self._surveyed = True
        fixed = [view.name for view in views if self._mounts[view.name].is_fixed]
        off_arm = [name for name in fixed if self._is_off_arm(name, links)]
        findings = survey([self._fused_as(view) for view in views], fixed, self._workspace, self._config, off_arm)
        # What passes by at speed is seen once; what is wrong stays.
        self.sees_workspace = bool(fixed) and not findings
        self._suspected = bool(findings) and not self._findings and not self._suspected
        self._findings = [] if self._suspected else findings
        self._next_survey = steady if self._suspected else steady + self._config.survey_period

    def is_undecided(self) -> bool:
        """Whether another survey has to come before a cloud can be believed; while things move there is none."""
        return self._suspected and self._surveyed

    def findings(self) -> dict[str, str]:
        """Camera to what the last survey found."""
        return {finding.camera: finding.message for finding in reversed(self._findings)}  # the first of each counts

    def _with_recent(self, found: dict[str, str], shown: Container[str], steady: float) -> dict[str, str]:
        """Faults of now and of a moment ago: what comes and goes, such as a camera that swings, is not well between."""
        self._known_faults.update({name: (steady, fault) for name, fault in found.items()})
        return found | {
            name: fault
            for name, (since, fault) in self._known_faults.items()
            if name in shown and name not in found and steady - since < self._config.trusted_after
        }

    def _fault(self, pictures: Pictures, view: CameraView, blind: str, links: LinkPoses, steady: float) -> str:
        pose = np.asarray(view.base_from_camera)
        try:
            check_pose(pictures.camera, pose, self._workspace, self._base, self._config)
            check_unit(view, self._config)
        except InvalidViewError as error:
            return error.problem
        if moved := self._mounts[pictures.camera].fault(pose, links):
            return moved
        place = self._places.get(pictures.camera)
        if place and (fault := misplaced(place, pictures.frame, pose, self._base, links, self._places_within)):
            return fault
        if blind and self._mounts[pictures.camera].is_fixed:
            return blind
        shown = ((pictures.color, view.color), (pictures.depth, view.depth))
        for kind, (data, pixels) in zip(KINDS, shown, strict=True):
            if blind and kind == "depth":
                continue  # one without noise, as there is nothing in it
            picture = np.frombuffer(data, dtype=np.uint8)
            still = self._pictures[pictures.camera, kind].still_for(picture, steady)
            if still:
                return told_still(kind, still)
            # Colour that was compressed has lost the noise of its even parts.
            whole = kind == "depth" or len(data) >= pixels.size
            if whole and (share := self._parts[pictures.camera, kind].still_share(pixels, steady)):
                return told_parts(kind, share)
        return ""

    def _is_off_arm(self, name: str, links: LinkPoses) -> bool:
        """Whether a camera that has not moved yet is known not to be on the arm: by the cell, or as that has moved."""
        place = self._places.get(name)
        if place is not None and place.parent == self._base:
            return True
        return self._mounts[name].is_off_arm(links, self._base)

    def _stands(self, view: CameraView) -> bool:
        pose = np.asarray(view.base_from_camera)
        stands = not self._rest[view.name].fault(pose, dict)
        if not stands:
            self._rest[view.name] = MountWatch(*RESTS)
            self._rest[view.name].fault(pose, dict)
        return stands


def _same_frames(pictures: Sequence[Pictures]) -> Mapping[str, str]:
    """Cameras whose images are all in one frame: at least one of them is not where that is."""
    names: dict[str, list[str]] = {}
    for one in pictures:
        names.setdefault(one.frame, []).append(one.camera)
    return {
        camera: f"its images are in frame '{name}' like those of {', '.join(one for one in cameras if one != camera)}: "
        "each camera needs a frame of its own"
        for name, cameras in names.items()
        if len(cameras) > 1
        for camera in cameras
    }
