"""sim_node: the table-top world in real time, under the names that the hardware's drivers use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from mini_diffuser_msgs.srv import ResetWorld
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Header, String
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.heartbeat import Heart
from mini_diffuser_ros.nodes.ros.messages import (
    image_from_color,
    image_from_depth,
    info_from_intrinsics,
    stamp_from_seconds,
    transform_from_matrix,
)
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.nodes.simulation.sim_actions import ArmActionServer, GripperActionServer
from mini_diffuser_ros.robots import robot_urdf
from mini_diffuser_ros.running.world_verdict import JUDGED, SUCCESS
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.simulation.cameras import CameraMount
from mini_diffuser_ros.simulation.realtime.sensor_noise import SensorNoise
from mini_diffuser_ros.simulation.realtime.sim_health import SimHealth
from mini_diffuser_ros.simulation.realtime.table import Table
from mini_diffuser_ros.simulation.realtime.world_driver import WorldDriver
from mini_diffuser_ros.simulation.rendering import make_renderer
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.printable import printable

CLOSING_TIMEOUT = 2.5  # seconds for whoever moves the arm to bring it to rest
QUIET = 1.0  # seconds for which nobody has led the arm before its world is laid anew
POLLS = 50.0  # looks a second whether that is so


class SimNode(ManagedNode):
    """Steps physics on one timer and renders copies of its state on another, so that neither waits for the other.

    Stamps are system time: at a real_time_factor of 1 the world keeps up with it, so that nodes need no use_sim_time.
    /clock carries the same time, for nodes that have it set.

    The table is laid by the service ``sim/reset`` alone. Who sends a sentence asks for its table first; the policy
    waits for a cloud that is newer than the sentence by its settle time, so that it never sees the old table.
    Success is judged by the sentence that the policy obeys, however it came there, and told anew for each.
    """

    threads = 8

    def __init__(self) -> None:
        super().__init__("sim_node")
        parameters = Parameters(self)
        instruction = parameters.text("instruction", "", "sentence for which the table is laid at the start")
        task = parameters.text("task", "stack_blocks", "task that is laid when the instruction names none")
        seed = parameters.integer("seed", 0, "of the layout", 0, 2**31 - 1)
        renderer = parameters.text("renderer", "rays", "rays (no graphics library needed) or egl")
        size = parameters.integer("image_size", 256, "width and height of the camera images, pixels", 16, 2048)
        self._speed = parameters.number("real_time_factor", 1.0, "simulated seconds per second", 0.05, 20.0)
        sensor = parameters.text(
            "sensor", "perfect", "kind of cameras: perfect, or with a camera's errors, e.g. d435, or d435 scale=2"
        )
        rate = parameters.number("joint_rate", 50.0, "joint states and TF per second", 10.0, 500.0)
        camera_rate = parameters.number("camera_rate", 5.0, "images of each camera per second", 0.1, 60.0)
        arm_action = parameters.text(
            "arm_action", "panda_arm_controller/follow_joint_trajectory", "FollowJointTrajectory action to serve"
        )
        gripper_action = parameters.text(
            "gripper_action", "panda_gripper/gripper_action", "GripperCommand action to serve"
        )

        world = TabletopWorld(renderer, (size, size), sensor=sensor_of(sensor, "parameters"))
        self._world = world
        self._cameras = world.cameras
        self._driver = WorldDriver(world)
        self._table = Table(world, task, seed)
        self._renderer = make_renderer(renderer)
        self._image_size = (size, size)
        self._noise = SensorNoise(seed)
        self._static_tf = StaticTransformBroadcaster(self)
        self._arm = ArmActionServer(self, arm_action, self._driver)
        self._gripper = GripperActionServer(self, gripper_action, self._driver)
        self._moved = -float("inf")  # steady seconds, when the arm was last led
        self._lay(lambda: self._table.lay_for(instruction))

        self._clock_topic = self.create_publisher(Clock, "/clock", 1)
        self._joint_states = self.create_publisher(JointState, "joint_states", 10)
        # As robot_state_publisher does beside a real arm; the frames are published with the joint states.
        self._description = self.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=robot_urdf(self._driver.robot)))
        self._success = self.create_publisher(Bool, SUCCESS, LATCHED)
        self._judged = self.create_publisher(String, JUDGED, LATCHED)
        self._task = self.create_publisher(String, "sim/task", LATCHED)
        self._told: tuple[int, str, str, bool] | None = None  # sentences, task, sentence and success, last published
        self._sentences = 0  # heard so far
        # Volatile: what was obeyed before this world came was done in another one.
        self.create_subscription(
            String,
            "mini_diffuser/active_instruction",
            self._on_sentence,
            10,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._tf = TransformBroadcaster(self)
        self._outputs = {camera.name: CameraOutput(self, camera) for camera in self._cameras}

        self.create_service(ResetWorld, "sim/reset", self._on_reset, callback_group=MutuallyExclusiveCallbackGroup())
        self._health = SimHealth(self._driver, self._speed)
        diagnostics = Diagnostics(self, "simulation")
        diagnostics.add("physics", self._health.physics)
        diagnostics.add("cameras", self._health.cameras)
        self._heart = Heart(self, "sim")
        self._stepped = time.monotonic()
        steady_timer(self, 1.0 / rate, self._step)
        steady_timer(self, 1.0 / camera_rate, self._render)

    def close(self) -> None:
        """Go on until motion_node, which has heard the same signal, has brought the arm to rest; then end the goals."""
        self._arm.await_none(CLOSING_TIMEOUT)
        for server in (self._arm, self._gripper):
            server.end("sim_node is shutting down")

    # The table

    def _on_reset(self, request: ResetWorld.Request, response: ResetWorld.Response) -> ResetWorld.Response:
        try:
            response.message = self._reset(request.task, request.instruction, request.seed)
        except UserError as error:
            response.message = str(error)
            return response
        goal = self._table.goal
        response.success = goal is not None
        if goal is not None:
            response.task, response.instruction = goal.task, goal.sentences[0]
        return response

    def _reset(self, task: str, sentence: str, seed: int) -> str:
        """Take a sentence up, or lay the table anew beneath an arm that rests; a line that says what was done."""
        takes_up = self._table.takes_up(task, sentence, seed)
        if takes_up and (kept := self._driver.read(lambda: self._table.keep(sentence))):
            self.get_logger().info(kept)
            return kept
        self._bring_to_rest()
        return self._lay(lambda: self._table.reset(task, sentence, seed))

    def _on_sentence(self, message: String) -> None:
        """The policy begins to obey a sentence: success is that of this run, or none."""

        def judge() -> bool:
            self._sentences += 1
            return self._table.judge_by(message.data)

        if not self._driver.read(judge):
            self.get_logger().warning(
                f"'{printable(message.data, 80)}' is obeyed with a table that is not laid for it: success is not judged"
            )

    def _bring_to_rest(self) -> None:
        """No arm leaps in mid-motion: who supervises it would take it for one that is led by nobody or lies."""
        deadline = time.monotonic() + CLOSING_TIMEOUT
        self._note_motion()
        if time.monotonic() - self._moved < QUIET:
            self._end_goals()
            self._driver.brake()
        while time.monotonic() - self._moved < QUIET and time.monotonic() < deadline:
            time.sleep(1.0 / POLLS)

    def _note_motion(self) -> None:
        if self._arm.is_busy() or not self._driver.reference_rests():
            self._moved = time.monotonic()

    def _end_goals(self) -> None:
        for server in (self._arm, self._gripper):
            server.end("the table was laid anew")

    def _lay(self, change: Callable[[], str]) -> str:
        message, laid_anew = self._driver.change(change)
        if laid_anew:
            self._end_goals()
            # With the table the errors of the cameras' calibrations are drawn anew.
            self._static_tf.sendTransform(self._fixed_frames())
        self.get_logger().info(message)
        return message

    # Time

    def _step(self) -> None:
        """Let the world catch up with the clock on the wall, and publish its state."""
        now, seconds = time.monotonic(), ros_seconds(self)
        if not self._heart.is_serving():  # nothing yet that another one's arm would be taken to be at
            self._stepped = now
            return
        positions, velocities = self._driver.advance((now - self._stepped) * self._speed, seconds)
        self._stepped = now
        self._note_motion()
        self._arm.notify()
        self._gripper.notify()
        stamp = stamp_from_seconds(seconds)
        self._clock_topic.publish(Clock(clock=stamp))
        self._publish_joints(stamp, positions, velocities)
        self._publish_success()

    def _publish_joints(self, stamp: Time, positions: dict[str, float], velocities: dict[str, float]) -> None:
        message = JointState(header=Header(stamp=stamp), name=list(positions))
        message.position = list(positions.values())
        message.velocity = [velocities[name] for name in positions]
        self._joint_states.publish(message)
        self._tf.sendTransform(
            [
                _transform(stamp, joint.parent, joint.child, joint.parent_from_child(positions[joint.name]))
                for joint in self._driver.robot.joints
                if joint.kind != "fixed"
            ]
        )

    def _publish_success(self) -> None:
        table = self._table
        told = self._driver.read(lambda: (self._sentences, table.task, table.sentence, table.succeeded()))
        if told != self._told:
            self._told = told
            _, task, sentence, succeeded = told
            self._task.publish(String(data=task))
            self._judged.publish(String(data=sentence))
            self._success.publish(Bool(data=succeeded))

    def _fixed_frames(self) -> list[TransformStamped]:
        """Frames that never move in their parents: fixed joints and cameras, these where they are taken to be."""
        sensors = self._driver.read(lambda: self._world.sensors)
        stamp = self.get_clock().now().to_msg()
        joints = [
            _transform(stamp, joint.parent, joint.child, joint.parent_from_joint)
            for joint in self._driver.robot.joints
            if joint.kind == "fixed"
        ]
        cameras = [
            _transform(
                stamp,
                camera.parent,
                optical_frame(camera),
                camera.parent_from_camera @ sensors.pose_error(camera.name),
            )
            for camera in self._cameras
        ]
        return joints + cameras

    def _render(self) -> None:
        """Draw a copy of the state and publish it with the time that it is of."""
        began = time.monotonic()
        if not self._heart.is_serving() or (scene := self._driver.copy_scene()) is None:
            return
        stamp = stamp_from_seconds(scene.stamp)
        sensors = self._driver.read(lambda: self._world.sensors)
        for camera in self._cameras:
            if camera.name in sensors.missing:
                continue
            color, depth = self._renderer.render(scene.model, scene.data, camera.name, *self._image_size)
            color, depth = sensors.pictures(camera.name, color, depth, camera.intrinsics(*self._image_size))
            color, depth = self._noise.add(color, depth)
            self._outputs[camera.name].publish(stamp, color, depth)
        self._health.rendered(time.monotonic() - began)


class CameraOutput:
    """The topics of one camera, named as realsense2_camera names them."""

    def __init__(self, node: SimNode, camera: CameraMount) -> None:
        self._camera = camera
        qos = qos_profile_sensor_data
        self._color = node.create_publisher(Image, f"{camera.name}/color/image_raw", qos)
        self._depth = node.create_publisher(Image, f"{camera.name}/aligned_depth_to_color/image_raw", qos)
        self._info = node.create_publisher(CameraInfo, f"{camera.name}/color/camera_info", qos)

    def publish(self, stamp: Time, color: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        """Publish (H, W, 3) RGB and (H, W) metres with their calibration."""
        header = Header(stamp=stamp, frame_id=optical_frame(self._camera))
        height, width = depth.shape
        self._info.publish(info_from_intrinsics(self._camera.intrinsics(height, width), (height, width), header))
        self._color.publish(image_from_color(color, header))
        self._depth.publish(image_from_depth(depth, header))


def optical_frame(camera: CameraMount) -> str:
    """Name of a camera's optical frame."""
    return f"{camera.name}_color_optical_frame"


def _transform(stamp: Time, parent: str, child: str, parent_from_child: NDArray[np.floating]) -> TransformStamped:
    return TransformStamped(
        header=Header(stamp=stamp, frame_id=parent),
        child_frame_id=child,
        transform=transform_from_matrix(parent_from_child),
    )


def main() -> NoReturn:
    """Entry point of the executable ``sim_node``."""
    run_node(SimNode)


if __name__ == "__main__":
    main()
