"""What the parts of knowledge are learned from: a policy whose network stays as it is, and demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor
from tqdm import tqdm

from mini_diffuser_ros.policy import Policy
from mini_diffuser_ros.policy.encoding import SentenceEncoder
from mini_diffuser_ros.training.demonstrations import Demonstration


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Those of a lesson.

    Attributes:
        training: that the policy was trained on.
        held_out: that it was not; thresholds are set on these.
    """

    training: list[Demonstration]
    held_out: list[Demonstration]


@dataclass(eq=False)
class Lesson:
    """One policy, and what it may be taught from.

    Attributes:
        policy: whose knowledge it is.
        load: gives the demonstrations; called when a part first asks for them, as fusing them takes minutes.
        seed: of everything that is drawn.
        further: task to more sentences that mean it, which the policy understands though no demonstration has them.
        progress: shows bars.
    """

    policy: Policy
    load: Callable[[], Demonstrations]
    seed: int = 0
    further: Mapping[str, Sequence[str]] = field(default_factory=dict)
    progress: bool = True

    @cached_property
    def demonstrations(self) -> Demonstrations:
        """Loaded once for all parts."""
        return self.load()

    def token_states(self, sentences: Iterable[str]) -> dict[str, Tensor]:
        """(L, D) states of the tokens of each sentence, by the encoder that the policy has."""
        encoder, wanted = self.policy.text, sorted(set(sentences))
        if isinstance(encoder, SentenceEncoder):
            return dict(encoder.many(wanted))
        return {sentence: encoder(sentence) for sentence in wanted}

    def bar(self, total: int, description: str) -> tqdm[Any]:
        """A progress bar of ``total`` updates, to be used as a context."""
        return tqdm(total=total, desc=description, disable=not self.progress)
