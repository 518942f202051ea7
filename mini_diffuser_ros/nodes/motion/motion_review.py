"""Showing what the arm is about to do, and asking a person whether it may."""

from __future__ import annotations

import random
import threading

import numpy as np
from geometry_msgs.msg import Point, Vector3
from mini_diffuser_msgs.msg import MotionQuestion
from mini_diffuser_msgs.srv import AnswerQuestion
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.motion import interpolate
from mini_diffuser_ros.nodes.motion.motion_goal import Result
from mini_diffuser_ros.nodes.motion.question_client import ANSWER, PLANNED, QUESTION
from mini_diffuser_ros.nodes.policy.markers import ARROW_LENGTH, arrow_pose
from mini_diffuser_ros.nodes.ros.messages import pose_to_message
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.running.keyframe_motion import PlannedMotion, TellProgress
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

SAMPLES = 60  # places along a motion that are drawn
NOTHING_ASKED = MotionQuestion()
NOTHING_PLANNED = MarkerArray(markers=[Marker(action=Marker.DELETEALL)])


class MotionReview:
    """Shows each planned motion in the log and as markers; with ``asks``, nothing begins without consent.

    A question is answered once, by its number, so that an answer to an earlier one starts nothing.

    Args:
        node: that shows and asks.
        robot: whose tool is drawn.
        asks: whether somebody has to consent.
        timeout: seconds that a question stays open. Nothing moves when they are over.
    """

    def __init__(self, node: ManagedNode, robot: RobotDescription, asks: bool, timeout: float) -> None:
        self._node, self._robot, self._asks, self._timeout = node, robot, asks, timeout
        self._lock = threading.Lock()
        self._open, self._consent = 0, False
        self._token: CancellationToken | None = None
        # Of a node before that was killed, others may remember a motion and a question.
        self._markers = node.create_publisher(MarkerArray, PLANNED, LATCHED)
        self._markers.publish(NOTHING_PLANNED)
        if asks:
            self._question = node.create_publisher(MotionQuestion, QUESTION, LATCHED)
            self._question.publish(NOTHING_ASKED)
            group = MutuallyExclusiveCallbackGroup()
            node.create_service(AnswerQuestion, ANSWER, self._on_answer, callback_group=group)

    def __call__(self, motion: PlannedMotion, token: CancellationToken, tell: TellProgress) -> bool:
        """Show a motion; whether it may begin.

        Raises:
            InterruptionError: when the token is interrupted, or nobody answers in time.
        """
        text = self._described(motion)
        self._markers.publish(self._drawn(motion))
        if not self._asks:
            self._node.get_logger().info(text)
            return True
        tell("confirming", 0.0)
        self._node.get_logger().warning(f"{text}; may it begin? mini-diffuser confirm")
        number = random.SystemRandom().randrange(1, 2**63)
        with self._lock:
            self._open, self._consent, self._token = number, False, token
        self._question.publish(MotionQuestion(id=number, text=text))
        try:
            token.wait_for(lambda: self._open != number, self._timeout)
            return self._consent
        except TimeoutError:
            raise InterruptionError(
                Result.UNCONFIRMED, f"nobody answered within {self._timeout:g} s whether {motion.target} may begin"
            ) from None
        finally:
            with self._lock:
                self._open, self._token = 0, None
            self._question.publish(NOTHING_ASKED)

    def clear(self) -> None:
        """Nothing is about to be done any more."""
        self._markers.publish(NOTHING_PLANNED)

    def _on_answer(self, request: AnswerQuestion.Request, response: AnswerQuestion.Response) -> AnswerQuestion.Response:
        if request.consent and (waited := self._node.awake.waited()):
            response.message = (
                f"this answer waited while motion_node stood still for {waited:.0f} s: look, answer again"
            )
            return response
        with self._lock:
            response.success = bool(request.id) and request.id == self._open
            if response.success:
                self._open, self._consent = 0, request.consent
            token = self._token
        if not response.success:
            response.message = "this question is not open any more"
        elif token is not None:
            token.notify()
        return response

    def _described(self, motion: PlannedMotion) -> str:
        trajectory = motion.trajectory
        goal = self._robot.tcp_pose(trajectory.positions[-1])[:3, 3]
        turns = np.abs(trajectory.positions[-1] - trajectory.positions[0])
        most = int(np.argmax(turns))
        gripper = {None: "gripper stays", True: "gripper opens or stays open", False: "gripper closes or stays closed"}
        return (
            f"{motion.target}: tool to x {goal[0]:.3f}, y {goal[1]:.3f}, z {goal[2]:.3f} m "
            f"in {trajectory.duration:.1f} s, "
            f"{trajectory.joint_names[most]} turns by {turns[most]:.2f} rad, {gripper[motion.gripper_open]}"
        )

    def _drawn(self, motion: PlannedMotion) -> MarkerArray:
        """The way of the tool as a line, the arm's links where it ends, and an arrow along the approach axis there."""
        header = Header(frame_id=self._robot.base_frame)
        times = np.linspace(0.0, motion.trajectory.duration, SAMPLES)
        poses = [self._robot.tcp_pose(row) for row in interpolate(motion.trajectory, times)[0]]
        color = ColorRGBA(r=0.1, g=0.5, b=1.0, a=1.0)
        line = Marker(header=header, ns="way", type=Marker.LINE_STRIP, action=Marker.ADD, color=color)
        line.scale = Vector3(x=0.006)
        line.pose.orientation.w = 1.0
        line.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in (pose[:3, 3] for pose in poses)]
        arm = Marker(header=header, ns="arm", type=Marker.LINE_STRIP, action=Marker.ADD, color=color)
        arm.scale, arm.pose.orientation.w = Vector3(x=0.01), 1.0
        arm.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in self._joints_at_end(motion)]
        arrow = Marker(header=header, ns="goal", type=Marker.ARROW, action=Marker.ADD, color=color)
        arrow.pose = pose_to_message(arrow_pose(pose_from_matrix(poses[-1])))
        arrow.scale = Vector3(x=ARROW_LENGTH, y=0.01, z=0.01)
        return MarkerArray(markers=[line, arm, arrow])

    def _joints_at_end(self, motion: PlannedMotion) -> list[NDArray[np.float64]]:
        """Places (3,) from the base to the tool centre point, metres, one for each joint on the way."""
        trajectory = motion.trajectory
        positions = dict(zip(trajectory.joint_names, map(float, trajectory.positions[-1]), strict=True))
        poses = self._robot.forward_kinematics(positions)
        parents = {joint.child: joint.parent for joint in self._robot.joints}
        way = [self._robot.tcp_frame]
        while way[-1] in parents:
            way.append(parents[way[-1]])
        return [poses[link][:3, 3] for link in reversed(way)]
