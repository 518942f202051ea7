"""The drivers of a Franka Research 3 in one process, under the names of franka_ros2.

python -m ros.franka.standin --gripper franka_gripper --object 0.04      (in tests/, with ROS 2 or pocketros)
"""

from __future__ import annotations

import argparse

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor

from mini_diffuser_ros.robots import load_robot

from .arm import Arm
from .control import Control, ControlServices
from .hand import Hand, HandDriver


def main() -> None:
    """Run until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="fr3")
    parser.add_argument("--gripper", default="franka_gripper", help="name of the gripper's node: fr3_gripper on others")
    parser.add_argument("--fake-hardware", action="store_true", help="no actions of the gripper")
    parser.add_argument("--not-homed", action="store_true", help="the hand's homing has not run yet")
    parser.add_argument("--dead", action="store_true", help="the fingers never move")
    parser.add_argument("--object", type=float, default=0.0, help="metres of what is between the fingers")
    parser.add_argument("--humble", action="store_true", help="controllers stay active in a reflex")
    parser.add_argument("--refuses", default="", choices=["", "recovery", "hardware", "controllers"])
    options = parser.parse_args()
    rclpy.init(args=[])
    robot = load_robot(options.robot)
    names = (options.gripper, f"{options.robot}_arm_controller", "joint_state_publisher", "controller_manager")
    nodes = [rclpy.create_node(name) for name in (*names, "action_server")]
    gripper, controller, states, manager, recovery = nodes
    hand = Hand(not options.not_homed, options.object, options.dead)
    driver = HandDriver(gripper, hand, robot.finger_joint_names, with_actions=not options.fake_hardware)
    arm = Arm(controller, states, options.robot, driver)
    services = ControlServices(manager, recovery, Control(arm, robot.arm_joint_names, options.humble, options.refuses))
    executor = MultiThreadedExecutor(num_threads=12)
    for node in nodes:
        executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        del services


if __name__ == "__main__":
    main()
