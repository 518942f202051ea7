"""The scripted expert in LIBERO itself: `make test-libero`."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from mini_diffuser_ros.libero.replaying import LiberoReplay
from mini_diffuser_ros.libero.world import LiberoSettings, LiberoWorld
from mini_diffuser_ros.running.demonstrating import demonstrate_in

pytestmark = [
    pytest.mark.libero,
    pytest.mark.process,  # llvmpipe and numba start some
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("libero") is None, reason="LIBERO is not installed; make test-libero"),
]

FLAT = "pick_up_the_cream_cheese_and_place_it_in_the_basket"


def test_a_flat_thing_is_demonstrated_and_its_states_can_be_shown_again() -> None:
    settings = LiberoSettings(
        suite="libero_object", layouts="sampled", renderer="rays", image_size=48, cameras=("agentview",)
    )
    world = LiberoWorld(settings)
    episode = demonstrate_in(world, FLAT, 10001)
    assert [keyframe.gripper_open for keyframe in episode.keyframes] == [True, True, False, False, False, True, True]
    assert episode.keyframes[2].pose[2] < 0.013
    data, shown = world.environment.data, LiberoReplay(world)
    state = np.concatenate([[data.time], data.qpos, data.qvel])
    there = world.tcp_pose()
    world.lay_out(FLAT, 3)
    shown.show(state, {})
    np.testing.assert_allclose(shown.tcp_pose(), there, atol=1e-9)
    assert world.success()
    assert shown.arm_velocities(state).shape == (7,)
    world.close()
