"""The descriptions agree with published numbers, and every user of them sees the same robot."""

import shutil
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

import mini_diffuser_ros.robots
from mini_diffuser_ros.robots import ROBOTS, UnknownRobotError, load_robot, robot_mjcf, surface_meshes
from mini_diffuser_ros.support.settings import SettingsError


@pytest.mark.parametrize("name", ROBOTS)
def test_forward_kinematics_equal_mujoco_on_the_exported_model(name: str) -> None:
    robot = load_robot(name)
    model = mujoco.MjModel.from_xml_string(robot_mjcf(robot))
    data = mujoco.MjData(model)
    generator = np.random.default_rng(0)
    for _ in range(20):
        arm = generator.uniform(*robot.position_limits.T)
        fingers = generator.uniform(*robot.finger_position_limits, size=2)
        data.qpos[:] = np.concatenate([arm, fingers])
        mujoco.mj_forward(model, data)
        names = (*robot.arm_joint_names, *robot.finger_joint_names)
        poses = robot.forward_kinematics(dict(zip(names, data.qpos, strict=True)))
        np.testing.assert_allclose(poses[robot.tcp_frame][:3, 3], data.site(robot.tcp_frame).xpos, atol=1e-7)
        for link in robot.links:
            if link.name != robot.tcp_frame:
                np.testing.assert_allclose(poses[link.name][:3, 3], data.body(link.name).xpos, atol=1e-7)
                np.testing.assert_allclose(poses[link.name][:3, :3], data.body(link.name).xmat.reshape(3, 3), atol=1e-7)


# Franka's "ready" pose puts the tool centre point at 0.307 m, 0.487 m above the base.
HOMES = {"panda": (0.3069, 0.0, 0.4869), "fr3": (0.3069, 0.0, 0.4869), "ur5e": (0.4, 0.0, 0.4)}


@pytest.mark.parametrize("name", ROBOTS)
def test_home_points_down_over_the_table_without_contact(name: str) -> None:
    robot = load_robot(name)
    base_from_tcp = robot.tcp_pose(robot.home)
    np.testing.assert_allclose(base_from_tcp[:3, 3], HOMES.get(name, base_from_tcp[:3, 3]), atol=1e-3)
    assert base_from_tcp[2, 3] > 0.1
    np.testing.assert_allclose(base_from_tcp[:3, 2], (0, 0, -1), atol=1e-9)
    model = mujoco.MjModel.from_xml_string(robot_mjcf(robot))
    data = mujoco.MjData(model)
    data.qpos[: len(robot.home)] = robot.home
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


@pytest.mark.parametrize("name", ROBOTS)
def test_limits_are_complete_and_home_lies_within(name: str) -> None:
    robot = load_robot(name)
    lower, upper = robot.position_limits.T
    assert (lower < robot.home).all()
    assert (robot.home < upper).all()
    for limits in (robot.velocity_limits, robot.acceleration_limits, robot.jerk_limits, robot.torque_limits):
        assert limits.shape == robot.home.shape
        assert (limits > 0).all()
    assert robot.max_gripper_width == pytest.approx(0.08)


def test_a_missing_joint_is_named() -> None:
    robot = load_robot("panda")
    with pytest.raises(ValueError, match="panda_joint7"):
        robot.forward_kinematics(dict.fromkeys(robot.arm_joint_names[:6], 0.1))


def test_an_unknown_robot_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownRobotError, match=r"known robots: .*fr3.*panda.*ur5e"):
        load_robot("ur5")


