"""All that a policy knows about itself, and where it lies: knowledge.safetensors beside the weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, read_checkpoint, write_checkpoint
from mini_diffuser_ros.policy.errors import CheckpointError
from mini_diffuser_ros.policy.knowledge.completion import Completion
from mini_diffuser_ros.policy.knowledge.facts import KnowledgeFacts
from mini_diffuser_ros.policy.knowledge.familiarity import Familiarity
from mini_diffuser_ros.policy.knowledge.part import Part
from mini_diffuser_ros.policy.knowledge.presence import Presence
from mini_diffuser_ros.policy.knowledge.sureness import Sureness
from mini_diffuser_ros.policy.weights import (
    digest_of,
    pack_weights,
    pending_file,
    read_content,
    settle_weights,
    writing,
)
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.files import write_whole

KNOWLEDGE_FILE = "knowledge.safetensors"

KINDS: Mapping[str, type[Part]] = {
    "familiarity": Familiarity,
    "presence": Presence,
    "sureness": Sureness,
    "completion": Completion,
}
"""The class of each part that there is."""


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What a policy knows about itself; None for what nobody has taught it.

    Attributes:
        familiarity: is a sentence one it was taught.
        presence: is what a sentence names in the scene.
        sureness: how sure it is of a mode.
        completion: is a task done.
    """

    familiarity: Familiarity | None = None
    presence: Presence | None = None
    sureness: Sureness | None = None
    completion: Completion | None = None

    def parts(self) -> dict[str, Part]:
        """Those that it has, by name."""
        found = {name: getattr(self, name) for name in KINDS}
        return {name: part for name, part in found.items() if part is not None}


def read_knowledge(folder: Path, checkpoint: Checkpoint) -> Knowledge:
    """The knowledge of a checkpoint directory; empty where its config.json has no block of it.

    Raises:
        CheckpointError: knowledge.safetensors is missing, damaged or of another policy, or a part does not fit; one
            line names it.
    """
    facts = checkpoint.knowledge
    if facts is None:
        return Knowledge()
    path = folder / KNOWLEDGE_FILE
    content = read_content(folder, facts.tensors_sha256, KNOWLEDGE_FILE)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors ({one_line(error)})") from error
    parts: dict[str, Part] = {}
    for name, part in facts.parts.items():
        if name not in KINDS:
            continue  # of a later version; what it knows is not asked for
        try:
            parts[name] = KINDS[name].restored(part, _below(f"{name}.", tensors), checkpoint.network)
        except ValueError as error:
            raise CheckpointError(
                f"{path} or {CONFIG_FILE}: {name} {one_line(error)}; assess the policy again"
            ) from error
    known = {f"{name}.{key}" for name, part in parts.items() for key in part.tensors()}
    known |= {key for key in tensors if key.partition(".")[0] in facts.parts.keys() - parts.keys()}
    if strange := sorted(tensors.keys() - known):
        raise CheckpointError(f"{path}: holds {strange[0]}, which no part of it has; assess the policy again")
    return Knowledge(**parts)  # type: ignore[arg-type]  # each of its own class


def write_knowledge(knowledge: Knowledge, directory: str | os.PathLike[str], learned_on: str = "") -> None:
    """Put knowledge beside a checkpoint's weights, in the place of what was there; the weights stay as they are.

    Args:
        knowledge: of the policy.
        directory: of its checkpoint.
        learned_on: digest of the weights that it was learned on top of, for which it takes minutes; empty: of those
            that are there.

    Raises:
        CheckpointError: the checkpoint cannot be read or is another one by now, or a tensor is not finite.
        HeldError: something else is writing into the directory.
        OSError: a file cannot be written.
    """
    folder = Path(directory)
    with writing(folder):
        _write(knowledge, folder, learned_on)


def _write(knowledge: Knowledge, folder: Path, learned_on: str) -> None:
    checkpoint = read_checkpoint(folder, with_knowledge=False)
    if learned_on and learned_on != checkpoint.weights_sha256:
        raise CheckpointError(f"{folder}: holds another policy than that which this was learned of; assess it again")
    parts = knowledge.parts()
    tensors = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.tensors().items()}
    content = pack_weights(tensors, str(folder / KNOWLEDGE_FILE))
    digest = digest_of(content)
    facts = KnowledgeFacts(digest, checkpoint.weights_sha256, {name: part.facts for name, part in parts.items()})
    write_whole(pending_file(folder, digest), content)
    write_checkpoint(replace(checkpoint, knowledge=facts), folder)
    settle_weights(folder, {checkpoint.weights_sha256: WEIGHTS_FILE, digest: KNOWLEDGE_FILE})


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
