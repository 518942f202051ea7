"""Success rates of a checkpoint in a world: perception, policy and motion in one process."""

from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import evaluation_report, wilson_interval
from mini_diffuser_ros.evaluation.rollout import Decision, EpisodeResult, roll_out

__all__ = [
    "Decision",
    "EpisodeResult",
    "EvaluationError",
    "EvaluationProtocol",
    "evaluation_report",
    "roll_out",
    "wilson_interval",
]
