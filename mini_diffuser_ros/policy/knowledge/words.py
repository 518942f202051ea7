"""Words of sentences, and how well a policy knows each of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mini_diffuser_ros.policy.knowledge.judge import LEVELS, NO_WORD

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def words_of(sentence: str) -> list[str]:
    """Lower-case words, without punctuation."""
    return re.findall(r"[a-z0-9]+", sentence.lower())


def level(count: int) -> int:
    """How well a word is known that so many taught templates hold."""
    return bisect_right(LEVELS, count) - 1


def token_words(sentence: str, tokenizer: Tokenizer) -> list[str]:
    """The word in lower case that each token belongs to, those that mark start and end included; empty for no word.

    Args:
        sentence: single-spaced.
        tokenizer: of the sentence encoder.
    """
    encoding = tokenizer.encode(sentence)
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        if word is not None:
            starts.setdefault(word, start)
            ends[word] = end
    texts = ["" if word is None else sentence[starts[word] : ends[word]].lower() for word in encoding.word_ids]
    return [text if text.isalnum() else "" for text in texts]


def levels_of(words: Sequence[str], counts: Mapping[str, int]) -> list[int]:
    """How well each word is known that :func:`token_words` gave, by the number of taught templates that hold it."""
    return [level(counts.get(word, 0)) if word else NO_WORD for word in words]


def levels_by_task(
    words: Sequence[str], counts: Mapping[str, int], by_task: Mapping[str, Mapping[str, int]]
) -> list[int]:
    """How well each word is known at all, and how well of the task whose sentences hold the words best, in one number.

    A ball is no stranger where balls are put into bowls, but it is one in a sentence that otherwise stacks blocks.

    Args:
        words: as :func:`token_words` gives them.
        counts: word to the number of taught templates that hold it.
        by_task: the same of each task.

    Returns:
        Numbers from 0; ``len(LEVELS) ** 2`` for no word.
    """
    said = set(words) - {""}
    own = max(by_task.values(), key=lambda task: sum(level(task.get(word, 0)) for word in said))
    return [
        len(LEVELS) * level(counts.get(word, 0)) + level(own.get(word, 0)) if word else len(LEVELS) ** 2
        for word in words
    ]


def numbers_of(words: Sequence[str], vocabulary: Mapping[str, int]) -> list[int]:
    """The number of each word, 0 for one that has none."""
    return [vocabulary.get(word, 0) for word in words]
