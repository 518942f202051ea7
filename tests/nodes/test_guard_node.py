"""The guard has to live where everything else hangs: it is small and loads little."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "mujoco", "scipy", "ompl", "mini_diffuser_ros.motion", "mini_diffuser_ros.policy")


@pytest.mark.process
def test_the_guard_imports_neither_the_planner_nor_the_policy() -> None:
    listing = "import sys, mini_diffuser_ros.nodes.guard_node; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert "rclpy" in modules
    assert [name for name in HEAVY if name in modules] == []
