"""Success rates of a checkpoint in a world: the loop of policy_node, with everything in one process."""

from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import evaluation_report, wilson_interval
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, JudgedDecision, JudgedWorld, roll_out
from mini_diffuser_ros.evaluation.tabletop_cell import TabletopCell

__all__ = [
    "EpisodeResult",
    "EvaluationError",
    "EvaluationProtocol",
    "JudgedDecision",
    "JudgedWorld",
    "TabletopCell",
    "evaluation_report",
    "roll_out",
    "wilson_interval",
]
