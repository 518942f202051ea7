"""CLIP ViT-B/32's text tower, as the published network reads it."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from transformers import AutoTokenizer, CLIPTextModel

from mini_diffuser_ros.policy.encoding import SentenceEncoder
from mini_diffuser_ros.policy.errors import TextError

_MODEL = "openai/clip-vit-base-patch32"


class ClipEncoder(SentenceEncoder):
    """512-wide token states. CLIP itself ends at 77 tokens.

    The weights must be in the Hugging Face cache already; nothing is downloaded here.
    """

    def __init__(self, max_tokens: int) -> None:
        super().__init__(max_tokens)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(_MODEL, local_files_only=True)
            self._model = CLIPTextModel.from_pretrained(_MODEL, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise TextError(
                f"text.encoder: the weights of clip are not on this machine; fetch them with "
                f"`huggingface-cli download {_MODEL}` or set text.encoder to minilm"
            ) from error

    @property
    def width(self) -> int:
        """512."""
        return int(self._model.config.hidden_size)

    def digest(self) -> str:
        """Of its weights and its tokenizer as they are in memory."""
        digest = hashlib.sha256(str(self._tokenizer.backend_tokenizer.to_str()).encode())
        for name, value in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def tokens(self, sentence: str) -> list[int]:
        """See :class:`SentenceEncoder`."""
        tokens: list[int] = self._tokenizer(sentence)["input_ids"]
        return tokens

    def states(self, tokens: Tensor) -> Tensor:
        """See :class:`SentenceEncoder`."""
        states: Tensor = self._model(input_ids=tokens).last_hidden_state
        return states.float()
