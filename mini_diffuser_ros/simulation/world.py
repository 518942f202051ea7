"""The table-top world: a Franka arm with three RGB-D cameras at a table on which a task is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.records import CameraView, JointTrajectory
from mini_diffuser_ros.robots import load_robot, robot_mjcf
from mini_diffuser_ros.simulation.cameras import CameraMount, cameras_named, tabletop_cameras
from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.rendering import make_renderer
from mini_diffuser_ros.simulation.scene import compile_scene
from mini_diffuser_ros.simulation.sensor import PERFECT, SensorModel, Sensors
from mini_diffuser_ros.simulation.start_pose import draw_start
from mini_diffuser_ros.simulation.task import Goal, Slots, Task
from mini_diffuser_ros.simulation.tasks import TASKS, task_named

Array = NDArray[np.float64]

_STARTS_CLOSED: Final = 0.3
_SETTLE_OBJECTS_S: Final = 0.1
_SETTLE_ARM_S: Final = 0.5
_ARRIVED_RAD: Final = 5e-4
_ARRIVED_RAD_S: Final = 5e-3
_GRIPPER_TIMEOUT_S: Final = 1.5
_GRIPPER_RESTING_M_S: Final = 1e-3
_HELD_WIDTH_M: Final = 0.004


@dataclass(frozen=True)
class GripperResult:
    """How the gripper stands after a command.

    Attributes:
        width: metres between the pads.
        holding: True if something between the pads kept a closing gripper open.
    """

    width: float
    holding: bool


class TabletopWorld:
    """MuJoCo world in the base frame ``panda_link0``: the table's top is z = 0.

    ``execute`` and ``set_gripper`` run physics until the motion has ended; ``set_arm_target``,
    ``set_gripper_target`` and ``step`` are the same in small steps, for a driver that keeps real time.
    Not thread safe.

    Args:
        renderer: ``rays`` (needs nothing but MuJoCo) or ``egl`` (faster, needs libegl1 and libgl1).
        image_size: height and width of the camera images, pixels.
        tasks: what can be laid out, by name.
        sensor: what kind of cameras they are; by default pictures are as they are rendered.
        cameras: names of those that there are; all by default.

    Raises:
        SimulationError: if the renderer is unknown or cannot start here, or there is no camera of a name.

    Attributes:
        sensor: as given.
        cameras: where they are mounted; as calibrated they may be elsewhere, see ``sensors``.
        sensors: the cameras of this episode: which of them are missing, and how far off their calibrations are.
    """

    def __init__(
        self,
        renderer: str = "rays",
        image_size: tuple[int, int] = (256, 256),
        tasks: Mapping[str, Task] = TASKS,
        sensor: SensorModel = PERFECT,
        cameras: Sequence[str] | None = None,
    ) -> None:
        self.tasks = tasks
        self.robot = load_robot("panda")
        self.cameras = cameras_named(cameras, tabletop_cameras(self.robot))
        self.sensor = sensor
        self.sensors = self._draw_sensors(np.random.default_rng(0))
        self._image_size = image_size
        self._renderer = make_renderer(renderer)
        self._robot_document = robot_mjcf(self.robot)
        self._goal: Goal | None = None
        self._elapsed = 0.0
        self._load(compile_scene(self._robot_document, self.cameras, []), np.array(self.robot.home), closed=False)

    def reset(self, task: str, seed: int, goal: Goal | None = None) -> Goal:
        """Lays a task out anew: objects, colours and the arm's start are drawn from ``seed``.

        Args:
            task: a name in ``tasks``.
            seed: the same seed gives the same world.
            goal: what is to be done; drawn from the seed where None.

        Returns:
            The goal, with sentences that state it.

        Raises:
            SimulationError: if the task is unknown or the goal belongs to another one.
        """
        laid = task_named(task, self.tasks)
        if goal is not None and goal.task != task:
            raise SimulationError(f"a goal of task '{goal.task}' was given for task '{task}'")
        rng = laid.generator(seed, "layout")
        drawn = laid.draw_slots(rng)
        goal = goal if goal is not None else laid.goal(drawn)
        bodies = laid.layout(rng, goal.slots)
        model = compile_scene(self._robot_document, self.cameras, bodies)
        self._elapsed = self.time
        self.sensors = self._draw_sensors(laid.generator(seed, "sensor"))
        self._load(model, draw_start(rng, self.robot, model), closed=bool(rng.random() < _STARTS_CLOSED))
        self.step(_SETTLE_OBJECTS_S)
        self._pursue(goal)
        return goal

    def has_objects_for(self, task: str, slots: Slots) -> bool:
        """Whether everything that a goal names lies on the table now."""
        present = {self.model.body(index).name for index in range(self.model.nbody)}
        return present.issuperset(task_named(task, self.tasks).required_bodies(slots))

    def pursue(self, goal: Goal) -> None:
        """Takes a new goal with the table as it is; what was moved so far, a button say, is forgotten.

        Raises:
            SimulationError: if something the goal names is not on the table.
        """
        if not self.has_objects_for(goal.task, goal.slots):
            raise SimulationError(f"task '{goal.task}' with {dict(goal.slots)}: not everything is on the table")
        self._pursue(goal)

    @property
    def goal(self) -> Goal:
        """The present goal.

        Raises:
            SimulationError: before the first reset.
        """
        if self._goal is None:
            raise SimulationError("the world has no goal yet; call reset(task, seed) first")
        return self._goal

    def success(self) -> bool:
        """Whether the present goal is reached, judged on the physics state."""
        return self.tasks[self.goal.task].succeeded(self, self.goal.slots)

    @property
    def time(self) -> float:
        """Seconds since the world was made; resets do not turn it back."""
        return self._elapsed + float(self.data.time)

    def views(self) -> tuple[CameraView, ...]:
        """RGB-D images of all cameras that give any now; depth is planar, metres, 0 where nothing is seen."""
        return tuple(self.view(camera.name) for camera in self.cameras if camera.name not in self.sensors.missing)

    def view(self, name: str) -> CameraView:
        """RGB-D image of one camera.

        Raises:
            SimulationError: if there is no camera of that name.
        """
        mount = self._mount(name)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        height, width = self._image_size
        color, depth = self._renderer.render(self.model, self.data, name, height, width)
        rendered = CameraView(
            name=name,
            color=color,
            depth=depth,
            intrinsics=mount.intrinsics(height, width),
            base_from_camera=self.body_pose(mount.parent) @ mount.parent_from_camera,
            stamp=self.time,
        )
        return self.sensors.measured(rendered)

    def joint_positions(self) -> dict[str, float]:
        """Name to position of the seven arm joints (radians) and the two finger joints (metres)."""
        return {name: float(self.data.qpos[address]) for name, address in self._qpos_addresses.items()}

    def joint_velocities(self) -> dict[str, float]:
        """Name to velocity of the same joints, rad/s and m/s."""
        return {name: float(self.data.qvel[address]) for name, address in self._dof_addresses.items()}

    def arm_positions(self) -> Array:
        """Arm joint positions (J,), radians."""
        return self.data.qpos[self._arm_qpos].copy()

    def tcp_pose(self) -> Array:
        """(7,) xyz + xyzw of the tool centre point in the base frame."""
        return pose_from_matrix(self.robot.tcp_pose(self.arm_positions()))

    def gripper_width(self) -> float:
        """Metres between the finger pads."""
        return float(sum(self.data.qpos[self._finger_qpos]))

    def gripper_set_point(self) -> float:
        """Metres between the finger pads that the gripper is driven to now: behind a grip, inside of what is held."""
        return 2.0 * float(self.data.ctrl[self._gripper_actuator])

    def gripper_is_open(self) -> bool:
        """Whether the gripper was last told to go to more than half its width."""
        return self._gripper_goal > self.robot.max_gripper_width / 4.0

    def free_bodies(self) -> tuple[str, ...]:
        """Names of the objects that can be moved."""
        return self._free_bodies

    def held_body(self) -> str:
        """Name of the movable object that both fingers touch, empty if there is none."""
        model, touched = self.model, []
        for joint in self.robot.finger_joint_names:
            finger = model.jnt_bodyid[model.joint(joint).id]
            pairs = model.geom_bodyid[self.data.contact.geom]
            touched.append(set(pairs[(pairs == finger).any(axis=1)].ravel()))
        both = set.intersection(*touched)
        return next((name for name in self._free_bodies if model.body(name).id in both), "")

    def body_pose(self, name: str) -> Array:
        """(4, 4) ``base_from_body`` of an object or a link.

        Raises:
            SimulationError: if there is no body of that name.
        """
        index = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, name)
        if index < 0:
            raise SimulationError(f"no body '{name}' in the world; movable objects: {', '.join(self.free_bodies())}")
        pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[index].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[index]
        return pose

    def body_speed(self, name: str) -> float:
        """Speed of a movable object's centre, m/s."""
        address = self.model.joint(name).dofadr[0]
        return float(np.linalg.norm(self.data.qvel[address : address + 3]))

    def object_joints(self) -> tuple[str, ...]:
        """Names of the joints with which objects are fixed to the table."""
        return tuple(self._object_joints)

    def joint_range(self, name: str) -> tuple[float, float]:
        """Lowest and highest position of an object's joint since the goal was set, metres or radians.

        Raises:
            SimulationError: if there is no such joint.
        """
        if name not in self._object_joints:
            raise SimulationError(f"no object has a joint '{name}'; joints: {', '.join(self._object_joints) or 'none'}")
        index = self._object_joints[name]
        return float(self._lowest[index]), float(self._highest[index])

    def set_arm_target(self, positions: Array, velocities: Array | None = None) -> None:
        """Sets what the joint servos hold from now on: positions (J,) rad, moving at velocities (J,) rad/s."""
        target = np.asarray(positions, dtype=np.float64)
        if velocities is not None:
            # A servo pulls with kp (target - q) - kv v: this offset cancels its drag at the wanted velocity.
            target = target + self._velocity_lead * velocities
        self.data.ctrl[self._arm_actuators] = target

    def set_gripper_target(self, width: float) -> None:
        """Sets the width between the pads, metres, to which the fingers move at their speed limit from now on."""
        self._gripper_goal = float(np.clip(width / 2.0, *self.robot.finger_position_limits))

    def step(self, seconds: float) -> None:
        """Runs physics for some time; what is left of a step is added to the next call."""
        self._owed += seconds
        for _ in range(int(self._owed / self.model.opt.timestep + 1e-9)):
            self._owed -= self.model.opt.timestep
            self._advance()

    def execute(self, trajectory: JointTrajectory) -> float:
        """Drives the arm along a trajectory and waits until it has come to rest.

        Args:
            trajectory: of the seven arm joints, in any order of columns; begins where the arm is.

        Returns:
            Largest distance of a joint from the trajectory's end, radians; large if something was in the way.

        Raises:
            SimulationError: if the trajectory is not one of these seven joints.
        """
        if sorted(trajectory.joint_names) != sorted(self.robot.arm_joint_names):
            raise SimulationError(
                f"trajectory of joints {trajectory.joint_names}, expected {self.robot.arm_joint_names}"
            )
        columns = [trajectory.joint_names.index(name) for name in self.robot.arm_joint_names]
        period = self.model.opt.timestep
        # Servos act over the coming step, so that the target leads by one.
        times = np.arange(1, int(np.ceil(trajectory.duration / period)) + 1) * period + trajectory.times[0]
        positions = _resample(times, trajectory.times, trajectory.positions[:, columns])
        velocities = _resample(times, trajectory.times, trajectory.velocities[:, columns])
        self.data.ctrl[self._arm_actuators] = positions[0] if len(times) else self.arm_positions()
        for target in positions + self._velocity_lead * velocities:
            self.data.ctrl[self._arm_actuators] = target
            self._advance()
        return self._settle_arm(trajectory.positions[-1, columns])

    def set_gripper(self, open: bool) -> GripperResult:
        """Opens or closes the gripper and waits until the fingers rest."""
        self.set_gripper_target(self.robot.max_gripper_width if open else 0.0)
        deadline = self.data.time + _GRIPPER_TIMEOUT_S
        while self.data.time < deadline:
            self._advance()
            ramp_done = self.data.ctrl[self._gripper_actuator] == self._gripper_goal
            if ramp_done and np.max(np.abs(self.data.qvel[self._finger_dofs])) < _GRIPPER_RESTING_M_S:
                break
        width = self.gripper_width()
        return GripperResult(width=width, holding=not open and width > _HELD_WIDTH_M)

    def close(self) -> None:
        """Gives the renderer's resources back."""
        self._renderer.close()

    def _draw_sensors(self, random: np.random.Generator) -> Sensors:
        return Sensors(self.sensor, [camera.name for camera in self.cameras], random)

    def _load(self, model: mujoco.MjModel, arm: Array, closed: bool) -> None:
        """Makes ``model`` the present one, with the arm at rest at ``arm``."""
        self.model = model
        self.data = mujoco.MjData(model)
        self._bind_joints()
        self._owed = 0.0
        self._gripper_goal = 0.0 if closed else float(self.robot.finger_position_limits[1])
        self.data.qpos[self._arm_qpos] = arm
        self.data.qpos[self._finger_qpos] = self._gripper_goal
        self.data.ctrl[self._arm_actuators] = arm
        self.data.ctrl[self._gripper_actuator] = self._gripper_goal
        mujoco.mj_forward(model, self.data)

    def _bind_joints(self) -> None:
        """Looks up where the model keeps the joints that the world reads and drives."""
        model, arm, fingers = self.model, self.robot.arm_joint_names, self.robot.finger_joint_names
        self._qpos_addresses: Mapping[str, int] = {n: int(model.joint(n).qposadr[0]) for n in (*arm, *fingers)}
        self._dof_addresses: Mapping[str, int] = {n: int(model.joint(n).dofadr[0]) for n in (*arm, *fingers)}
        self._arm_qpos = np.array([self._qpos_addresses[name] for name in arm])
        self._finger_qpos = np.array([self._qpos_addresses[name] for name in fingers])
        self._finger_dofs = np.array([self._dof_addresses[name] for name in fingers])
        self._arm_actuators = np.array([model.actuator(name).id for name in arm])
        self._gripper_actuator = model.actuator("gripper").id
        stiffness = model.actuator_gainprm[self._arm_actuators, 0]
        self._velocity_lead = -model.actuator_biasprm[self._arm_actuators, 2] / stiffness
        joints = [model.joint(index) for index in range(model.njnt)]
        self._free_bodies = tuple(joint.name for joint in joints if joint.type[0] == mujoco.mjtJoint.mjJNT_FREE)
        own = [j for j in joints if j.type[0] != mujoco.mjtJoint.mjJNT_FREE and j.name not in self._qpos_addresses]
        self._object_joints = {joint.name: index for index, joint in enumerate(own)}
        self._object_qpos = np.array([int(joint.qposadr[0]) for joint in own], dtype=np.intp)
        self._forget_motion()

    def _pursue(self, goal: Goal) -> None:
        self._goal = goal
        self._forget_motion()

    def _forget_motion(self) -> None:
        """Objects' joints have been nowhere but where they are."""
        self._lowest = self.data.qpos[self._object_qpos]
        self._highest = self._lowest.copy()

    def _advance(self) -> None:
        """One step of physics."""
        travel = self.robot.finger_velocity_limit * self.model.opt.timestep
        target = self.data.ctrl[self._gripper_actuator]
        if target != self._gripper_goal:
            self.data.ctrl[self._gripper_actuator] = target + np.clip(self._gripper_goal - target, -travel, travel)
        mujoco.mj_step(self.model, self.data)
        positions = self.data.qpos[self._object_qpos]
        np.minimum(self._lowest, positions, out=self._lowest)
        np.maximum(self._highest, positions, out=self._highest)

    def _settle_arm(self, goal: NDArray[np.floating]) -> float:
        """Holds the goal (J,) until the arm rests there, for half a second at most; returns the largest error."""
        self.data.ctrl[self._arm_actuators] = goal
        dofs = [self._dof_addresses[name] for name in self.robot.arm_joint_names]
        deadline = self.data.time + _SETTLE_ARM_S
        while self.data.time < deadline:
            self._advance()
            error = np.max(np.abs(self.data.qpos[self._arm_qpos] - goal))
            if error < _ARRIVED_RAD and np.max(np.abs(self.data.qvel[dofs])) < _ARRIVED_RAD_S:
                break
        return float(np.max(np.abs(self.data.qpos[self._arm_qpos] - goal)))

    def _mount(self, name: str) -> CameraMount:
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise SimulationError(f"no camera '{name}'; cameras: {', '.join(camera.name for camera in self.cameras)}")


def _resample(times: Array, knots: NDArray[np.floating], values: NDArray[np.floating]) -> Array:
    """Columns of ``values`` (T, J) at ``times``, linearly interpolated and held after the last knot."""
    return np.stack([np.interp(times, knots, column) for column in values.T], axis=1)
