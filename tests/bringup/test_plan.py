"""What the launch's arguments start, and which it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.bringup.plan import RVIZ_TOPICS, SIMULATED_CAMERAS, Bringup, moved_topics, plan_bringup
from mini_diffuser_ros.records import LAB, RLBENCH, TABLE, UNSAID, Provenance
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.simulation.cameras import tabletop_cameras
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.sealing import unsealed
from mini_diffuser_ros.support.settings import to_mapping

REPOSITORY = Path(__file__).parents[2]
CONFIG, SHIPPED = REPOSITORY / "config", REPOSITORY / "models" / "tabletop"
EXAMPLE = CONFIG / "cells" / "example.yaml"
SESSION = Path("/session")
SIMULATED = ("perception_node", "policy_node", "motion_node", "guard_node", "sim_node")


DEFAULTS = {
    "robot": "",
    "cell": "",
    "cameras": "",
    "camera_driver": "none",
    "checkpoint": "",
    "allow_simulated_policy": "false",
    "accept_unfamiliar": "false",
    "device": "cpu",
    "profile": "",
    "speed": "",
    "instruction": "",
    "exit_on_done": "false",
    "confirm": "false",
    "dry_run": "false",
    "sensor": "",
    "seed": "0",
    "record": "false",
    "composed": "false",
    "respawn": "false",
    "params": "",
    "namespace": "",
}


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    """The launch's defaults, with folders of the test's."""
    return {**DEFAULTS, **{name: str(tmp_path / name) for name in ("runs", "recordings", "bags")}}


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A policy that was taught in a lab."""
    return policy(tmp_path / "taught", {"stack_cups": ["put the espresso cup on its saucer", "press the blue button"]})


def policy(folder: Path, tasks: dict[str, list[str]], world: Provenance = UNSAID) -> Path:
    """A checkpoint that says that it was taught these sentences, in a world."""
    values = unsealed(json.loads((SHIPPED / "config.json").read_text()))
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**values, "tasks": tasks, "world": to_mapping(world)}))
    return folder


def test_the_simulated_stack(arguments: dict[str, str]) -> None:
    plan = plan_bringup({**arguments, "instruction": " press the blue button ", "seed": "7"}, SESSION, SHIPPED)
    assert plan.nodes == SIMULATED
    assert plan.run
    assert not plan.record
    assert plan.overrides["run_node"]["instruction"] == "press the blue button"
    assert plan.overrides["sim_node"]["seed"] == plan.overrides["policy_node"]["seed"] == 7
    assert plan.overrides["perception_node"]["checkpoint"] == str(SHIPPED)


@pytest.mark.parametrize(
    ("sensor", "policy"),
    [("", "tabletop"), ("perfect", "tabletop"), ("d435", "tabletop_d435"), ("d435 scale=2", "tabletop_d435")],
)
def test_cameras_with_errors_get_the_policy_that_learned_with_them_unless_another_is_given(
    arguments: dict[str, str], taught: Path, sensor: str, policy: str
) -> None:
    asked = {**arguments, "sensor": sensor}
    overrides = plan_bringup(asked, SESSION, SHIPPED).overrides
    for node in ("perception_node", "policy_node"):
        assert overrides[node]["checkpoint"] == str(SHIPPED.parent / policy)
    given = plan_bringup({**asked, "checkpoint": str(taught)}, SESSION, SHIPPED).overrides
    assert given["policy_node"]["checkpoint"] == str(taught)


