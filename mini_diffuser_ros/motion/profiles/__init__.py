"""Named sets of the planner's limits: for simulation, near people, behind a fence.

A profile is a YAML file with fields of :class:`MotionConfig`, here or anywhere; what it leaves out keeps its default.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.support.settings import SettingsError, read_settings, unknown_name

_FOLDER = Path(__file__).parent

PROFILES: tuple[str, ...] = tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))
"""Names that :func:`load_profile` knows: the files beside this module."""


def load_profile(profile: str) -> MotionConfig:
    """The planner's settings of a profile.

    Args:
        profile: one of :data:`PROFILES`, or the path of a YAML file of your own; a text with a slash in it is a path.

    Raises:
        SettingsError: listing the known names, or naming file and field.
    """
    if "/" in profile:
        return read_settings(MotionConfig, profile)
    if profile not in PROFILES:
        raise SettingsError("profile", f"is unknown: {unknown_name(profile, PROFILES, 'profile')}")
    return read_settings(MotionConfig, _FOLDER / f"{profile}.yaml")


def slowed(config: MotionConfig, speed: float) -> MotionConfig:
    """The settings with a fraction, in (0, 1], of their velocities of joints and tool; never below the least."""
    return replace(
        config,
        velocity_scaling=max(0.01, config.velocity_scaling * speed),
        max_tool_speed=max(0.001, config.max_tool_speed * speed),
    )
