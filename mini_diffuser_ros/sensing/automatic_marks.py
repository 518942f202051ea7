"""When an arm that is led by hand or teleoperated has come to a keyframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mini_diffuser_ros.sensing.rest import Rest
from mini_diffuser_ros.support.settings import check_fields, not_expected


@dataclass(frozen=True)
class AutoConfig:
    """What makes a keyframe of a rest.

    Attributes:
        rest_time: seconds that the arm has to rest for a keyframe.
        least_motion: radians that a joint must have turned since the last keyframe, unless the gripper has changed.
    """

    rest_time: float = 0.6
    least_motion: float = 0.05

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("rest_time", "least_motion"):
            if not getattr(self, name) > 0.0:
                raise not_expected(name, getattr(self, name), "a number above 0")


class AutomaticMarks:
    """RLBench's keypoint discovery on a live arm: a keyframe where the arm stops and where the gripper has changed.

    The first rest of an episode is its first keyframe. A later one is a keyframe if the arm stands somewhere else than
    at the last keyframe, or if the gripper has changed. Each rest is asked for once.

    Args:
        config: what makes a keyframe of a rest.
    """

    def __init__(self, config: AutoConfig) -> None:
        self._config = config
        self._last: tuple[dict[str, float], bool] | None = None
        self._asked: float | None = None  # begin of the last rest that was due

    def restart(self) -> None:
        """An episode without keyframes begins."""
        self._last = self._asked = None

    def go_on_from(self, arm: Mapping[str, float], gripper_open: bool) -> None:
        """The last keyframe of the episode is this one.

        Args:
            arm: joint name to radians.
            gripper_open: state of the gripper.
        """
        self._last = dict(arm), gripper_open

    def is_due(self, rest: Rest | None, arm: Mapping[str, float], gripper_open: bool) -> bool:
        """Whether a keyframe has to be recorded now; true once for each rest.

        Args:
            rest: the present one, None while the arm moves.
            arm: joint name to radians, now.
            gripper_open: state of the gripper, now.
        """
        if rest is None or rest.since == self._asked or rest.until - rest.since < self._config.rest_time:
            return False
        if not self.differs(arm, gripper_open):
            return False
        self._asked = rest.since
        return True

    def differs(self, arm: Mapping[str, float], gripper_open: bool) -> bool:
        """Whether the arm is somewhere else than at the last keyframe, or the gripper has changed since."""
        if self._last is None:
            return True
        then, was_open = self._last
        turned = max((abs(arm[name] - then[name]) for name in arm if name in then), default=0.0)
        return was_open != gripper_open or turned >= self._config.least_motion
