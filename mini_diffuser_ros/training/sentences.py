"""Token states of all sentences of the demonstrations, encoded once."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from tqdm import tqdm

from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.text import sentence_encoder
from mini_diffuser_ros.training.demonstrations import Demonstration


def encode_sentences(
    demonstrations: Sequence[Demonstration], config: MiniDiffuserConfig, progress: bool = True
) -> dict[str, Tensor]:
    """Each distinct sentence with its token states (L, D), by the encoder that the configuration names.

    Raises:
        TextError: if a sentence is empty or too long, or the encoder is not installed.
    """
    sentences = sorted({sentence for demonstration in demonstrations for sentence in demonstration.sentences})
    states = sentence_encoder(config).many(sentences)
    return dict(tqdm(states, desc="encoding sentences", total=len(sentences), unit="sentence", disable=not progress))
