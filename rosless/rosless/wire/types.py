"""The DDS type of a message: the same layout and names that genuine ROS 2 endpoints announce.

Samples never pass through the serialisation of cyclonedds; the type is there for discovery and so that Cyclone
DDS checks what comes from the network before it hands it out.
"""

from __future__ import annotations

from typing import Any

from cyclonedds.idl import IdlStruct, make_idl_struct, types

from rosless.interfaces.definitions import FieldType, definitions

PRIMITIVES: dict[str, Any] = {
    "bool": bool,
    "byte": types.uint8,
    "char": types.uint8,
    "int8": types.int8,
    "uint8": types.uint8,
    "int16": types.int16,
    "uint16": types.uint16,
    "int32": types.int32,
    "uint32": types.uint32,
    "int64": types.int64,
    "uint64": types.uint64,
    "float32": types.float32,
    "float64": types.float64,
}

_structs: dict[tuple[str, bool], type[IdlStruct]] = {}


def dds_type(name: str, is_service: bool = False) -> type[IdlStruct]:
    """The DDS type of `package/kind/Name`; requests and replies carry the identity of the call before the body."""
    if (name, is_service) not in _structs:
        package, kind, short = name.split("/")
        fields = {field.name: _field_type(field.type) for field in definitions.get(name).fields}
        if is_service:
            fields = {"rosless_client_id": types.uint64, "rosless_sequence_number": types.int64, **fields}
        _structs[name, is_service] = make_idl_struct(
            f"{short}_", f"{package}::{kind}::dds_::{short}_", fields, dataclassify=False
        )
    return _structs[name, is_service]


def _field_type(kind: FieldType) -> Any:
    bounded, array, sequence = map(_indexable, (types.bounded_str, types.array, types.sequence))
    if kind.is_message:
        base: Any = dds_type(kind.base)
    elif kind.base == "string":
        base = bounded[kind.string_bound] if kind.string_bound else str
    else:
        base = PRIMITIVES[kind.base]
    if kind.shape == "array":
        return array[base, kind.size]
    if kind.shape == "sequence":
        return sequence[base, kind.size] if kind.size else sequence[base]
    return base


def _indexable(kind: Any) -> Any:
    """The type constructors of cyclonedds, which its type hints do not show as generic."""
    return kind
