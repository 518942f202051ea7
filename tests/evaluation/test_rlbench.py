"""The RLBench evaluation keeps the published protocol, against a double of the simulator's interface."""

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import RLBENCH_FUSION
from mini_diffuser_ros.evaluation import EpisodeResult, EvaluationError, evaluation_report, roll_out
from mini_diffuser_ros.evaluation.rlbench import PERACT_TASKS, RlbenchProtocol
from mini_diffuser_ros.evaluation.rlbench_world import RlbenchWorld, stored_layouts
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.records import Cloud, KeyframeMode, Workspace
from mini_diffuser_ros.running import LoopSettings

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


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch) -> double.Behaviour:
    return double.install(monkeypatch)


@pytest.fixture
def world(behaviour: double.Behaviour) -> RlbenchWorld:
    made = RlbenchWorld(PROTOCOL.cameras, PROTOCOL.image_size, RLBENCH_FUSION)
    made.choose("touch_ball")
    return made


def run(
    world: RlbenchWorld, seed: int = 0, policy: Finder | None = None, loop: LoopSettings | None = None
) -> EpisodeResult:
    sentences = world.reset(0, seed)
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
    assert behaviour.calls[:2] == [("environment", (("planned", False), "discrete"), True), ("launch",)]
    front, wrist = behaviour.configuration.front_camera, behaviour.configuration.wrist_camera
    assert all((front.rgb, front.depth, front.depth_in_meters))
    assert not any((front.mask, front.point_cloud, wrist.rgb, wrist.depth))
    assert (front.image_size, front.render_mode) == ((64, 64), "opengl")


def test_the_cloud_lies_where_the_ball_is(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    world.reset(0, 5)
    cloud = world.look(0.0)
    red = cloud.points[cloud.colors[:, 0] > 150]
    np.testing.assert_allclose(red.mean(axis=0), behaviour.calls[-1][2], atol=0.01)
    assert cloud.frame == "world"


def test_a_reward_at_any_step_is_success(behaviour: double.Behaviour, world: RlbenchWorld) -> None:
    result = run(world)
    assert result.success
    assert result.outcome == "rewarded"
    assert len(result.decisions) == 2
    assert all(action.shape == (8,) for action in behaviour.actions)
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
    world.reset(0, 0)
    nothing = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "world")
    world.sight = replace(world.sight, cloud=nothing)
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


def test_seeds_and_stored_states_lay_out_alike(
    behaviour: double.Behaviour, world: RlbenchWorld, tmp_path: Path
) -> None:
    for seed in (3, 4, 3):
        world.reset(0, seed)
    first, second, third = (call[2] for call in behaviour.calls[-3:])
    assert first == third != second
    folder = tmp_path / "touch_ball" / "variation2" / "episodes" / "episode0"
    folder.mkdir(parents=True)
    (folder / "low_dim_obs.pkl").write_bytes(_demo_pickle(np.random.RandomState(3).get_state()))
    ((variation, state),) = stored_layouts(tmp_path, "touch_ball")
    world.reset(variation, state)
    assert behaviour.calls[-1] == ("reset", 2, first)
    with pytest.raises(EvaluationError, match="close_jar"):
        stored_layouts(tmp_path, "close_jar")


def _demo_pickle(state: tuple) -> bytes:
    """A pickled rlbench.demo.Demo that holds nothing but its generator's state."""
    module = type(sys)("rlbench.demo")
    demo = type("Demo", (), {"__module__": "rlbench.demo"})
    module.Demo = demo  # type: ignore[attr-defined]
    stored = demo()
    stored.random_seed = state
    stored._observations = []
    with patch.dict(sys.modules, {"rlbench.demo": module}):
        return pickle.dumps(stored, protocol=4)


def test_the_command_writes_the_same_report_as_for_the_table_top(
    behaviour: double.Behaviour, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "policy"
    workspace = Workspace((-0.5, -1.0, 0.7505), (1.5, 1.0, 2.0))
    scene = {"workspace": workspace, "table_height": 0.7505, "voxel_size": 0.02}
    config = MiniDiffuserConfig.small(scene=scene, losses={"heatmap_level": 0})
    save_policy(MiniDiffuser(config), checkpoint, fusion=RLBENCH_FUSION)
    words = ["--world", "rlbench", "--tasks", "touch_ball", "--episodes", "2", "--cameras", "front", "--workers", "1"]
    words += ["--image-size", "64", "--samples", "2", "--steps", "1", "--max-keyframes", "2", "--seed", "7"]
    assert main(["eval", str(checkpoint), *words, "--json", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    like = evaluation_report("c", TabletopProtocol(tasks=("t",)), [EpisodeResult("t", 0, "s", True, "o", ())])
    assert report.keys() == like.keys()
    assert report["tasks"]["touch_ball"].keys() == like["tasks"]["t"].keys()
    assert report["episodes"][0].keys() == like["episodes"][0].keys()
    assert report["tasks"]["touch_ball"]["episodes"] == 2
    assert report["protocol"]["loop"]["keyframe_limit"] == 2
    assert [episode["sentence"] for episode in report["episodes"]] == [
        "touch the ball, variation 0",
        "touch the ball, variation 1",
    ]
    assert "touch_ball" in capsys.readouterr().out
    for extra, named in (
        (["--cameras", "rear"], "rear"),
        (["--tasks", "juggle"], "juggle"),
        (["--sentences", "absent.json"], "absent.json"),
        (["--demonstrations", str(tmp_path)], "touch_ball"),
        (["--renderer", "rays"], "renderer"),
        (["--settle-time", "0.1"], "settle-time"),
        (["--protocol", "mine"], "known: deployed, published"),
        (["--json", str(tmp_path / "absent" / "report.json")], "absent/report.json: cannot be written"),
        (["--json", str(tmp_path)], "is a directory"),
    ):
        assert main(["eval", str(checkpoint), *words, *extra]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser eval:")]
        assert named in line
    with pytest.raises(SystemExit):
        main(["eval", str(checkpoint), *words, "--candidates", "0"])
    assert "argument --candidates: '0' is not a whole number of at least 1" in capsys.readouterr().err


def test_without_rlbench_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # None in sys.modules makes the import fail whether or not it is installed.
    monkeypatch.setitem(sys.modules, "rlbench", None)
    monkeypatch.setitem(sys.modules, "pyrep", None)
    save_policy(
        MiniDiffuser(MiniDiffuserConfig.small(scene={"voxel_size": 0.02}, losses={"heatmap_level": 0})), tmp_path
    )
    assert main(["eval", str(tmp_path), "--world", "rlbench"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    for part in ("CoppeliaSim", "stepjam/RLBench", "not on PyPI", "unrelated"):
        assert part in error
