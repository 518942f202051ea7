"""Token states of all sentences of the demonstrations, each encoded once and kept in a cache file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from mini_diffuser_ros.policy import MiniDiffuserConfig, sentence_encoder
from mini_diffuser_ros.support.files import whole_file
from mini_diffuser_ros.training.demonstrations import Demonstration

log = logging.getLogger(__name__)

FORMAT = 3
"""Version of the cache file; a file of another one is not found and built anew."""

_NAMED = "sentence: "
"""Before each sentence in the file, in which some names have a meaning of their own."""


def encode_sentences(
    demonstrations: Sequence[Demonstration], config: MiniDiffuserConfig, cache: Path, progress: bool = True
) -> dict[str, Tensor]:
    """Each distinct sentence with its token states (L, D), by the encoder that the configuration names.

    A cache has one file for each encoder; trainings that share it encode what none of them has met before.

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
    identity = json.dumps([FORMAT, encoder.digest(), config.text.max_tokens])
    file = cache / f"sentences-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"
    states = _cached(file, sentences)
    missing = [sentence for sentence in sentences if sentence not in states]
    if not missing:
        return states
    with tqdm(total=len(missing), desc="encoding sentences", unit="sentence", disable=not progress) as bar:
        for sentence, state in encoder.many(missing, _free_threads()):
            states[sentence] = state
            bar.update()
    _write(_cached(file) | states, file)
    return states


def _cached(file: Path, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
    """What a cache file has of the wanted sentences, by default all; nothing where it is missing or damaged."""
    if not file.exists():
        return {}
    try:
        with safe_open(file, framework="pt") as stored:
            there = {name.removeprefix(_NAMED) for name in stored.keys()}  # noqa: SIM118
            asked = there if wanted is None else there.intersection(wanted)
            return {sentence: stored.get_tensor(_NAMED + sentence) for sentence in asked}
    except (SafetensorError, OSError) as error:
        log.warning("%s: damaged cache of sentences (%s); encoding again", file, error)
        return {}


def _free_threads() -> int:
    """How many operations of PyTorch's present number of threads the processors can do at once."""
    return max(1, len(os.sched_getaffinity(0)) // torch.get_num_threads())


def _write(states: Mapping[str, Tensor], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as partial:
        save_file({_NAMED + sentence: state.contiguous() for sentence, state in states.items()}, partial)


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
