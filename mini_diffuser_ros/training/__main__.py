"""``python -m mini_diffuser_ros.training``: what torchrun starts, the verb ``mini-diffuser train``."""

import sys

from mini_diffuser_ros.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
