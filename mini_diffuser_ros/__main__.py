"""``python -m mini_diffuser_ros``: the ``mini-diffuser`` command."""

import sys

from mini_diffuser_ros.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
