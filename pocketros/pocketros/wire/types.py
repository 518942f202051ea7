"""The DDS type of a message: the same layout and names that genuine ROS 2 endpoints announce.

Samples never pass through the serialisation of cyclonedds; the type is there for discovery and so that Cyclone
DDS checks what comes from the network before it hands it out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cyclonedds.idl import IdlStruct, make_idl_struct, types

from pocketros.interfaces.definitions import INTEGERS, FieldType, definition

PRIMITIVES: dict[str, Any] = {name: getattr(types, name) for name in (*INTEGERS, "float32", "float64")}
PRIMITIVES |= {"bool": bool, "byte": types.uint8, "char": types.uint8}
PLACE = "pocketros/msg/Place"
"""Where a sample lies in shared memory; of no package, as no node sees it."""
_PLACE_FIELDS: dict[str, Any] = {
    "memory": types.array[types.uint8, 16],  # type: ignore[type-arg]
    "process": types.uint32,
    "file": types.uint32,
    "kept": types.uint64,
    "offset": types.uint64,
    "size": types.uint64,
    "number": types.uint64,
}


@cache
def dds_type(name: str, is_service: bool = False) -> type[IdlStruct]:
    """The DDS type of `package/kind/Name`; requests and replies carry the identity of the call before the body."""
    package, kind, short = name.split("/")
    identity = {"pocketros_client_id": types.uint64, "pocketros_sequence_number": types.int64} if is_service else {}
    own = {field.name: _field_type(field.type) for field in definition(name).fields} if name != PLACE else _PLACE_FIELDS
    fields = {**identity, **own}
    return make_idl_struct(f"{short}_", f"{package}::{kind}::dds_::{short}_", fields, dataclassify=False)


def _field_type(kind: FieldType) -> Any:
    constructors: Any = types  # its type hints do not show the constructors as generic
    if kind.is_message:
        base: Any = dds_type(kind.base)
    elif kind.base == "string":
        base = constructors.bounded_str[kind.string_bound] if kind.string_bound else str
    else:
        base = PRIMITIVES[kind.base]
    if kind.shape == "array":
        return constructors.array[base, kind.size]
    if kind.shape == "sequence":
        return constructors.sequence[base, kind.size] if kind.size else constructors.sequence[base]
    return base
