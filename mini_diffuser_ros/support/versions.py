"""Which software is installed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

REPORTED = ("mini_diffuser_ros", "pocketros", "torch", "numpy", "mujoco", "cyclonedds")
"""Distributions that what happened may depend on."""


def installed_version(distribution: str) -> str:
    """Version of a distribution of Python, empty where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def software_versions() -> dict[str, str]:
    """Name to version of what a report tells of this machine; what is not there is left out."""
    found = {name: installed_version(name) for name in REPORTED}
    found |= {"ROS": os.environ.get("ROS_DISTRO", ""), "Python": platform.python_version(), "system": _system()}
    return {name: said for name, said in found.items() if said}


def _system() -> str:
    return f"{platform.system()} {platform.release()} ({platform.machine()}, {os.cpu_count()} cores)"
