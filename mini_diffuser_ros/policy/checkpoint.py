"""Checkpoints: all that a policy must be served with, in a directory of config.json, model.safetensors and README.md.

This module reads and writes config.json and no weights, so that whoever needs a policy's fusion alone loads no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import CheckpointError
from mini_diffuser_ros.policy.knowledge.facts import KnowledgeFacts
from mini_diffuser_ros.records import FusionConfig, Provenance, Workspace
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.sealing import seal_of, sealed, unsealed
from mini_diffuser_ros.support.settings import (
    SettingsError,
    check_fields,
    from_mapping,
    later,
    not_expected,
    to_mapping,
)

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"

_DIGEST_LENGTH = 64
_FARTHEST = 100.0  # metres that a workspace may reach: in millimetres any reaches farther
_MAX_CONFIG_BYTES = 16 * 2**20  # a hundred thousand sentences; of a longer file the rest is missing
_WITHOUT_WORLD = 2  # version of the second format


@dataclass(frozen=True)
class Checkpoint:
    """What config.json holds: every field, none of which has a default but those that came later.

    Attributes:
        format_version: of this layout.
        weights_sha256: digest of the content of model.safetensors, 64 hexadecimal digits.
        network: configuration of the network.
        fusion: how images became the clouds that it was trained on; None where its source held no images.
        tasks: task to the sentences it was taught.
        world: in which worlds its demonstrations were made; empty where that was not said.
        started_from: digest of the weights that its training started from; None, and not in the file, for random ones.
        knowledge: what it knows about itself; None, and not in the file, where nobody has taught it.
        encoder_sha256: digest of the sentence encoder that it was trained with; empty where that was not said.
        trained_on: digests of the episodes that its weights were learned from, in hexadecimal and sorted; none where
            that was not said.
    """

    format_version: Literal[3]
    weights_sha256: str
    network: MiniDiffuserConfig
    fusion: FusionConfig | None
    tasks: dict[str, tuple[str, ...]]
    world: Provenance
    started_from: str | None = later(None)
    knowledge: KnowledgeFacts | None = later(None)  # noqa: RUF009 it makes a field
    encoder_sha256: str = later("")
    trained_on: tuple[str, ...] = later(())

    def __post_init__(self) -> None:
        check_fields(self)
        for name, digest in (("weights_sha256", self.weights_sha256), ("started_from", self.started_from)):
            if digest is not None and not _is_digest(digest):
                raise not_expected(name, digest, f"{_DIGEST_LENGTH} hexadecimal digits")
        if self.encoder_sha256 and not _is_digest(self.encoder_sha256):
            raise not_expected("encoder_sha256", self.encoder_sha256, f"{_DIGEST_LENGTH} hexadecimal digits")
        if wrong := next((one for one in self.trained_on if not _is_digest(one)), None):
            raise not_expected("trained_on", wrong, f"{_DIGEST_LENGTH} hexadecimal digits")
        if self.fusion is not None:
            _check_workspaces(self.fusion.workspace, self.network.scene.workspace)
        if self.knowledge is not None and self.knowledge.weights_sha256 != self.weights_sha256:
            raise SettingsError(
                "knowledge.weights_sha256",
                "is that of another policy's weights; learn anew with 'mini-diffuser assess'",
            )

    def digest(self) -> str:
        """Of all that its modes come from, its weights' digest included; what it knows about itself changes none."""
        return seal_of(to_mapping(replace(self, knowledge=None, trained_on=())))


def _is_digest(text: str) -> bool:
    return len(text) == _DIGEST_LENGTH and not set(text) - set("0123456789abcdef")


def _check_workspaces(clouds: Workspace, network: Workspace) -> None:
    """Refuse clouds that lie where the network does not look: boxes in another unit, or of another frame."""
    for name, box in (("fusion.workspace", clouds), ("network.scene.workspace", network)):
        if max(map(abs, (*box.lower, *box.upper))) > _FARTHEST:
            raise SettingsError(name, f"is {box}, expected metres, at most {_FARTHEST:g} from the base")
    low, high = map(max, clouds.lower, network.lower), map(min, clouds.upper, network.upper)
    if any(a >= b for a, b in zip(low, high, strict=True)):
        raise SettingsError("fusion.workspace", f"is {clouds}, which has nothing of the network's, {network}")


def read_checkpoint(directory: str | os.PathLike[str], *, with_knowledge: bool = True) -> Checkpoint:
    """What config.json of a checkpoint directory says; the weights are not looked at.

    Args:
        directory: that holds config.json.
        with_knowledge: off, what it says of its knowledge is passed over, be it right or wrong.

    Raises:
        CheckpointError: there is none, it is damaged or of an earlier format, or a field is missing, unknown or out of
            range; one line names it.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such directory, expected one with {CONFIG_FILE} and {WEIGHTS_FILE}")
    values = read_config_file(folder)
    if old := old_format(values):
        raise CheckpointError(
            f"{folder / CONFIG_FILE}: of the {old} format; bring it over with 'mini-diffuser upgrade {folder}'"
        )
    return checkpoint_of(values if with_knowledge else {**values, "knowledge": None}, str(folder / CONFIG_FILE))


def checkpoint_of(values: Mapping[str, Any], source: str) -> Checkpoint:
    """The checkpoint that the fields of a config.json say.

    Raises:
        CheckpointError: a field is missing, unknown or out of range; one line names it.
    """
    try:
        return from_mapping(Checkpoint, values, source, complete=True)
    except SettingsError as error:
        raise CheckpointError(str(error)) from error


def read_fusion(directory: str | os.PathLike[str]) -> FusionConfig | None:
    """The fusion that a policy must be served with; None if it was trained on clouds of unknown making.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    return read_checkpoint(directory).fusion


def write_checkpoint(checkpoint: Checkpoint, directory: Path) -> None:
    """Write config.json; it appears whole or not at all."""
    values = sealed(to_mapping(checkpoint))
    write_whole(directory / CONFIG_FILE, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_config_file(folder: Path) -> Mapping[str, Any]:
    """The fields of config.json as they stand there, without the digest of them.

    Raises:
        CheckpointError: there is none, it is no JSON object, or has another digest.
    """
    path = folder / CONFIG_FILE
    try:
        with path.open("rb") as stream:
            values = json.loads(stream.read(_MAX_CONFIG_BYTES))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({one_line(error)})") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: holds a {type(values).__name__}, expected an object of fields")
    try:
        return unsealed(values)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def read_card(folder: Path) -> str:
    """The card of a checkpoint directory, empty where there is none."""
    card = folder / CARD_FILE
    return card.read_text(encoding="utf-8") if card.is_file() else ""


def old_format(values: Mapping[str, Any]) -> Literal["", "first", "second"]:
    """Of which earlier format the fields of a config.json are; empty for none of them.

    The first had those of the network side by side, the second did not say in which world it was trained.
    """
    if values.get("format_version") == _WITHOUT_WORLD:
        return "second"
    return "first" if "voxel_size" in values and not {"network", "format_version"} & values.keys() else ""