def test_a_lab(arguments: dict[str, str], taught: Path) -> None:
    lab = {"cell": str(EXAMPLE), "camera_driver": "realsense", "checkpoint": str(taught), "record": "true"}
    plan = plan_bringup({**arguments, **lab}, SESSION, SHIPPED)
    assert plan.robot == "fr3"
    assert set(plan.nodes) == {
        "perception_node",
        "policy_node",
        "motion_node",
        "guard_node",
        "realsense_node",
        "extrinsics_node",
    }
    assert plan.overrides["recorder_node"]["folder"] == arguments["recordings"]
    assert plan.record
    assert not plan.run
    # Each reads the file itself, and nothing that stands in it is said a second time.
    readers = {*plan.nodes, "recorder_node"} - {"policy_node"}
    assert {node for node, values in plan.overrides.items() if values.get("cell") == str(EXAMPLE)} == readers
    said = {name for values in plan.overrides.values() for name in values}
    assert not said & {"robot", "cameras", "serials", "arm_action", "gripper_action", "profile", "speed"}


def test_a_camera_of_the_cell_may_be_chosen(arguments: dict[str, str], taught: Path) -> None:
    lab = {"cell": str(EXAMPLE), "camera_driver": "realsense", "checkpoint": str(taught), "cameras": "wrist"}
    plan = plan_bringup({**arguments, **lab}, SESSION, SHIPPED)
    for node in ("perception_node", "realsense_node", "extrinsics_node"):
        assert plan.overrides[node]["cameras"] == ["wrist"]


def test_a_real_arm_is_driven_by_a_policy_of_the_simulated_table_with_consent_alone(
    arguments: dict[str, str], tmp_path: Path, taught: Path
) -> None:
    real = {**arguments, "robot": "fr3"}
    sentences = ["press the red button", "push the blue button", "press the cyan button"]
    renamed = policy(tmp_path / "my_lab", {"push_buttons": sentences})
    silent = policy(tmp_path / "silent", {})
    waving = {"wave": ["wave at me"]}
    simulated = policy(tmp_path / "simulated", waving, Provenance((RLBENCH, TABLE, "another"), ("panda",)))
    for checkpoint, reason in (
        ("", "robot:=fr3 needs checkpoint:=DIR"),
        (str(SHIPPED), "was trained in simulation alone (simulated table)"),
        (str(simulated), "was trained in simulation alone (RLBench, another, simulated table)"),
        (str(renamed), "was taught the simulated table's sentences alone (push_buttons)"),
        (str(silent), "does not say what it was taught"),
    ):
        with pytest.raises(UserError) as refused:
            plan_bringup({**real, "checkpoint": checkpoint}, SESSION, SHIPPED)
        assert reason in str(refused.value)
        assert "add allow_simulated_policy:=true" in str(refused.value)
        consent = {**real, "checkpoint": checkpoint, "allow_simulated_policy": "true"}
        plan = plan_bringup(consent, SESSION, SHIPPED)
        assert plan.overrides["policy_node"]["checkpoint"] == (checkpoint or str(SHIPPED))
    assert plan_bringup({**real, "checkpoint": str(taught)}, SESSION, SHIPPED).robot == "fr3"


def test_a_policy_of_a_cell_may_know_the_sentences_of_the_table_and_drives_no_other_robot(
    arguments: dict[str, str], tmp_path: Path
) -> None:
    tasks = {"push_buttons": ["press the red button"]}
    own = policy(tmp_path / "own", tasks, Provenance((LAB, TABLE), ("fr3",), ("0123",), ("front",)))
    chosen = {**arguments, "checkpoint": str(own), "robot": "fr3"}
    assert plan_bringup(chosen, SESSION, SHIPPED).overrides["policy_node"]["checkpoint"] == str(own)
    for consent in ("true", "false"):
        with pytest.raises(UserError, match="was trained on fr3, and the arm is panda: give a policy"):
            plan_bringup({**chosen, "robot": "panda", "allow_simulated_policy": consent}, SESSION, SHIPPED)


