"""Cloud and sentence to ranked keyframes: the Mini Diffuser."""

from mini_diffuser_ros.policy.batch import TrainingBatch
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import CheckpointError, ConfigError, PolicyError, TextError
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.scene import ScenePoints, scene_points, workspace_centre

__all__ = [
    "CheckpointError",
    "ConfigError",
    "MiniDiffuser",
    "MiniDiffuserConfig",
    "PolicyError",
    "ScenePoints",
    "TextError",
    "TrainingBatch",
    "scene_points",
    "workspace_centre",
]
