"""Parameters of nodes, under the name that newer distributions import them by."""

from rosless.errors import left_out

from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

__all__ = ["ParameterFile", "ParameterValue"]
__getattr__ = left_out(__name__)
