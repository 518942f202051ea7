"""Token states of all sentences of the demonstrations, encoded once and kept in one cache file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from mini_diffuser_ros.policy import MiniDiffuserConfig, sentence_encoder
from mini_diffuser_ros.support.files import whole_file
from mini_diffuser_ros.training.demonstrations import Demonstration

log = logging.getLogger(__name__)

FORMAT = 2
"""Version of the cache file; a file of another one is not found and built anew."""


def encode_sentences(
    demonstrations: Sequence[Demonstration], config: MiniDiffuserConfig, cache: Path, progress: bool = True
) -> dict[str, Tensor]:
    """Each distinct sentence with its token states (L, D), by the encoder that the configuration names.

    Args:
        demonstrations: whose sentences.
        config: of the network; names the encoder.
        cache: directory of cache files, made if missing.
        progress: shows a bar.

    Raises:
        TextError: if a sentence is empty or too long, or the encoder is not installed.
    """
    sentences = sorted({sentence for demonstration in demonstrations for sentence in demonstration.sentences})
    encoder = sentence_encoder(config)
    identity = json.dumps([FORMAT, encoder.digest(), config.text.max_tokens, sentences])
    file = cache / f"sentences-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"
    if file.exists():
        try:
            stored = load_file(file)
            return dict(zip(sentences, stored["states"].split(stored["lengths"].tolist()), strict=True))
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            log.warning("%s: damaged cache of sentences (%s); encoding again", file, error)
    bar = tqdm(total=len(sentences), desc="encoding sentences", unit="sentence", disable=not progress)
    states: dict[str, Tensor] = {}
    with bar:
        for sentence, state in encoder.many(sentences, _free_threads()):
            states[sentence] = state
            bar.update()
    _write([states[sentence] for sentence in sentences], file)
    return states


def _free_threads() -> int:
    """How many operations of PyTorch's present number of threads the processors can do at once."""
    return max(1, len(os.sched_getaffinity(0)) // torch.get_num_threads())


def _write(states: Sequence[Tensor], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lengths = torch.tensor([len(state) for state in states])
    with whole_file(file) as partial:
        save_file({"states": torch.cat(list(states)), "lengths": lengths}, partial)


def taught_sentences(demonstrations: Sequence[Demonstration]) -> dict[str, tuple[str, ...]]:
    """Task to the sentences of its demonstrations, each once, in alphabetical order."""
    return together(*({demonstration.task: demonstration.sentences} for demonstration in demonstrations))


def together(*taught: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Task to the sentences of all of them, each once, in alphabetical order."""
    sentences: dict[str, set[str]] = {}
    for one in taught:
        for task, known in one.items():
            sentences.setdefault(task, set()).update(known)
    return {task: tuple(sorted(known)) for task, known in sorted(sentences.items())}
