"""JSON objects that carry a digest of themselves: what was damaged is not taken for what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "sha256"
"""The field that holds the digest of all the others, 64 hexadecimal digits."""


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with :data:`SEAL`."""
    return {**values, SEAL: seal_of(values)}


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without :data:`SEAL`; those of a file from before there was one are taken as they are.

    Raises:
        ValueError: if they are not those that were sealed.
    """
    rest = {name: value for name, value in values.items() if name != SEAL}
    if SEAL in values and values[SEAL] != seal_of(rest):
        raise ValueError(f"has changed since it was written; restore it, or take its {SEAL} out if that was meant")
    return rest


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits, read a piece at a time.

    Raises:
        OSError: if it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def seal_of(values: Mapping[str, Any]) -> str:
    """SHA-256 of fields, 64 hexadecimal digits; of a sealed file, without :data:`SEAL`."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
