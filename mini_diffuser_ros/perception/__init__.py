"""Perception: calibrated RGB-D images become one cloud in the base frame. Pure numpy; Open3D is optional."""

from mini_diffuser_ros.perception.back_projection import back_project, check_view
from mini_diffuser_ros.perception.errors import InvalidViewError, PerceptionError
from mini_diffuser_ros.perception.fusion import fuse_views
from mini_diffuser_ros.perception.keyframe_views import keyframe_from_views
from mini_diffuser_ros.perception.outliers import require_open3d
from mini_diffuser_ros.perception.self_filter import self_filter
from mini_diffuser_ros.records import FusionConfig

__all__ = [
    "FusionConfig",
    "InvalidViewError",
    "PerceptionError",
    "back_project",
    "check_view",
    "fuse_views",
    "keyframe_from_views",
    "require_open3d",
    "self_filter",
]
