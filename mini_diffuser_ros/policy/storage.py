"""Policies to checkpoint directories and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mini_diffuser_ros.policy.checkpoint import (
    CARD_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.encoding import SentenceEncoder, sentence_encoder
from mini_diffuser_ros.policy.errors import CheckpointError, TextError
from mini_diffuser_ros.policy.knowledge.knowledge import KNOWLEDGE_FILE, read_knowledge
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.policy import Policy, checked_device
from mini_diffuser_ros.policy.weights import (
    digest_of,
    pack_weights,
    pending_file,
    read_content,
    settle_weights,
    unpack_weights,
    writing,
)
from mini_diffuser_ros.records import FusionConfig, Provenance
from mini_diffuser_ros.support.files import write_whole

_SHOWN = 12  # digits of a digest in messages


def save_policy(
    model: MiniDiffuser,
    directory: str | os.PathLike[str],
    card: str | None = None,
    fusion: FusionConfig | None = None,
    tasks: Mapping[str, Sequence[str]] | None = None,
    world: Provenance | None = None,
    started_from: str | None = None,
    trained_on: Iterable[str] = (),
) -> None:
    """Write a checkpoint directory.

    Args:
        model: the network.
        directory: made where it does not exist; a checkpoint in it is replaced, as a whole or, if the process is
            killed meanwhile, not at all.
        card: text of README.md (data, recipe, figures); a line with the size where None.
        fusion: how images became the clouds that it was trained on, None where its source held no images.
        tasks: task to the sentences it was taught.
        world: in which worlds its demonstrations were made, None where that is not known.
        started_from: digest of the weights that its training started from, None for random ones.
        trained_on: digests of the episodes that it was trained on, hexadecimal.

    Raises:
        CheckpointError: weights that are not finite or cannot be those of a trained network.
        HeldError: something else is writing into the directory.
        OSError: a file cannot be written.
    """
    folder = Path(directory)
    content = pack_weights(model.state_dict(), str(folder / WEIGHTS_FILE))
    parameters = sum(value.numel() for value in model.parameters())
    text = card if card is not None else f"# Mini Diffuser\n\n{parameters} parameters.\n"
    made = world or Provenance()
    encoder = _encoder_digest(model.config)
    store(folder, content, model.config, fusion, tasks or {}, made, text, started_from, encoder, trained_on)


def _encoder_digest(network: MiniDiffuserConfig) -> str:
    """Of the sentence encoder that a configuration names; empty where it is not installed."""
    try:
        return sentence_encoder(network).digest()
    except TextError:
        return ""


def store(
    folder: Path,
    weights: bytes,
    network: MiniDiffuserConfig,
    fusion: FusionConfig | None,
    tasks: Mapping[str, Sequence[str]],
    world: Provenance,
    card: str,
    started_from: str | None = None,
    encoder: str = "",
    trained_on: Iterable[str] = (),
) -> None:
    """Write the files of a checkpoint, of which ``weights`` is the content of model.safetensors.

    At each moment the directory holds the old checkpoint or the new one: the weights come first, under a name of their
    own; then config.json, with their digest, takes the place of the old one; then they get their usual name.
    """
    digest = digest_of(weights)
    taught = {task: tuple(known) for task, known in tasks.items()}
    checkpoint = Checkpoint(
        3, digest, network, fusion, taught, world, started_from, None, encoder, tuple(sorted(set(trained_on)))
    )
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder):
        write_whole(pending_file(folder, digest), weights)
        write_whole(folder / CARD_FILE, card)
        write_checkpoint(checkpoint, folder)
        settle_weights(folder, {digest: WEIGHTS_FILE})
        (folder / KNOWLEDGE_FILE).unlink(missing_ok=True)  # of the policy that was there


def load_policy(
    directory: str | os.PathLike[str],
    device: str | torch.device = "cpu",
    text: Callable[[str], Tensor] | None = None,
    *,
    with_knowledge: bool = True,
) -> Policy:
    """Read a checkpoint directory.

    Args:
        directory: as :func:`save_policy` wrote it.
        device: where decisions are computed.
        text: gives a sentence's token states (L, D), instead of the encoder that the configuration names.
        with_knowledge: off, the policy knows nothing about itself, be what lies there right or wrong.

    Raises:
        CheckpointError: a file is missing or damaged, a field or tensor does not fit, or the sentence encoder is not
            that of its training; one line names it.
        ValueError: an unknown device.
    """
    target = checked_device(device)
    folder = Path(directory)
    checkpoint = read_checkpoint(folder, with_knowledge=with_knowledge)
    knowledge = read_knowledge(folder, checkpoint)
    policy = Policy(_model(folder, checkpoint), target, text, checkpoint.fusion, checkpoint.tasks, knowledge)
    if isinstance(policy.text, SentenceEncoder):
        check_encoder(checkpoint, policy.text, str(folder))
    return policy


def check_encoder(checkpoint: Checkpoint, encoder: SentenceEncoder, source: str) -> None:
    """Refuse an encoder that gives other states than that of a policy's training, though it has the same name.

    Raises:
        CheckpointError: naming both by their digests.
    """
    if checkpoint.encoder_sha256 and checkpoint.encoder_sha256 != (found := encoder.digest()):
        raise CheckpointError(
            f"{source}: was trained with another sentence encoder {checkpoint.network.text.encoder} than is installed "
            f"here (sha256 {checkpoint.encoder_sha256[:_SHOWN]}, here {found[:_SHOWN]}); install that one"
        )


def load_model(directory: str | os.PathLike[str]) -> MiniDiffuser:
    """The network of a checkpoint directory, on the CPU, without a sentence encoder.

    Raises:
        CheckpointError: as :func:`load_policy`.
    """
    return _model(Path(directory), read_checkpoint(directory))


def _model(folder: Path, checkpoint: Checkpoint) -> MiniDiffuser:
    content = read_content(folder, checkpoint.weights_sha256)
    model = MiniDiffuser(checkpoint.network)
    model.load_state_dict(unpack_weights(content, model.state_dict(), str(folder / WEIGHTS_FILE)))
    return model
