"""Words of sentences, and how well a policy knows each of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
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


def token_levels(sentence: str, tokenizer: Tokenizer, counts: Mapping[str, int]) -> list[int]:
    """The level of the word that each token belongs to, those that mark start and end included.

    Args:
        sentence: single-spaced.
        tokenizer: of the sentence encoder.
        counts: word to the number of taught templates that hold it.
    """
    encoding = tokenizer.encode(sentence)
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        if word is not None:
            starts.setdefault(word, start)
            ends[word] = end
    levels = []
    for word in encoding.word_ids:
        text = "" if word is None else sentence[starts[word] : ends[word]].lower()
        levels.append(level(counts.get(text, 0)) if text.isalnum() else NO_WORD)
    return levels
