"""What config.json says of a policy's knowledge: thresholds, and what they cost. Reading it needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mini_diffuser_ros.support.settings import SettingsError, check_fields, not_expected, unknown_name

PARTS = ("familiarity", "presence", "sureness", "completion")
"""Of knowledge, each optional: is the sentence one it was taught, is what it names in the scene, how sure is it of a
mode, is the task done."""

_SHARE = {"bounds": (0.0, 1.0)}
_COUNT = {"bounds": (0, 10**9)}
_FEW = 100  # cases; of fewer, a share of one in a hundred cannot be told from none


@dataclass(frozen=True)
class Threshold:
    """A score in [0, 1] below which a case is refused, and what that costs.

    Attributes:
        value: the score.
        refuses: share of the good cases that are refused, measured on cases that were held out.
        cases: how many good cases that was measured on.
        catches: share of the made-up bad cases that are refused; None where there were none.
    """

    value: float = field(metadata=_SHARE)
    refuses: float = field(metadata=_SHARE)
    cases: int = field(metadata=_COUNT)
    catches: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.catches is not None and not 0.0 <= self.catches <= 1.0:
            raise not_expected("catches", self.catches, "a number in [0, 1], or none")

    def __str__(self) -> str:
        few = f", too few to tell a share below {1 / max(1, self.cases):.0%}" if self.cases < _FEW else ""
        caught = "" if self.catches is None else f"; {self.catches:.1%} of the made-up bad ones"
        return f"{self.value:.3f} refuses {self.refuses:.1%} of {self.cases} good cases held out{few}{caught}"


@dataclass(frozen=True)
class PartFacts:
    """What config.json says of one part.

    Attributes:
        thresholds: by the name of what they are thresholds of.
        settings: what else, beside its tensors, the part is made from again; it checks them itself.
        learned_from: in words, for whoever asks.
    """

    thresholds: dict[str, Threshold]
    settings: dict[str, Any]
    learned_from: str

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class KnowledgeFacts:
    """The block ``knowledge`` of config.json.

    Attributes:
        tensors_sha256: digest of the content of knowledge.safetensors.
        weights_sha256: digest of the weights of the network on top of which it was learned.
        parts: by their names, of :data:`PARTS`.
    """

    tensors_sha256: str
    weights_sha256: str
    parts: dict[str, PartFacts]

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.parts:
            if name not in PARTS:
                raise SettingsError(f"parts.{name}", f"is unknown: {unknown_name(name, PARTS, 'part')}")


@dataclass(frozen=True)
class SentenceFamiliarity:
    """How familiar a sentence is.

    Attributes:
        score: in [0, 1]; 1 is certainly taught.
        threshold: below which it is unfamiliar.
        nearest: sentences that the policy was taught, the nearest first, each of another task.
        denial: word in it that denies, with which nothing was taught; empty if there is none.
        unasked: words in it because of which it asks for nothing to be done once and now, and what they do; empty if
            there are none.
    """

    score: float
    threshold: float
    nearest: tuple[str, ...]
    denial: str = ""
    unasked: str = ""

    @property
    def is_familiar(self) -> bool:
        """Whether the sentence means what the policy was taught, as far as it can tell."""
        return not self.denial and not self.unasked and self.score >= self.threshold

    @property
    def refusal(self) -> str:
        """One line on why the sentence is not obeyed; empty if it is familiar."""
        if self.is_familiar:
            return ""
        known = ", ".join(f"'{sentence}'" for sentence in self.nearest)
        if self.denial:
            return (
                f"'{self.denial}' denies what the sentence asks for, and the policy was taught nothing with that word: "
                f"say what to do; nearest that it knows: {known}"
            )
        if self.unasked:
            return (
                f"{self.unasked}, and the policy was taught nothing with such words: say what to do once and now; "
                f"nearest that it knows: {known}"
            )
        return (
            f"the policy was not taught what this sentence means (familiarity {self.score:.3f}, taught ones have "
            f"{self.threshold:.3f} and more); nearest that it knows: {known}"
        )


def ignorance(facts: KnowledgeFacts | None, checkpoint: str) -> str:
    """One line that says what of itself a policy does not know, and the command that teaches it; empty if nothing."""
    missing = [name for name in PARTS if facts is None or name not in facts.parts]
    if not missing:
        return ""
    what = "nothing of itself" if len(missing) == len(PARTS) else f"nothing of its {', '.join(missing)}"
    return f"the policy knows {what}; teach it with 'mini-diffuser assess {checkpoint} --data RECORDINGS'"