NUMBERS = ("-1", "nan", "inf", "-inf", "1e400", "9" * 400, "0x10")
NAMES = ("", " ", "my cups", "d'or", '"', "a\nb", "a\tb", "\u2028", "\U0001f9d1\u200d\U0001f373", "ä", "\udcfc")
PLACES = ("..", "../../..", "/", "~", "~/cups", "/proc/self/none", "/dev/null/x", "c" * 256, "c/" * 300, "c" * 5000)
CODE = ("$(true)", "%s", "{0}", "[", "- x", "!!python/object:os.system", "cuda:7", "tpu")
CHOSEN = {
    "allow_simulated_policy",
    "accept_unfamiliar",
    "camera_driver",
    "exit_on_done",
    "confirm",
    "dry_run",
    "record",
    "composed",
    "respawn",
}
"""Arguments of which the launch itself takes its choices alone."""


@pytest.mark.parametrize("name", [*sorted(DEFAULTS.keys() - CHOSEN), "bags", "recordings", "runs"])
def test_whatever_is_typed_is_followed_or_refused_in_a_line_that_names_it(
    arguments: dict[str, str], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "device":
        pytest.importorskip("torch")
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b" / "c")
    refusals = 0
    for text in (*NUMBERS, *NAMES, *PLACES, *CODE):
        try:
            plan = plan_bringup({**arguments, "instruction": "wave", "record": "true", name: text}, SESSION, SHIPPED)
        except UserError as refused:
            said = str(refused)
            assert name in said
            assert len(said.splitlines()) == 1
            assert len(said) < 3000
            said.encode()
            refusals += 1
        else:
            yaml.safe_load(plan.parameter_file().encode())
    assert refusals >= 5


def test_a_gpu_that_is_not_there_is_refused_before_anything_starts(
    arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="device:=cuda: device 'cuda' is not on this machine"):
        plan_bringup({**arguments, "device": "cuda"}, SESSION, SHIPPED)


def test_nothing_is_made_for_a_launch_that_is_refused(arguments: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="speed:=7"):
        plan_bringup({**arguments, "instruction": "wave", "record": "true", "speed": "7"}, SESSION, SHIPPED)
    assert list(tmp_path.iterdir()) == []
    plan_bringup({**arguments, "instruction": "wave"}, SESSION, SHIPPED)
    assert [folder.name for folder in tmp_path.iterdir()] == ["runs"]


def test_the_simulated_cameras_can_have_errors(arguments: dict[str, str]) -> None:
    for line, meant in (("", "perfect"), ("d435 scale=2", "d435 scale=2.0")):
        plan = plan_bringup({**arguments, "sensor": line}, SESSION, SHIPPED)
        assert plan.overrides["sim_node"]["sensor"] == meant


def test_the_simulation_has_these_cameras() -> None:
    assert tuple(camera.name for camera in tabletop_cameras(load_robot("panda"))) == SIMULATED_CAMERAS


CONSENTING = {"allow_simulated_policy": "true"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exit_on_done": "true"}, "needs an instruction"),
        ({"checkpoint": "/nowhere"}, "checkpoint '/nowhere' is no checkpoint directory"),
        ({"cameras": " , "}, "names no camera"),
        ({"cameras": "front,wrist,front"}, "camera 'front' is named twice"),
        ({"cameras": "front,left-shoulder"}, "cameras:=front,left-shoulder: 'left-shoulder' cannot be part"),
        ({"seed": "x"}, "seed 'x' is no whole number"),
        ({"seed": str(2**31)}, "is no whole number"),
        ({"sensor": "d345"}, "sensor:=d345: sensor is 'd345': unknown sensor 'd345'; did you mean 'd435'?"),
        ({"sensor": "d435 scale=-1"}, "sensor.scale is -1"),
        ({"sensor": "d435", "robot": "fr3", **CONSENTING}, "that of simulated cameras"),
        ({"params": "/nowhere.yaml"}, "params:=/nowhere.yaml is no file"),
        ({"record": "true", "recordings": "/dev/null/x"}, "recordings:=/dev/null/x cannot be written into"),
        ({"instruction": "wave", "runs": "/dev/null/x"}, "runs:=/dev/null/x cannot be written"),
        ({"camera_driver": "realsense"}, "brings its own cameras"),
        ({"camera_driver": "realsense", "robot": "fr3", **CONSENTING}, "serial number of 'front'"),
        ({"cell": "/nowhere.yaml"}, "cell /nowhere.yaml: /nowhere.yaml cannot be read"),
        ({"cell": str(EXAMPLE), "robot": "panda"}, "robot:=panda is not the cell's, which is fr3"),
        ({"cell": str(EXAMPLE), "robot": "sim"}, "robot:=sim brings its own cell: leave out cell"),
        ({"cell": str(EXAMPLE), "cameras": "front,side"}, "the cell has no 'side'"),
        ({"cameras": "front,side"}, "robot:=sim has no 'side'"),
        ({"robot": "ur5"}, "robot:=ur5 is not known; known are sim, fr3, panda"),
        ({"namespace": "bad name"}, "namespace:='bad name' cannot be a namespace of ROS"),
        ({"namespace": "2left"}, "namespace:='2left' cannot be"),
        ({"namespace": "a//b"}, "namespace:='a//b' cannot be"),
        ({"composed": "true", "respawn": "true", "instruction": "wave"}, "again after a crash"),
    ],
)
def test_what_cannot_be_followed_is_named_in_one_line(
    arguments: dict[str, str], changed: dict[str, str], reason: str
) -> None:
    with pytest.raises(UserError) as refused:
        plan_bringup({**arguments, **changed}, SESSION, SHIPPED)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("namespace", "section", "reason"),
    [
        ("", "/**/motion_node", ""),
        ("", "motion_node", ""),
        ("", "/**", ""),
        ("", "/*", ""),
        ("left", "/left/motion_node", ""),
        ("left", "left/motion_node", ""),
        ("lab/left", "/lab/**/motion_node", ""),
        ("lab/left", "/*/*/motion_node", ""),
        ("", "/**/recorder_node", ""),  # which this launch does not start
        ("", "motion_nod", "the section /motion_nod is of no node here"),
        ("", "/**/perceptoin_node", "did you mean /**/perception_node?"),
        ("", "/left/motion_node", "whose names are /perception_node and the like; did you mean /**/motion_node?"),
        ("left", "motion_node", "whose names are /left/perception_node and the like"),
        ("left", "/right/motion_node", "the section /right/motion_node is of no node here"),
        ("lab/left", "/*/motion_node", "is of no node here"),
    ],
)
def test_a_section_of_a_parameter_file_is_of_a_node_or_named(
    arguments: dict[str, str], tmp_path: Path, namespace: str, section: str, reason: str
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{section}:\n  ros__parameters:\n    planner.max_tool_speed: 0.05\n")
    given = {**arguments, "namespace": namespace, "params": str(mine)}
    if not reason:
        plan_bringup(given, SESSION, SHIPPED)
        return
    with pytest.raises(BringupError) as refused:
        plan_bringup(given, SESSION, SHIPPED)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


SLOW = "  ros__parameters:\n    planner.max_tool_speed: 0.05\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            f"/**/motion_node:\n{SLOW}/**/motion_node:\n  ros__parameters:\n    rest_speed: 0.02\n",
            "is written twice, in",
        ),
        (f"/**/motion_node:\n{SLOW}    planner.max_tool_speed: 1.0\n", "planner.max_tool_speed is written twice"),
        ("/**/motion_node:\n  planner.max_tool_speed: 0.05\n", "has no ros__parameters"),
        ("/**/motion_node:\n", "/**/motion_node has no ros__parameters, so that nobody reads it"),
        ("- motion_node\n", "holds no sections of nodes"),
        ("", "holds no sections of nodes"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_parameter_file_that_says_less_than_it_seems_to_is_refused(
    arguments: dict[str, str], tmp_path: Path, text: str, reason: str
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(BringupError) as refused:
        plan_bringup({**arguments, "params": str(mine)}, SESSION, SHIPPED)
    assert reason in str(refused.value)


def test_levels_of_a_parameter_file_may_be_namespaces(arguments: dict[str, str], tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("left:\n  motion_node:\n    ros__parameters: {rest_speed: 0.02}\n")
    given = {**arguments, "params": str(mine)}
    plan_bringup({**given, "namespace": "left"}, SESSION, SHIPPED)
    with pytest.raises(BringupError, match="the section /left/motion_node is of no node here"):
        plan_bringup(given, SESSION, SHIPPED)


def test_one_realsense_needs_no_serial_number(arguments: dict[str, str]) -> None:
    plan = plan_bringup(
        {**arguments, "camera_driver": "realsense", "robot": "fr3", "cameras": "front", **CONSENTING}, SESSION, SHIPPED
    )
    assert plan.overrides["realsense_node"] == {"cameras": ["front"]}


def test_rviz_shows_topics_that_a_namespace_moves() -> None:
    displays = yaml.safe_load((CONFIG / "mini_diffuser.rviz").read_text())["Visualization Manager"]["Displays"]
    topics = [display.get("Topic", display.get("Description Topic")) for display in displays]
    assert {topic["Value"] for topic in topics if topic} == {f"/{topic}" for topic in RVIZ_TOPICS}


def test_rviz_shows_frames_of_the_robot() -> None:
    shown = yaml.safe_load((CONFIG / "mini_diffuser.rviz").read_text())["Visualization Manager"]
    assert shown["Global Options"]["Fixed Frame"] == load_robot("panda").base_frame
    assert {display.get("Reference Frame", "<Fixed Frame>") for display in shown["Displays"]} == {"<Fixed Frame>"}


def test_a_simulated_arm_in_a_namespace_has_its_own_frames() -> None:
    assert ("/tf", "/left/tf") in moved_topics("left", simulated=True)
    assert ("/tf_static", "/lab/left/tf_static") in moved_topics("/lab/left/", simulated=True)
    assert moved_topics("left", simulated=False) == moved_topics("", simulated=True) == []


@given(st.text(), st.lists(st.text(), min_size=1))
def test_values_survive_the_parameter_file(text: str, texts: list[str]) -> None:
    values = {"text": text, "texts": texts, "number": 3, "flag": True}
    written = Bringup("sim", (), False, False, False, {"policy_node": values, "motion_node": {}}).parameter_file()
    assert yaml.safe_load(written) == {"/**/policy_node": {"ros__parameters": values}}


def test_a_profile_goes_to_motion(arguments: dict[str, str], tmp_path: Path) -> None:
    assert "profile" not in plan_bringup(arguments, SESSION, SHIPPED).overrides["motion_node"]
    assert (
        plan_bringup({**arguments, "profile": "fast"}, SESSION, SHIPPED).overrides["motion_node"]["profile"] == "fast"
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text("max_tool_speed: 0.1")
    assert plan_bringup({**arguments, "profile": str(mine)}, SESSION, SHIPPED).overrides["motion_node"][
        "profile"
    ] == str(mine)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("colaborative", "unknown profile 'colaborative'; did you mean 'collaborative'?"),
        ("./nowhere.yaml", "cannot be read"),
    ],
)
def test_a_profile_that_is_none_is_refused_before_anything_starts(
    arguments: dict[str, str], profile: str, words: str
) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        plan_bringup({**arguments, "profile": profile}, SESSION, SHIPPED)


def test_a_fraction_of_the_speed_goes_to_motion(arguments: dict[str, str]) -> None:
    plan = plan_bringup({**arguments, "speed": "0.5"}, SESSION, SHIPPED)

    assert yaml.safe_load(plan.parameter_file())["/**/motion_node"]["ros__parameters"]["speed"] == 0.5


@pytest.mark.parametrize("speed", ["0", "1.5", "-0.2", "nan", "fast"])
def test_a_speed_that_is_no_fraction_is_refused(arguments: dict[str, str], speed: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"speed:={speed} is no fraction")):
        plan_bringup({**arguments, "speed": speed}, SESSION, SHIPPED)
