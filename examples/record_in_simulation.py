"""Demonstrations of a scripted expert, recorded and read back. For many of them: mini-diffuser record.

python examples/record_in_simulation.py [FOLDER] [EPISODES]
"""

import sys
from pathlib import Path

import numpy as np

from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.simulation import DemonstrationFailed, TabletopWorld, demonstrate

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("recordings/example")
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 3

world = TabletopWorld(image_size=(128, 128))
planner = MotionPlanner(world.robot)
store = EpisodeStore(folder, robot=world.robot.name)

for seed in range(episodes):
    try:
        episode = demonstrate(world, planner, "push_buttons", seed)
    except DemonstrationFailed as failure:  # the layout was too hard for the expert: nothing is recorded
        print(failure)
    else:
        print(f"wrote {store.write(episode, seed)}")

for episode in open_episodes(folder):
    print(f"{episode.task}: {episode.sentences[0]!r}")
    for keyframe in episode.keyframes:
        gripper = "open" if keyframe.gripper_open else "closed"
        print(f"  {np.round(keyframe.pose[:3], 3)} m, gripper {gripper}, {len(keyframe.cloud)} points")
