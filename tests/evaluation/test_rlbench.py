"""The RLBench evaluation keeps the published protocol, against a double of the simulator's interface."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.data import RLBENCH_FUSION
from mini_diffuser_ros.evaluation import EpisodeResult, roll_out
from mini_diffuser_ros.evaluation.rlbench import PERACT_TASKS, RlbenchProtocol
from mini_diffuser_ros.evaluation.rlbench_layouts import Layout
from mini_diffuser_ros.evaluation.rlbench_world import RlbenchWorld
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running import LoopSettings, WorldError, WorldStartError

from . import rlbench_double as double

PROTOCOL = RlbenchProtocol(tasks=("touch_ball",), episodes=2, cameras=("front",), image_size=64)


class Finder:
    """Goes to the middle of what is red, above it first, and closes there."""

    def __init__(self, first_above: float = 0.2) -> None:
        self.first_above = first_above
        self.heard: list[str] = []

    def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> list[KeyframeMode]:
        red = cloud.points[cloud.colors[:, 0] > 150]
        if not len(red):
            raise ValueError("nothing red")
        above = self.first_above if not self.heard else 0.0
        self.heard.append(sentence)
        position = red.mean(axis=0) + np.array([0.0, 0.0, above])
        pose = np.array([*position, 2.0, 0.0, 0.0, 0.0])
        return [KeyframeMode(pose, bool(above), terminate=False, share=1.0, spread=0.0)]


@pytest.fixture(params=["S", "P", "G"])
def behaviour(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> double.Behaviour:
    return double.install(monkeypatch, distribution=request.param)


@pytest.fixture
def world(behaviour: double.Behaviour) -> RlbenchWorld:
    return start()


def start() -> RlbenchWorld:
    made = RlbenchWorld(PROTOCOL.cameras, PROTOCOL.image_size, RLBENCH_FUSION)
    made.choose("touch_ball")
    return made


def run(
    world: RlbenchWorld, seed: int = 0, policy: Finder | None = None, loop: LoopSettings | None = None
) -> EpisodeResult:
    sentences = world.reset(Layout(0, seed))
    return roll_out(world, policy or Finder(), "touch_ball", sentences[0], seed, loop or PROTOCOL.loop)


def test_defaults_are_the_published_protocol() -> None:
    protocol = RlbenchProtocol()
    assert len(protocol.tasks) == len(set(PERACT_TASKS)) == 18
    assert (protocol.episodes, protocol.loop.keyframe_limit, protocol.loop.max_tries) == (25, 25, 10)
    assert protocol.image_size == 256
    assert protocol.cameras == ("left_shoulder", "right_shoulder", "wrist", "front")


def test_the_simulator_is_asked_for_metric_depth_and_planned_absolute_poses(
    behaviour: double.Behaviour, world: RlbenchWorld
) -> None:
    assert behaviour.calls[:2] == [("environment", False, True), ("launch",)]
    front, wrist = behaviour.configuration.front_camera, behaviour.configuration.wrist_camera
    assert all((front.rgb, front.depth, front.depth_in_meters))
    assert not any((front.mask, front.point_cloud, wrist.rgb, wrist.depth))
    assert (front.image_size, front.render_mode) == ((64, 64), "opengl")


def test_the_cloud_lies_where_the_ball_is(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    world.reset(Layout(0, 5))
    cloud = world.look(0.0)
    red = cloud.points[cloud.colors[:, 0] > 150]
    np.testing.assert_allclose(red.mean(axis=0), behaviour.calls[-1][2], atol=0.01)
    assert cloud.frame == "world"


def test_a_reward_at_any_step_is_success(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    result = run(world)
    assert result.success
    assert result.outcome == "rewarded"
    assert len(result.decisions) == 2
    # PerAct's RLBench alone takes a ninth number, which says that nothing is to be avoided.
    endings = {tuple(action[8:]) for action in behaviour.actions}
    assert endings == ({(1.0,)} if behaviour.distribution == "P" else {()})
    # Above the ball; down with the gripper as it was; closed there.
    assert [action[7] for action in behaviour.actions] == [1.0, 1.0, 0.0]
    np.testing.assert_allclose([action[3:7] for action in behaviour.actions], [[1, 0, 0, 0]] * 3)


def test_a_missed_goal_is_tried_again_and_the_gripper_waits(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    # 4 cm short is near enough to go on above the ball, but not to close at it.
    behaviour.short_by = [0.04, 0.04, 0.04, 0.0]
    result = run(world)
    assert result.success
    assert [action[7] for action in behaviour.actions] == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_a_goal_never_reached_leaves_the_gripper_open(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    behaviour.short_by = [0.1]
    result = run(world)
    assert not result.success
    assert result.outcome == "keyframe limit"
    assert len(result.decisions) == 25
    assert len(behaviour.actions) == 25 * 10
    assert all(action[7] == 1.0 for action in behaviour.actions)


def test_a_refusal_of_the_simulator_fails_the_episode(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    behaviour.refuse_at = 1
    result = run(world)
    assert not result.success
    assert result.outcome == "the simulator refused: Could not perform IK via Jacobian for tip pose"


def test_nothing_to_decide_on_fails_the_episode(world: RlbenchWorld) -> None:
    world.reset(Layout(0, 0))
    (view,) = world.sight.views
    world.sight = replace(world.sight, views=(replace(view, depth=np.zeros_like(view.depth)),))
    result = roll_out(world, Finder(), "touch_ball", "touch the ball", 0, PROTOCOL.loop)
    assert not result.success
    assert result.outcome == "the policy cannot decide: nothing red"


def test_in_the_loop_of_the_nodes_a_refused_candidate_gives_way_to_the_next(
    behaviour: double.Behaviour, world: RlbenchWorld
) -> None:
    class Hesitant(Finder):
        def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> list[KeyframeMode]:
            (mode,) = super().decide(cloud, sentence, samples, steps, seed)
            return [mode, replace(mode, terminate=not mode.gripper_open)]

    behaviour.refuse_at = 1
    result = run(world, policy=Hesitant(), loop=LoopSettings(settle_time=0.0))
    assert (result.success, result.outcome, result.keyframes) == (True, "terminated", 2)
    assert [decision.made.report.chosen for decision in result.decisions] == [0, 1]
    assert "IK" in result.decisions[1].made.report.refusals[0]


def test_a_gripper_that_holds_something_off_centre_is_kept_closed(
    behaviour: double.Behaviour, world: RlbenchWorld
) -> None:
    behaviour.handle = True
    world.reset(Layout(0, 0))
    at_ball = np.array([*behaviour.calls[-1][2], 1.0, 0.0, 0.0, 0.0])
    above = at_ball + np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
    world.move([KeyframeMode(at_ball, False, terminate=False, share=1.0, spread=0.0)])
    assert world.sight.gripper_open, "the double measures the finger that hardly closed"
    world.move([KeyframeMode(above, False, terminate=False, share=1.0, spread=0.0)])
    assert not behaviour.released
    world.move([KeyframeMode(above, True, terminate=False, share=1.0, spread=0.0)])
    assert behaviour.released, "told to open, it lets go"


def test_the_next_episode_begins_with_the_gripper_that_it_has(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    assert run(world).success
    run(world, policy=Finder())
    assert [action[7] for action in behaviour.actions] == [1.0, 1.0, 0.0] * 2


def test_the_arm_is_taken_out_with_boxes_or_without(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    behaviour.arm_in_sight = True
    world.reset(Layout(0, 0))
    cloud = world.look(0.0)
    assert not (cloud.colors[:, 2] > 150).any()
    assert (cloud.colors[:, 0] > 150).sum() > 3, "the ball is still there"


def test_a_task_is_loaded_once_for_each_variation(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    for variation in (0, 0, 1, 1, 1):
        assert world.choose("touch_ball") == 3
        world.reset(Layout(variation, 0))
    assert behaviour.calls.count(("load", "touch_ball")) == 2


def test_only_stepjams_reset_can_repeat_a_demonstrations_placements(
    behaviour: double.Behaviour, world: RlbenchWorld
) -> None:
    placed = []
    for attempts in (None, 1, 3):
        world.reset(Layout(0, 5, attempts))
        placed.append(behaviour.calls[-1][2])
    assert placed[0] == placed[1]
    assert (placed[2] != placed[0]) == (behaviour.distribution == "S")


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("unplaceable", "cannot be laid out: TaskEnvironmentError: Could not place"),
        ("broken", "failed in a move: RuntimeError: The call failed"),
    ],
)
def test_a_failure_of_the_simulator_is_none_of_the_policy(
    behaviour: double.Behaviour, world: RlbenchWorld, fault: str, named: str
) -> None:
    setattr(behaviour, fault, (0,))
    with pytest.raises(WorldError, match=named):
        run(world)


def test_an_arm_that_is_nowhere_is_a_failure_of_the_simulator(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    behaviour.short_by = [float("nan")]
    with pytest.raises(WorldError, match="path without length, cshizhe/PyRep"):
        run(world)


def test_a_launch_that_fails_says_so(behaviour: double.Behaviour) -> None:
    behaviour.unlaunched = 1
    before = Path.cwd()
    with pytest.raises(WorldStartError, match="COPPELIASIM_ROOT not defined"):
        start()
    assert Path.cwd() == before, "files of the evaluation are relative to it"
    assert start() is not None


def test_variations_that_cannot_be_counted_are_a_failure_of_the_task(behaviour: double.Behaviour) -> None:
    behaviour.uncounted = True
    with pytest.raises(WorldError, match="touch_ball: its variations cannot be counted: RuntimeError") as caught:
        start()
    assert not isinstance(caught.value, WorldStartError), "others may go on"
