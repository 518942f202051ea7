"""Which sentences a policy refuses: of those that mean a task, and of those that mean none, family by family.

Both files are YAML, a name to a list of sentences: a task, or a family of sentences that no task means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini_diffuser_ros.bench.benchmark import Benchmark, positional
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.policy import Policy, TextError, load_policy
from mini_diffuser_ros.sentences import read_sentences

_ALL = "all"


@dataclass(frozen=True, kw_only=True)
class FamiliaritySetting:
    """What is asked.

    Attributes:
        checkpoint: of the policy.
        good: file of sentences that mean a task.
        bad: file of sentences that mean none.
        wrong: file to write the sentences to that were taken for the other kind.
    """

    checkpoint: str = positional()
    good: Path = Path("config/eval/paraphrases.yaml")
    bad: Path = Path("config/eval/foils.yaml")
    wrong: Path | None = None


@dataclass(frozen=True)
class FamiliarityRow:
    """One family.

    Attributes:
        family: task, or what kind of sentence that means none.
        should: ``obey`` or ``refuse``.
        sentences: how many.
        refused: of those.
        share: refused, in [0, 1].
    """

    family: str
    should: str
    sentences: int
    refused: int
    share: float


def run(settings: Sequence[FamiliaritySetting]) -> Iterator[FamiliarityRow]:
    """Rows of each family, and of all of them together.

    Raises:
        BenchError: the policy does not know which sentences it was taught.
    """
    for setting in settings:
        policy = load_policy(setting.checkpoint)
        mistakes: list[str] = []
        for should, file in (("obey", setting.good), ("refuse", setting.bad)):
            yield from _rows(policy, should, read_sentences(file), mistakes)
        if setting.wrong is not None:
            setting.wrong.write_text("\n".join(mistakes) + "\n", encoding="utf-8")


def _rows(
    policy: Policy, should: str, families: Mapping[str, tuple[str, ...]], mistakes: list[str]
) -> Iterator[FamiliarityRow]:
    asked = refused_of_all = 0
    for family, sentences in families.items():
        refused = 0
        for sentence in sentences:
            is_refused, score = _asked(policy, sentence)
            refused += is_refused
            if is_refused != (should == "refuse"):
                mistakes.append(f"{family}\t{score:.4f}\t{sentence}")
        asked, refused_of_all = asked + len(sentences), refused_of_all + refused
        yield FamiliarityRow(family, should, len(sentences), refused, refused / max(1, len(sentences)))
    yield FamiliarityRow(_ALL, should, asked, refused_of_all, refused_of_all / max(1, asked))


def _asked(policy: Policy, sentence: str) -> tuple[bool, float]:
    """Whether a sentence is refused, one that cannot be read included, and its score."""
    try:
        found = policy.familiarity(sentence)
    except TextError:
        return True, 0.0
    if found is None:
        raise BenchError("the policy does not know which sentences it was taught; 'mini-diffuser assess' teaches it")
    return not found.is_familiar, found.score


BENCHMARK = Benchmark(FamiliaritySetting, run, __doc__)
