"""Success is judged on the physics, and only the named things count."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.simulation import TASKS, TabletopWorld, make_goal
from mini_diffuser_ros.simulation.objects import BLOCK_SIZE
from mini_diffuser_ros.simulation.placing import REGION, scatter, smallest_yaw


def place(world: TabletopWorld, body: str, position: tuple[float, float, float]) -> None:
    """Puts a movable object somewhere, at rest."""
    joint = world.model.joint(body)
    qpos, qvel = joint.qposadr[0], joint.dofadr[0]
    world.data.qpos[qpos : qpos + 3] = position
    world.data.qvel[qvel : qvel + 6] = 0.0
    world.step(0.3)


def press(world: TabletopWorld, color: str) -> None:
    """Pushes a cap down for a moment."""
    world.data.qpos[world.model.joint(f"button_{color}_cap").qposadr[0]] = -0.009
    world.step(0.1)


def other_color(world: TabletopWorld, kind: str) -> str:
    named = world.goal.slots.values()
    names = [world.model.body(index).name for index in range(world.model.nbody)]
    colors = [name.removeprefix(f"{kind}_") for name in names if name.startswith(f"{kind}_")]
    return next(color for color in colors if color not in named and not color.endswith("_cap"))


def test_only_the_named_button_counts_and_a_press_is_remembered(world: TabletopWorld) -> None:
    goal = world.reset("push_buttons", 3)
    assert not world.success()
    press(world, goal.slots["color"])
    assert world.success()
    world.step(0.5)
    assert world.data.qpos[world.model.joint(f"button_{goal.slots['color']}_cap").qposadr[0]] > -0.002
    assert world.success()
    press(world, other_color(world, "button"))
    assert not world.success()


def test_a_new_goal_forgets_what_was_pressed(world: TabletopWorld) -> None:
    goal = world.reset("push_buttons", 4)
    press(world, goal.slots["color"])
    other = other_color(world, "button")
    world.pursue(make_goal("push_buttons", {"color": other}))
    assert not world.success()
    press(world, other)
    assert world.success()


def test_a_stack_counts_if_it_stands_and_the_gripper_has_let_go(world: TabletopWorld) -> None:
    goal = world.reset("stack_blocks", 5)
    world.set_gripper(open=True)
    top, bottom = f"block_{goal.slots['top']}", f"block_{goal.slots['bottom']}"
    x, y, z = world.body_pose(bottom)[:3, 3]
    assert not world.success()
    place(world, top, (x + 0.015, y, z + BLOCK_SIZE + 0.002))
    assert world.success()
    world.set_gripper(open=False)
    assert not world.success()
    world.set_gripper(open=True)
    assert world.success()


@pytest.mark.parametrize("offset", [(0.05, 0.0, 0.0), (0.0, 0.03, BLOCK_SIZE + 0.02)])
def test_a_block_beside_or_fallen_off_is_no_stack(world: TabletopWorld, offset: tuple[float, float, float]) -> None:
    goal = world.reset("stack_blocks", 6)
    world.set_gripper(open=True)
    x, y, z = world.body_pose(f"block_{goal.slots['bottom']}")[:3, 3]
    place(world, f"block_{goal.slots['top']}", (x + offset[0], y + offset[1], z + offset[2]))
    assert not world.success()


def test_a_stack_the_wrong_way_round_does_not_count(world: TabletopWorld) -> None:
    goal = world.reset("stack_blocks", 7)
    world.set_gripper(open=True)
    x, y, z = world.body_pose(f"block_{goal.slots['top']}")[:3, 3]
    place(world, f"block_{goal.slots['bottom']}", (x, y, z + BLOCK_SIZE + 0.002))
    assert not world.success()
    world.pursue(make_goal("stack_blocks", {"top": goal.slots["bottom"], "bottom": goal.slots["top"]}))
    assert world.success()


def test_only_the_named_item_may_lie_in_the_bowl(world: TabletopWorld) -> None:
    goal = world.reset("put_item_in_bowl", 8)
    world.set_gripper(open=True)
    named = f"item_{goal.slots['item'].replace(' ', '_')}"
    other = next(name for name in world.free_bodies() if name not in (named, "bowl"))
    x, y, _ = world.body_pose("bowl")[:3, 3]
    assert not world.success()
    place(world, named, (x, y, 0.05))
    assert world.success()
    place(world, other, (x, y, 0.10))
    assert not world.success()


@pytest.mark.parametrize("task", TASKS)
def test_layouts_lie_in_the_region_with_every_named_thing(world: TabletopWorld, task: str) -> None:
    for seed in range(10):
        goal = world.reset(task, seed)
        for body in TASKS[task].required_bodies(goal.slots):
            x, y, _ = world.body_pose(body)[:3, 3]
            assert REGION[0][0] - 0.01 <= x <= REGION[0][1] + 0.01
            assert REGION[1][0] - 0.01 <= y <= REGION[1][1] + 0.01


def test_every_variation_can_be_laid_out(world: TabletopWorld) -> None:
    for task in ("push_buttons", "put_item_in_bowl"):
        for seed, slots in enumerate(TASKS[task].variations):
            goal = world.reset(task, seed, make_goal(task, slots))
            assert goal.slots == slots
            assert world.has_objects_for(task, slots)


def test_scattered_places_keep_their_distance() -> None:
    places = np.array(scatter(np.random.default_rng(0), 4, 0.11))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)[np.triu_indices(4, 1)]
    assert distances.min() >= 0.11


def test_the_smallest_equivalent_yaw_lies_in_the_half_open_range() -> None:
    for yaw in np.linspace(-10.0, 10.0, 1001):
        reduced = smallest_yaw(float(yaw), np.pi)
        assert -np.pi / 2 < reduced <= np.pi / 2
        assert np.sin(yaw - reduced) == pytest.approx(0.0, abs=1e-9)
