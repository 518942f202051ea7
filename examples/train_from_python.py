"""Train on recordings from Python, as mini-diffuser train does, and decide with what came out.

python examples/train_from_python.py RECORDINGS OUT [STEPS]     goes on from the latest checkpoint in OUT
"""

import logging
import sys

from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.training.config import BatchConfig, BudgetConfig, DataConfig, OptimConfig, TrainConfig
from mini_diffuser_ros.training.run import train

if __name__ == "__main__":  # images are fused in processes that read this file again
    recordings, out, *rest = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    # Every field is explained in its class; config/train/ holds recipes that were tried, which
    # support.settings.read_settings(TrainConfig, path) reads.
    config = TrainConfig(
        data=DataConfig(path=recordings, workers=2, validation_share=0.1),
        batch=BatchConfig(scenes=32, level2=32),
        optim=OptimConfig(lr=1e-3, warmup=50),
        budget=BudgetConfig(steps=int(rest[0]) if rest else 500),
        shards=2,  # halves of a step, each in a thread of its own: for CPUs
        seed=0,
        out=out,
    )
    if train(config).interrupted:  # Ctrl-C; the same call goes on
        sys.exit(130)

    policy = load_policy(config.policy_directory)
    episode = open_episodes(recordings)[0]
    first, following = episode.keyframes[:2]
    mode = policy.decide(first.cloud, episode.sentences[0])[0]
    print(f"{episode.sentences[0]!r}: to {mode.pose[:3].round(3)} m; demonstrated was {following.pose[:3].round(3)} m")
