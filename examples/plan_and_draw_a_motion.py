"""A pose becomes a checked joint trajectory, drawn against the arm's limits; one that is not safe is refused by name.

python examples/plan_and_draw_a_motion.py     (pip install matplotlib)
"""

import matplotlib.pyplot as plt
import numpy as np

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused, StaticBox
from mini_diffuser_ros.motion.timing import interpolate
from mini_diffuser_ros.robots import load_robot

robot = load_robot("panda")
wall = StaticBox("wall", center=(0.5, 0.0, 0.2), half_extents=(0.15, 0.02, 0.2))  # metres in the base frame
planner = MotionPlanner(robot, MotionConfig(boxes=(wall,), velocity_scaling=0.5))

# From one side of the wall to the other: tool centre points xyz + quaternion xyzw, the gripper downwards.
left = np.array([0.5, 0.25, 0.15, *top_down_quaternion(0.0)])
right = np.array([0.5, -0.25, 0.15, *top_down_quaternion(0.5)])
beside = planner.plan(robot.home, left).positions[-1]
trajectory = planner.plan(beside, right)
print(f"{trajectory.duration:.2f} s, {len(trajectory.times)} samples")

try:
    planner.plan(beside, np.array([0.5, 0.0, 0.1, *top_down_quaternion(0.0)]))
except MotionRefused as refusal:
    print(f"refused: {refusal}")

times = np.linspace(0.0, trajectory.duration, 500)
_, velocities, _ = interpolate(trajectory, times)
figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 6))
above.plot(trajectory.times, trajectory.positions, label=trajectory.joint_names)
above.set_ylabel("position / rad")
above.legend(fontsize="small", ncols=2)
below.plot(times, velocities / robot.velocity_limits)
below.set(xlabel="time / s", ylabel="share of the velocity limit")
figure.savefig("motion.png")
print("motion.png shows positions and velocities")
