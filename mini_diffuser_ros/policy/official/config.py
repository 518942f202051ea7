"""What may differ between networks in official behaviour; what they all do is in the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mini_diffuser_ros.support.settings import bounded, check_fields


@dataclass(frozen=True)
class OfficialBehaviour:
    """That a network repeats the published one with every quirk that acts at inference.

    Those are: an origin at the mean of each cloud; one grid for a batch, so that scenes depend on their batch-mates;
    BatchNorm; the numbers of a point and of a position as they are; words whose outlier dimensions dominate; no sum in
    the decoder's position encoding; one voxel index for all levels; a rotary encoding of queries alone; values without
    coordinates; another scene's sentence in the FiLM context of training; rotation and gripper from the maximum over
    the scene; neither termination nor heat-map nor rotation map; the noise predicted along a schedule whose last level
    keeps 48 % of the signal.

    Attributes:
        step_spacing: which noise levels a short sampling visits, as in the diffusers library.
        curve_shuffle: draw a random curve for each level, at inference too, as published; off, decisions repeat.
        attention_dropout: share of attention weights that are zeroed, in training only.
    """

    step_spacing: Literal["leading", "trailing"] = "trailing"
    curve_shuffle: bool = False
    attention_dropout: float = bounded(0.1, 0.0, 0.99)

    def __post_init__(self) -> None:
        check_fields(self)
