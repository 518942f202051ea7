"""Sentences to token states: what every encoder has in common, and the encoder that a configuration names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from mini_diffuser_ros.policy import text
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import TextError
from mini_diffuser_ros.support.modules import subclasses_in
from mini_diffuser_ros.support.sealing import file_digest

_CACHED_SENTENCES = 4096
_BATCH = 64  # sentences that go through the encoder together


class SentenceEncoder(ABC):
    """Turns a sentence into one state for each of its tokens.

    A subclass is a file in ``policy/text/`` and says how wide its states are, what the tokens of a sentence are, and
    what their states.

    Args:
        max_tokens: a longer sentence is refused, counting the tokens that mark start and end.

    Raises:
        TextError: what the encoder needs is not installed.
    """

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        # Training draws a few thousand sentences again and again.
        self._remembered: OrderedDict[str, Tensor] = OrderedDict()

    @property
    @abstractmethod
    def width(self) -> int:
        """Width D of a token state."""

    @abstractmethod
    def tokens(self, sentence: str) -> list[int]:
        """The tokens of a sentence that is not empty, however long, with those that mark start and end."""

    @abstractmethod
    def states(self, tokens: Tensor) -> Tensor:
        """States (B, L, D) float32 on the CPU of B sentences of L tokens each, (B, L) int64; called without gradients,
        from several threads at once."""

    def digest(self) -> str:
        """A digest of all that its tokens and states come from, 64 hexadecimal digits.

        That of the subclass's own file; one that reads weights or a vocabulary from elsewhere gives that of those.

        Raises:
            TextError: if that cannot be read.
        """
        return file_digest(Path(str(import_module(type(self).__module__).__file__)))

    def __call__(self, sentence: str) -> Tensor:
        """Token states (L, D) float32 on the CPU; the same tensor for the same sentence, not to be written to.

        Raises:
            TextError: the sentence is empty or too long.
        """
        words = _single_spaced(sentence)
        if words not in self._remembered:
            self._remembered[words] = self._encode([self._checked_tokens(words)])[0]
            if len(self._remembered) > _CACHED_SENTENCES:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(words)
        return self._remembered[words]

    def check(self, sentence: str) -> None:
        """Refuse what :meth:`__call__` would refuse, without computing anything.

        Raises:
            TextError: the sentence is empty or too long.
        """
        self._checked_tokens(_single_spaced(sentence))

    def many(self, sentences: Sequence[str], threads: int = 1) -> Iterator[tuple[str, Tensor]]:
        """Each sentence with its token states, in any order; faster than one by one, and not remembered.

        Sentences of equal length go through the network together, without padding.

        Args:
            sentences: what to encode.
            threads: how many batches are encoded at once, each by PyTorch's own threads.

        Raises:
            TextError: a sentence is empty or too long.
        """
        tokens = {sentence: self._checked_tokens(_single_spaced(sentence)) for sentence in sentences}
        chunks = []
        for _, group in groupby(sorted(tokens, key=lambda s: len(tokens[s])), key=lambda s: len(tokens[s])):
            equally_long = list(group)
            chunks += [equally_long[start : start + _BATCH] for start in range(0, len(equally_long), _BATCH)]
        with ThreadPoolExecutor(threads) as pool:
            encoded = pool.map(self._encode, ([tokens[sentence] for sentence in chunk] for chunk in chunks))
            for chunk, states in zip(chunks, encoded, strict=True):
                yield from zip(chunk, states, strict=True)

    def _checked_tokens(self, sentence: str) -> list[int]:
        tokens = self.tokens(sentence)
        if len(tokens) > self._max_tokens:
            raise TextError(
                f"sentence of {len(tokens)} tokens is too long, expected at most {self._max_tokens}: "
                f"{sentence[:40]!r}..."
            )
        return tokens

    def _encode(self, tokens: list[list[int]]) -> Tensor:
        with torch.inference_mode():
            states = self.states(torch.tensor(tokens))
        return states.clone()  # as an ordinary tensor, which training may use


def sentence_encoder(config: MiniDiffuserConfig) -> SentenceEncoder:
    """The encoder that a configuration names.

    Raises:
        TextError: it, or what it needs, is not installed, or it is not as wide as ``config.text.width``.
    """
    name = config.text.encoder
    try:
        module = import_module(f"{text.__name__}.{name}")
    except ModuleNotFoundError as error:
        raise TextError(f"text.encoder: {name} needs {error.name}, which is not installed") from error
    kinds = subclasses_in(module, SentenceEncoder)
    if len(kinds) != 1:
        raise TextError(f"{module.__file__}: defines {len(kinds)} sentence encoders, expected one")
    encoder: SentenceEncoder = kinds[0](config.text.max_tokens)
    if encoder.width != config.text.width:
        raise TextError(f"text.width: {config.text.width} does not fit {name}, which is {encoder.width} wide")
    return encoder


def _single_spaced(sentence: str) -> str:
    words = " ".join(sentence.split())
    if not words:
        raise TextError("sentence is empty, expected words such as 'press the blue button'")
    return words
