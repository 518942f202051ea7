"""Cloud and sentence to ranked keyframes: the Mini Diffuser."""

from mini_diffuser_ros.policy.batch import TrainingBatch
from mini_diffuser_ros.policy.checkpoint import load_model, load_policy, save_policy
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.cpu import tune_cpu
from mini_diffuser_ros.policy.errors import CheckpointError, ConfigError, PolicyError, TextError
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.official import import_official
from mini_diffuser_ros.policy.policy import Policy
from mini_diffuser_ros.policy.scene import ScenePoints, scene_points, workspace_centre
from mini_diffuser_ros.policy.text import SentenceEncoder, sentence_encoder

__all__ = [
    "CheckpointError",
    "ConfigError",
    "MiniDiffuser",
    "MiniDiffuserConfig",
    "Policy",
    "PolicyError",
    "ScenePoints",
    "SentenceEncoder",
    "TextError",
    "TrainingBatch",
    "import_official",
    "load_model",
    "load_policy",
    "save_policy",
    "scene_points",
    "sentence_encoder",
    "tune_cpu",
    "workspace_centre",
]
