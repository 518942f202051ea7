"""What can be wrong with the sentences of an episode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from mini_diffuser_ros.data.checks.faults import Fault
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.sentences import MAX_TOKENS, refusal, shown, strange_words, unknown_words


def check_sentences(sentences: Sequence[str]) -> None:
    """Refuse sentences that no policy could be trained on.

    Raises:
        DataError: naming the first and the remedy.
    """
    if not sentences:
        raise DataError("there is no sentence, expected at least one such as 'press the blue button'")
    for sentence in sentences:
        if problem := refusal(sentence):
            raise DataError(f"sentence {shown(sentence)} {problem}")


def sentence_faults(sentences: Sequence[str], max_tokens: int = MAX_TOKENS) -> Iterator[Fault]:
    """What is wrong with the sentences of an episode."""
    for sentence in sentences:
        if fault := _fault(sentence, max_tokens):
            yield fault


@lru_cache(maxsize=65536)  # thousands of episodes share their sentences
def _fault(sentence: str, max_tokens: int) -> Fault | None:
    if problem := refusal(sentence, max_tokens):
        return Fault("a sentence that no encoder takes", f"sentence {shown(sentence)} {problem}")
    if unknown := unknown_words(sentence):
        problem = f"the sentence encoder does not know {', '.join(map(repr, unknown))} in {shown(sentence)}"
        return Fault("words that the encoder does not know", problem, is_error=False)
    if strange := strange_words(sentence):
        problem = f"the sentence encoder knows only pieces of {', '.join(map(repr, strange))} in {shown(sentence)}"
        return Fault("a sentence that may not be English", f"{problem}: is it English?", is_error=False)
    return None