def test_the_six_joint_arm_is_that_of_its_makers_table() -> None:
    # (a, d) in metres and alpha in radians of each joint, as the maker publishes them.
    quarter = np.pi / 2.0
    table = (
        (0.0, 0.1625, quarter),
        (-0.425, 0.0, 0.0),
        (-0.3922, 0.0, 0.0),
        (0.0, 0.1333, quarter),
        (0.0, 0.0997, -quarter),
        (0.0, 0.0996, 0.0),
    )
    robot = load_robot("ur5e")
    generator = np.random.default_rng(0)
    for _ in range(20):
        joints = generator.uniform(*robot.position_limits.T)
        pose = np.diag([-1.0, -1.0, 1.0, 1.0])  # base_link is half a turn from the table's base
        for angle, (a, d, alpha) in zip(joints, table, strict=True):
            c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
            pose = pose @ np.array(
                [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
            )
        poses = robot.forward_kinematics(dict(zip(robot.arm_joint_names, joints, strict=True)))
        np.testing.assert_allclose(poses["wrist_3_link"], pose, atol=1e-9)
        np.testing.assert_allclose(robot.tcp_pose(joints)[:3, 3], (pose @ [0, 0, 0.1034, 1])[:3], atol=1e-9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's own robot: the six-joint arm, copied with its tool."""
    robots = Path(mini_diffuser_ros.robots.__file__).parent
    for name in ("ur5e", "panda"):
        shutil.copytree(robots / name, tmp_path / name)
    return (tmp_path / "ur5e").rename(tmp_path / "mine")


def test_a_folder_of_ones_own_is_a_robot(folder: Path) -> None:
    mine, theirs = load_robot(folder), load_robot("ur5e")

    assert mine.name == "mine"
    assert mine.arm_joint_names == theirs.arm_joint_names
    np.testing.assert_array_equal(mine.tcp_pose(mine.home), theirs.tcp_pose(theirs.home))
    assert load_robot(str(folder)).name == "mine"


@pytest.mark.parametrize(
    ("file", "field", "value", "words"),
    [
        ("limits", ("jerk",), None, "jerk is missing"),
        ("limits", ("velocity",), [1.0] * 5, "velocity has 5 entries, expected 6: one each of shoulder_pan_joint"),
        (
            "limits",
            ("velocity",),
            [180.0] * 6,
            "velocity is up to 180, expected rad/s of at most 15: are these degrees?",
        ),
        ("limits", ("velocity", 5), 17.2, "Then write 0.3002"),
        ("limits", ("position", 0), [-360.0, 360.0], "position is up to 360, expected radians .* Then write 6.283"),
        ("limits", ("torque",), [1.0] * 5 + [0.0], "torque is"),
        ("limits", ("acceleration", 2), float("nan"), r"acceleration\[2\] is nan, expected a finite number"),
        ("limits", ("acceleration",), "fast", "acceleration is 'fast', expected a list"),
        ("limits", ("position", 1), [2.0, 2.0], r"position\[1\] is \[2.0, 2.0\]"),
        ("limits", ("position", 1), [2.0], r"position\[1\] is \[2.0\], expected a list of 2"),
        ("limits", ("speed",), 1.0, "speed is unknown"),
        ("robot", ("home", 2), 3.2, "home has elbow_joint at 3.2 rad"),
        ("robot", ("home",), [0.0] * 7, "home has 7 entries, expected 6"),
        ("robot", ("prefix",), 3, "prefix is 3, expected a text"),
        ("robot", ("tool",), "nothing.yaml", "nothing.yaml cannot be read"),
        ("robot", ("model",), None, "model is missing"),
        ("model", ("joints", 0, "type"), "ball", r"joints\[0\].type is 'ball'"),
        ("model", ("joints", 1, "parent"), "elsewhere", r"joints\[1\].parent is 'elsewhere'"),
        ("model", ("joints", 1, "axis"), [0, 0, 2], r"joints\[1\].axis"),
        ("model", ("links", 1, "geoms", 0, "radius"), -0.1, r"links\[1\].geoms\[0\].radius is -0.1"),
        ("model", ("servo", "damping"), [1.0], "servo.damping has 1 entries, expected 6"),
        ("model", ("flange",), "hand", "flange is 'hand', expected the name of a link"),
    ],
)
def test_a_fault_in_a_folder_is_refused_naming_file_and_field(
    folder: Path, file: str, field: tuple[str | int, ...], value: object, words: str
) -> None:
    path = folder / f"{file}.yaml"
    content = yaml.safe_load(path.read_text())
    place = content
    for key in field[:-1]:
        place = place[key]
    if value is None:
        del place[field[-1]]
    else:
        place[field[-1]] = value
    path.write_text(yaml.safe_dump(content))

    with pytest.raises(SettingsError, match=words) as refused:
        load_robot(folder)

    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize("file", ["limits", "robot", "model"])
def test_a_field_that_is_written_twice_is_refused(folder: Path, file: str) -> None:
    path = folder / f"{file}.yaml"
    key, value = next(iter(yaml.safe_load(path.read_text()).items()))
    path.write_text(f"{path.read_text()}\n{yaml.safe_dump({key: value})}")
    with pytest.raises(SettingsError, match=f"{file}.yaml: {key} is written twice, in lines "):
        load_robot(folder)


def test_a_folder_without_a_file_is_refused_by_its_name(folder: Path) -> None:
    (folder / "limits.yaml").unlink()

    with pytest.raises(SettingsError, match=r"limits\.yaml cannot be read"):
        load_robot(folder)


def test_true_surfaces_are_read_where_a_folder_has_them(folder: Path) -> None:
    vertices = np.array([[0, 0, 0], [1000, 0, 0], [0, 500, 0], [0, 0, 250]], np.int16)
    faces = np.array([[0, 1, 2], [0, 1, 3]], np.uint16)
    assert surface_meshes(load_robot("fr3")) == {}

    like = load_robot("ur5e")
    name = like.links[1].name.removeprefix(like.prefix)
    np.savez(folder / "model.npz", **{f"{name}_vertices": vertices, f"{name}_faces": faces})
    link = like.prefix + name
    meshes = surface_meshes(load_robot(folder))

    assert set(meshes) == {link}
    np.testing.assert_allclose(meshes[link].vertices, vertices * 1e-4)
    np.testing.assert_array_equal(meshes[link].faces, faces)
