"""A sentence and a cloud become ranked keyframes, printed and drawn.

python examples/decide_on_a_cloud.py [SENTENCE]
"""

import sys
from pathlib import Path

import numpy as np

from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.support.drawing import draw_cloud, glyphs_of_modes

CHECKPOINT = Path(__file__).parents[1] / "models" / "tabletop"
sentence = sys.argv[1] if len(sys.argv) > 1 else "stack the red block on the green block"

# Any Cloud will do: points (N, 3) in metres in the arm's base frame, colours (N, 3) from 0 to 255, the frame's name.
# This one is what three cameras see of a simulated table; joint positions tell which points are the arm's.
policy = load_policy(CHECKPOINT)
world = TabletopWorld()
world.reset("stack_blocks", seed=0)
cloud = policy.fuse(world.views(), world.robot, world.joint_positions())

modes = policy.decide(cloud, sentence, samples=64, steps=20, seed=0)
for rank, mode in enumerate(modes, start=1):
    gripper = "open" if mode.gripper_open else "closed"
    print(f"{rank}. {100 * mode.share:3.0f} %  tool at {np.round(mode.pose[:3], 3)} m, then the gripper {gripper}")

draw_cloud(cloud, glyphs_of_modes(modes), sentence).save("decision.png")
print("decision.png shows the cloud with the candidates")
