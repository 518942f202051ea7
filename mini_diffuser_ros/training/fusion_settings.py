"""How images become clouds, stored beside a policy: it must be served with the settings it was trained with.

``perception.json`` in the policy directory holds the fields of ``FusionConfig``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.support.settings import SettingsError, from_mapping, with_values
from mini_diffuser_ros.training.errors import CheckpointError

FUSION_FILE = "perception.json"


def changed_fusion(fusion: FusionConfig, changes: Mapping[str, Any]) -> FusionConfig:
    """The settings with some fields replaced.

    Raises:
        SettingsError: on an unknown field or a value that it cannot have, naming it.
    """
    return with_values(fusion, changes, "recipe", "data.fusion")


def write_fusion(directory: Path, fusion: FusionConfig) -> None:
    """Put the settings beside a policy; the file appears whole or not at all."""
    part = directory / f".{FUSION_FILE}.{os.getpid()}"
    part.write_text(json.dumps(asdict(fusion), indent=2) + "\n", encoding="utf-8")
    part.replace(directory / FUSION_FILE)


def read_fusion(directory: str | Path) -> FusionConfig | None:
    """The settings beside a policy; None if it has none, as policies of sources that hold no images.

    Raises:
        CheckpointError: if the file is damaged, naming it and the field.
    """
    file = Path(directory) / FUSION_FILE
    if not file.exists():
        return None
    try:
        return from_mapping(FusionConfig, json.loads(file.read_text(encoding="utf-8")), str(file))
    except SettingsError as error:
        raise CheckpointError(str(error)) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: not readable as JSON ({error})") from error
