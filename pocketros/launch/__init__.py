"""The launch system on Python alone: a part of pocketros.  A genuine one on PYTHONPATH is found before it."""

from pocketros.errors import left_out

from launch.core import Action as Action
from launch.core import Condition as Condition
from launch.core import Event as Event
from launch.core import EventHandler as EventHandler
from launch.core import LaunchContext as LaunchContext
from launch.core import LaunchDescription as LaunchDescription
from launch.core import LaunchDescriptionEntity as LaunchDescriptionEntity
from launch.core import SomeSubstitutionsType as SomeSubstitutionsType
from launch.core import Substitution as Substitution
from launch.launch_description_sources import LaunchDescriptionSource as LaunchDescriptionSource
from launch.service import LaunchService as LaunchService

__getattr__ = left_out(__name__)
