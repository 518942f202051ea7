"""Whether a task is done, judged once more when its policy has ended it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.knowledge.ends import end_features
from mini_diffuser_ros.policy.knowledge.facts import PartFacts, Threshold
from mini_diffuser_ros.policy.knowledge.part import Part, checked_tensor, only_threshold, packed, unpack
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.records import EndJudgement, SeenEnd
from mini_diffuser_ros.support.settings import check_fields, from_mapping

END = "end"
"""Name of the threshold."""

_FAR = 6.0  # standard deviations beyond which a number counts as so far
_SOFTNESS = 6.0  # logits are divided by it, so that sigmoids of sure ones differ from 0 and 1 in single precision


class EndJudge(nn.Sequential):
    """A logit (B, 1) of standardised numbers (B, F): above 0 rather done, below rather not.

    Args:
        width: F.
        channels: of its first layer; the second has half of them.
        dropout: while it learns.
    """

    def __init__(self, width: int, channels: int, dropout: float = 0.3) -> None:
        super().__init__(
            nn.Dropout(dropout / 3),
            nn.Linear(width, channels),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(channels, channels // 2),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(channels // 2, 1),
        )


@dataclass(frozen=True)
class CompletionSettings:
    """What a completion is made from again, beside its tensors.

    Attributes:
        judges: how many vote.
        channels: inside each.
        width: of the numbers that they judge by.
    """

    judges: int
    channels: int
    width: int

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value, most in (("judges", self.judges, 100), ("channels", self.channels, 4096)):
            if not 1 <= value <= most:
                raise ValueError(f"has {name} {value}, expected 1 to {most}")
        if not 1 <= self.width <= 100_000:
            raise ValueError(f"has width {self.width}, expected 1 to 100000")


class Completion(Part):
    """Judges that vote on whether a task is done, by what the policy's own network makes of its end.

    Args:
        judges: in evaluation mode.
        mean: (F,) of the numbers that they learned from.
        deviation: (F,) likewise, positive.
        threshold: of the score.
        learned_from: in words.
    """

    def __init__(
        self, judges: Sequence[EndJudge], mean: Tensor, deviation: Tensor, threshold: Threshold, learned_from: str
    ) -> None:
        self._judges = tuple(judge.eval() for judge in judges)
        self._mean, self._deviation = mean, deviation
        self._threshold = threshold
        self._learned_from = learned_from

    def read(self, model: MiniDiffuser, end: SeenEnd, words: Tensor) -> EndJudgement:
        """Whether a task is done.

        Args:
            model: the network that it was learned on.
            end: what is seen of it.
            words: (L, D) token states of the sentence.

        Raises:
            ValueError: the cloud has no finite point in the workspace.
        """
        return EndJudgement(float(self.scores(end_features(model, [end], [words]))[0]), self._threshold.value)

    def scores(self, features: Tensor) -> Tensor:
        """Scores (B,) in [0, 1] of the numbers (B, F) of ends."""
        x = standardised(features, self._mean, self._deviation)
        with torch.inference_mode():
            logits = torch.stack([judge(x)[:, 0] for judge in self._judges]).double().mean(0)
        return (logits / _SOFTNESS).sigmoid()

    @property
    def facts(self) -> PartFacts:
        """See :class:`Part`."""
        channels = int(self._judges[0][1].out_features)  # type: ignore[arg-type]  # a Linear
        settings = {"judges": len(self._judges), "channels": channels, "width": len(self._mean)}
        return PartFacts({END: self._threshold}, settings, self._learned_from)

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`Part`."""
        found = {"mean": self._mean.float(), "deviation": self._deviation.float()}
        for number, judge in enumerate(self._judges):
            found |= packed(judge, f"judge{number}.")
        return found

    @classmethod
    def restored(cls, facts: PartFacts, tensors: Mapping[str, Tensor], network: MiniDiffuserConfig) -> Completion:
        """See :class:`Part`."""
        threshold = only_threshold(facts, END)
        settings = from_mapping(CompletionSettings, facts.settings, "", "settings", complete=True)
        mean, deviation = (checked_tensor(tensors, name, (settings.width,)) for name in ("mean", "deviation"))
        if not bool((deviation > 0).all()):
            raise ValueError("has a deviation that is not positive")
        judges = []
        for number in range(settings.judges):
            judge = EndJudge(settings.width, settings.channels)
            unpack(judge, tensors, f"judge{number}.")
            judges.append(judge)
        return cls(judges, mean, deviation, threshold, facts.learned_from)


def standardised(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Numbers (B, F) as judges read them."""
    return ((features - mean) / deviation).clamp(-_FAR, _FAR)
