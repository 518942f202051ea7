"""The genuine pyrealsense2, to whose contexts the software cameras of a rendered cell are plugged in.

First on the path of a process, it is found in place of the genuine module, loads that one and changes it.
"""

import importlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_here = Path(__file__).parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _here]
del sys.modules[__name__]
_genuine = importlib.import_module(__name__)


@cache
def _plugged() -> list[Any]:
    sys.path.append(str(_here.parents[1]))  # the tests' folder, last: rooms of theirs are called as packages are
    from ros.rendered_cell import plugged_cameras

    return plugged_cameras(Path(os.environ["STAND_IN_CAMERAS"]))


class _Context(_genuine.context):
    """Of a machine to which the cameras in the folder STAND_IN_CAMERAS are plugged in."""

    def query_devices(self) -> list[Any]:
        return [camera.device for camera in _plugged()]


_genuine.context = _Context
