"""Cloud and sentence to ranked keyframes: the Mini Diffuser.

Names are imported when they are first asked for: reading a checkpoint's settings loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mini_diffuser_ros.policy.batch import TrainingBatch
    from mini_diffuser_ros.policy.checkpoint import Checkpoint, read_checkpoint, read_fusion
    from mini_diffuser_ros.policy.config import MiniDiffuserConfig
    from mini_diffuser_ros.policy.cpu import tune_cpu
    from mini_diffuser_ros.policy.encoding import SentenceEncoder, sentence_encoder
    from mini_diffuser_ros.policy.errors import CheckpointError, PolicyError, TextError
    from mini_diffuser_ros.policy.model import MiniDiffuser
    from mini_diffuser_ros.policy.official.published import import_official
    from mini_diffuser_ros.policy.policy import Policy
    from mini_diffuser_ros.policy.scene import ScenePoints, scene_points, workspace_centre
    from mini_diffuser_ros.policy.storage import load_model, load_policy, save_policy

_HOMES = {
    "batch": ("TrainingBatch",),
    "checkpoint": ("Checkpoint", "read_checkpoint", "read_fusion"),
    "config": ("MiniDiffuserConfig",),
    "cpu": ("tune_cpu",),
    "encoding": ("SentenceEncoder", "sentence_encoder"),
    "errors": ("CheckpointError", "PolicyError", "TextError"),
    "model": ("MiniDiffuser",),
    "official.published": ("import_official",),
    "policy": ("Policy",),
    "scene": ("ScenePoints", "scene_points", "workspace_centre"),
    "storage": ("load_model", "load_policy", "save_policy"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Checkpoint",
    "CheckpointError",
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
    "read_checkpoint",
    "read_fusion",
    "save_policy",
    "scene_points",
    "sentence_encoder",
    "tune_cpu",
    "workspace_centre",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
