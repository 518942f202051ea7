"""Checkpoints of the first format, up to 0.1: brought over once, by ``mini-diffuser upgrade``.

Their config.json held fields of the network alone, not always all of them; perception.json, which could be missing, the
fusion; nothing the sentences.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mini_diffuser_ros.policy.checkpoint import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, is_first_format, read_config_file
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import CheckpointError, PolicyError
from mini_diffuser_ros.policy.network.model import MiniDiffuser
from mini_diffuser_ros.policy.storage import store
from mini_diffuser_ros.policy.weights import unpack_weights
from mini_diffuser_ros.records import FusionConfig
from mini_diffuser_ros.support.settings import SettingsError, from_mapping, to_mapping

FUSION_FILE = "perception.json"
_ONE_CHOICE = {"encoder_text": True, "noise_levels": "uniform"}
"""Fields that are gone, and the value that the network now has for good."""

_REMEDY = (
    "say with --fusion default that it was trained with the default one, or with none that it was trained on clouds"
)


def upgrade(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    fusion: FusionConfig | None = None,
    from_clouds: bool = False,
) -> None:
    """Write a checkpoint of the first format in the present one; its weights stay the same, bit by bit.

    Args:
        source: directory of the first format.
        destination: directory to write; it may be the same.
        fusion: what it was trained with, for a directory without ``perception.json``.
        from_clouds: such a directory needs none, as its policy was trained on clouds without images.

    Raises:
        CheckpointError: ``source`` is not of the first format, damaged or without a fusion; one line names the file and
            the field.
        OSError: a file cannot be written.
    """
    folder = Path(source)
    network = _network(folder)
    content = _content(folder / WEIGHTS_FILE)
    unpack_weights(content, MiniDiffuser(network).state_dict(), str(folder / WEIGHTS_FILE))
    served = _fusion(folder / FUSION_FILE) or fusion
    if served is None and not from_clouds:
        raise CheckpointError(f"{folder} has no {FUSION_FILE}; {_REMEDY}")
    card = folder / CARD_FILE
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    store(Path(destination), content, network, served, {}, text)
    (Path(destination) / FUSION_FILE).unlink(missing_ok=True)


def _fusion(path: Path) -> FusionConfig | None:
    if not path.exists():
        return None
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
        values["workspace"] = {"lower": values.pop("workspace_min"), "upper": values.pop("workspace_max")}
        return from_mapping(FusionConfig, values, str(path), complete=True)
    except SettingsError as error:
        raise CheckpointError(str(error)) from error
    except KeyError as error:
        raise CheckpointError(f"{path}: {error.args[0]} is missing") from error
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: not readable as a JSON object of fields ({error})") from error


def first_format_fields(network: MiniDiffuserConfig) -> dict[str, Any]:
    """What config.json of the first format held for a network."""
    return to_mapping(network) | _ONE_CHOICE


def _network(folder: Path) -> MiniDiffuserConfig:
    values = read_config_file(folder)
    path = folder / CONFIG_FILE
    if not is_first_format(values):
        raise CheckpointError(f"{path}: not a checkpoint of the first format, there is nothing to bring over")
    for name, kept in _ONE_CHOICE.items():
        if values.get(name, kept) != kept:
            raise CheckpointError(
                f"{path}: {name} is {values[name]!r}, which was measured, lost and left out; train anew"
            )
    try:
        return MiniDiffuserConfig.from_dict({name: value for name, value in values.items() if name not in _ONE_CHOICE})
    except PolicyError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
