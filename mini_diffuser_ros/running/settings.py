"""How a sentence is obeyed: the settings of the loop, the same for policy_node and every evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mini_diffuser_ros.support.settings import bounded, check_fields


@dataclass(frozen=True)
class LoopSettings:
    """Everything that the way from a sentence to its end depends on, besides the world and the policy.

    The defaults are what policy_node does.

    Attributes:
        samples: hypotheses drawn for a decision.
        steps: DDIM steps of a decision.
        candidates: modes that motion may try for a keyframe, the most probable first.
        decisions_per_keyframe: decisions before a keyframe is given up as refused by motion, each on a new look and
            with other noise.
        keyframe_limit: keyframes a sentence may take.
        fruitless_keyframes: keyframes in a row that lead to a hand, a grip and a scene which the sentence has been at
            before, after which it ends; 0 for no such end.
        unchanged_distance: metres within which a point has to be found again for the scene to count as unchanged.
        unchanged_share: share of the points that may be elsewhere all the same, as no camera is without noise.
        settle_time: seconds after a sentence or a motion from which on images show the scene at rest.
        max_tries: moves to the same keyframe, as long as a world says that the arm ended short of it.
        accept_unfamiliar: obey a sentence that is unlike all that the policy was taught, too, and go on where nothing
            in the scene fits what it names or the policy is sure of no keyframe.
        confirm_end: before a sentence counts as done, look once more whether it is, where the policy knows that.
        further_rounds: ends that may be doubted, each of which the policy decides anew after, before the sentence ends
            without being confirmed.
        ends_on: ``termination``, the policy's own signal, or ``reward``, the world's judgement, whatever the policy
            says.
    """

    samples: int = bounded(64, 1, 4096)
    steps: int = bounded(20, 1, 1000)
    candidates: int = bounded(8, 1, 100)
    decisions_per_keyframe: int = bounded(2, 1, 20)
    keyframe_limit: int = bounded(15, 1, 1000)
    fruitless_keyframes: int = bounded(6, 0, 1000)
    unchanged_distance: float = bounded(0.015, 0.001, 1.0)
    unchanged_share: float = bounded(0.03, 0.0, 1.0)
    settle_time: float = bounded(0.35, 0.0, 10.0)
    max_tries: int = bounded(1, 1, 100)
    accept_unfamiliar: bool = False
    confirm_end: bool = True
    further_rounds: int = bounded(2, 0, 20)
    ends_on: Literal["termination", "reward"] = "termination"

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def published_rlbench(cls) -> LoopSettings:
        """RLBench's published protocol.

        Only the most probable keyframe counts, the move to it is repeated while it is missed, a refusal ends the
        episode, and so does a reward at any time. No sentence is refused, and nothing ends it for want of progress.
        """
        return cls(
            candidates=1,
            decisions_per_keyframe=1,
            keyframe_limit=25,
            fruitless_keyframes=0,
            settle_time=0.0,
            max_tries=10,
            accept_unfamiliar=True,
            ends_on="reward",
        )
