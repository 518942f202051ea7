"""Deleting entities of cyclonedds at a chosen moment, instead of when Python collects them."""

from __future__ import annotations

from cyclonedds.core import Entity


def delete_entity(entity: Entity) -> None:
    """Delete an entity now; harmless when it is deleted already."""
    if Entity._entities.pop(entity._ref, None) is not None:
        entity._delete(entity._ref)
