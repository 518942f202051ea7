"""The world in small steps, as the simulation node drives it."""

from __future__ import annotations

import numpy as np
import pytest

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.simulation.realtime.world_driver import WorldDriver

PERIOD = 0.02


@pytest.fixture
def world() -> TabletopWorld:
    world = TabletopWorld(image_size=(32, 32))
    world.reset("stack_blocks", seed=1)
    return world


def planned_up(world: TabletopWorld) -> np.ndarray:
    """A pose (7,) 15 cm above the present one."""
    pose = world.tcp_pose()
    pose[2] += 0.15
    return pose


def test_the_arm_follows_a_planned_trajectory_and_arrives(world: TabletopWorld) -> None:
    driver = WorldDriver(world)
    pose = planned_up(world)
    trajectory = MotionPlanner(world.robot).plan(world.arm_positions(), pose)
    driver.follow(trajectory)
    assert not driver.has_arrived()
    for _ in range(int((trajectory.duration + 1.0) / PERIOD)):
        driver.advance(PERIOD, 0.0)
        if driver.has_arrived():
            break
    assert driver.has_arrived()
    assert np.allclose(driver.arm_state().measured, trajectory.positions[-1], atol=2e-3)
    assert np.allclose(world.tcp_pose()[:3], pose[:3], atol=2e-3)


def test_a_brake_brings_a_moving_arm_to_rest_short_of_its_goal(world: TabletopWorld) -> None:
    driver = WorldDriver(world)
    trajectory = MotionPlanner(world.robot).plan(world.arm_positions(), planned_up(world))
    driver.follow(trajectory)
    while driver.arm_state().elapsed < trajectory.duration / 2.0:
        driver.advance(PERIOD, 0.0)
    driver.brake()
    for _ in range(30):
        _, velocities = driver.advance(PERIOD, 0.0)
    assert driver.reference_rests()
    assert max(abs(velocities[name]) for name in world.robot.arm_joint_names) < 0.01
    assert np.abs(driver.arm_state().measured - trajectory.positions[-1]).max() > 0.02


def test_fingers_rest_where_they_were_sent(world: TabletopWorld) -> None:
    driver = WorldDriver(world)
    for position in (0.0, 0.04):
        arrival = driver.move_fingers(position)
        for _ in range(100):
            driver.advance(PERIOD, 0.0)
            if driver.fingers_rest(position, arrival):
                break
        assert driver.fingers_rest(position, arrival)
        assert driver.finger_position() == pytest.approx(position, abs=2e-3)


def test_fingers_that_hold_something_wide_have_let_go_of_it_when_they_are_said_to_rest(world: TabletopWorld) -> None:
    seed = next(s for s in range(50) if "apple" in world.reset("put_item_in_bowl", seed=s).sentences[0])
    goal, planner = world.reset("put_item_in_bowl", seed=seed), MotionPlanner(world.robot)
    for waypoint in list(world.tasks[goal.task].expert(world, goal.slots))[:2]:
        world.execute(planner.plan(world.arm_positions(), waypoint.pose))
    driver = WorldDriver(world)
    for position, least, most in ((0.0, 0.028, 0.032), (0.04, 0.036, 0.041)):
        arrival = driver.move_fingers(position)
        for _ in range(200):
            driver.advance(PERIOD, 0.0)
            if driver.fingers_rest(position, arrival):
                break
        assert least < driver.finger_position() < most


def test_a_held_up_process_does_not_run_ahead(world: TabletopWorld) -> None:
    driver = WorldDriver(world)
    before = world.time
    driver.advance(60.0, 0.0)
    assert world.time - before < 0.2


def test_a_copied_scene_stays_while_the_world_goes_on_and_has_the_time_of_its_state(world: TabletopWorld) -> None:
    driver = WorldDriver(world)
    driver.advance(PERIOD, 7.0)
    scene = driver.copy_scene()
    assert scene is not None
    time = scene.data.time
    driver.advance(PERIOD, 7.5)
    assert scene.data.time == time
    assert scene.stamp == 7.0
    assert world.data.time > time


def test_a_new_table_is_drawn_once_it_has_a_time_of_its_own(world: TabletopWorld) -> None:
    """With that of the table before, the arm would be taken to be where it was then."""
    driver = WorldDriver(world)
    assert driver.copy_scene() is None
    driver.advance(PERIOD, 7.0)
    driver.change(lambda: world.reset("push_buttons", seed=5).task)
    assert driver.copy_scene() is None
    driver.advance(PERIOD, 7.5)
    scene = driver.copy_scene()
    assert scene is not None
    assert scene.stamp == 7.5
    assert scene.model is world.model


def test_where_the_arm_is_has_the_time_of_the_joint_states_that_say_so(world: TabletopWorld) -> None:
    """However much later it is asked for: on a busy machine physics stands still for a while."""
    driver = WorldDriver(world)
    assert driver.arm_state().stamp is None
    driver.follow(MotionPlanner(world.robot).plan(world.arm_positions(), planned_up(world)))
    for stamp in (7.0, 7.1, 7.25):
        published, _ = driver.advance(0.1, stamp)
        state = driver.arm_state()
        assert state.stamp == stamp
        assert state.measured.tolist() == [published[name] for name in world.robot.arm_joint_names]
    driver.change(lambda: world.reset("push_buttons", seed=5).task)
    assert driver.arm_state().stamp is None


def test_a_new_table_is_noticed_and_ends_the_motion(world: TabletopWorld) -> None:
    driver = WorldDriver(world)
    driver.follow(MotionPlanner(world.robot).plan(world.arm_positions(), planned_up(world)))

    def lay() -> str:
        return world.reset("push_buttons", seed=5).task

    assert driver.change(lay) == ("push_buttons", True)
    assert driver.reference_rests()
    assert driver.change(lambda: "nothing") == ("nothing", False)
