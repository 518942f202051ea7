"""Events."""

from pocketros.errors import left_out

from launch.core import Event as Event
from launch.core import ExecutionComplete as ExecutionComplete
from launch.core import Shutdown as Shutdown

__getattr__ = left_out(__name__)
