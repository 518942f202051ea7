"""Checkpoints of the second format, up to 0.2: they did not say in which world they were trained."""

from __future__ import annotations

import os
from pathlib import Path

from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, checkpoint_of, read_card, read_config_file
from mini_diffuser_ros.policy.storage import store
from mini_diffuser_ros.policy.weights import read_content
from mini_diffuser_ros.records import Provenance
from mini_diffuser_ros.support.settings import to_mapping


def with_world(source: str | os.PathLike[str], destination: str | os.PathLike[str], world: Provenance) -> None:
    """Write a checkpoint of the second format in the present one; its weights and their digest stay the same.

    Args:
        source: directory of the second format.
        destination: directory to write; it may be the same.
        world: in which worlds its demonstrations were made.

    Raises:
        CheckpointError: ``source`` is damaged; one line names the file and the field.
        OSError: a file cannot be written.
    """
    folder = Path(source)
    values = {**read_config_file(folder), "format_version": 3, "world": to_mapping(world)}
    checkpoint = checkpoint_of(values, str(folder / CONFIG_FILE))
    content = read_content(folder, checkpoint.weights_sha256)
    store(Path(destination), content, checkpoint.network, checkpoint.fusion, checkpoint.tasks, world, read_card(folder))
