"""Interface definitions: what fields a type has, whatever the place its definition comes from.

Sources, in the order of their precedence: files `<prefix>/share/<package>/{msg,srv,action}/*` of installed
packages, the files shipped with pocketros (services and actions that no pip package carries), the messages of rosbags.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from pocketros.errors import InterfaceError
from pocketros.packages import ROSBAGS_PACKAGES, SHIPPED, install_prefixes

SECTIONS = {"msg": ("",), "srv": ("_Request", "_Response"), "action": ("_Goal", "_Result", "_Feedback")}
PLACEHOLDER = "structure_needs_at_least_one_member"
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
PRIMITIVES = (*INTEGERS, "bool", "byte", "char", "float32", "float64", "string")
# The only default value among the messages of rosbags, which does not keep them
KNOWN_DEFAULTS = {("geometry_msgs/msg/Quaternion", "w"): 1.0}


@dataclass(frozen=True)
class FieldType:
    """Type of a field.

    Attributes:
        base: a primitive name of the .msg language, or `package/msg/Name`.
        string_bound: longest string, 0 for unbounded.
        shape: "scalar", "array" or "sequence".
        size: length of an array, bound of a sequence (0: unbounded).
    """

    base: str
    string_bound: int = 0
    shape: str = "scalar"
    size: int = 0

    @property
    def is_message(self) -> bool:
        return "/" in self.base

    @property
    def element(self) -> FieldType:
        """Type of one element of an array or a sequence."""
        return replace(self, shape="scalar", size=0)


@dataclass(frozen=True)
class Field:
    """One field: its name, type and default (None: the zero of its type)."""

    name: str
    type: FieldType
    default: Any = None


@dataclass(frozen=True)
class Definition:
    """A message: full name `package/kind/Name`, fields in wire order, constants by name with type and value."""

    name: str
    fields: tuple[Field, ...]
    constants: tuple[tuple[str, str, Any], ...] = ()


LINE = re.compile(
    r"(?P<base>[A-Za-z]\w*(?:/\w+)?)(?:<=(?P<bound>\d+))?(?P<shape>\[(?P<limit><=)?(?P<size>\d*)\])?"
    r"\s+(?P<name>[A-Za-z]\w*)\s*(?:=\s*(?P<constant>.*)|(?P<default>\S.*))?"
)
UNTIL_COMMENT = re.compile(r"""(?:[^#'"]|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|['"](?=[^'"]*$))*""")


def parse_message(name: str, text: str) -> Definition:
    """Definition from the text of a .msg file, or of one section of a .srv or .action file.

    Raises:
        InterfaceError: the text is not in the .msg language, or uses wide strings.
    """
    fields, constants = [], []
    for raw in text.splitlines():
        line = UNTIL_COMMENT.match(raw)[0].strip()  # type: ignore[index]
        if not line:
            continue
        found = LINE.fullmatch(line)
        if not found or found["base"] == "wstring":
            raise InterfaceError(f"{name}: '{line}' is not a field of the .msg language that pocketros provides")
        kind = FieldType(_full_name(found["base"], name.partition("/")[0]), int(found["bound"] or 0))
        if found["shape"]:
            fixed = bool(found["size"]) and not found["limit"]
            kind = replace(kind, shape="array" if fixed else "sequence", size=int(found["size"] or 0))
        given = found["default"] if found["constant"] is None else found["constant"]
        try:
            value = None if given is None else _literal(kind, given.strip())
        except (ValueError, SyntaxError):
            raise InterfaceError(f"{name}: '{given}' is no value for {found['base']} {found['name']}") from None
        if found["constant"] is not None:
            constants.append((found["name"], kind.base, value))
        else:
            fields.append(Field(found["name"], kind, value))
    return Definition(name, tuple(fields), tuple(constants))


def _full_name(base: str, package: str) -> str:
    if base in PRIMITIVES:
        return base
    owner, _, short = base.rpartition("/")
    return "std_msgs/msg/Header" if base == "Header" else f"{owner or package}/msg/{short}"


def _literal(kind: FieldType, text: str) -> Any:
    if kind.is_message:
        raise ValueError("messages have no literals")
    if kind.shape == "scalar" and kind.base == "string":
        return text[1:-1] if text[:1] in "'\"" and text[-1:] == text[:1] else text
    if kind.shape == "scalar" and kind.base == "bool":
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    value = ast.literal_eval(text)
    return float(value) if kind.shape == "scalar" and kind.base.startswith("float") else value


def _compose(name: str, **fields: str) -> Definition:
    """A message that carries others, given by their names."""
    kinds = {field: FieldType(kind) for field, kind in fields.items()}
    return Definition(name, tuple(Field(field, kind) for field, kind in kinds.items()))


def _service(name: str) -> Iterator[Definition]:
    """What belongs to a service beside request and response: its event, and the whole (for the type hash)."""
    request, response, event = f"{name}_Request", f"{name}_Response", f"{name}_Event"
    info = Field("info", FieldType("service_msgs/msg/ServiceEventInfo"))
    carried = (
        (field, FieldType(kind, 0, "sequence", 1)) for field, kind in (("request", request), ("response", response))
    )
    yield Definition(event, (info, *(Field(*one) for one in carried)))
    yield _compose(name, request_message=request, response_message=response, event_message=event)


def _action(name: str) -> Iterator[Definition]:
    """The services and the message which carry an action's goal, result and feedback, and the whole."""
    goal_id = "unique_identifier_msgs/msg/UUID"
    yield _compose(f"{name}_SendGoal_Request", goal_id=goal_id, goal=f"{name}_Goal")
    yield _compose(f"{name}_SendGoal_Response", accepted="bool", stamp="builtin_interfaces/msg/Time")
    yield _compose(f"{name}_GetResult_Request", goal_id=goal_id)
    yield _compose(f"{name}_GetResult_Response", status="int8", result=f"{name}_Result")
    yield _compose(f"{name}_FeedbackMessage", goal_id=goal_id, feedback=f"{name}_Feedback")
    yield from _service(f"{name}_SendGoal")
    yield from _service(f"{name}_GetResult")
    parts = {"goal": "Goal", "result": "Result", "feedback": "Feedback", "send_goal_service": "SendGoal"}
    parts |= {"get_result_service": "GetResult", "feedback_message": "FeedbackMessage"}
    yield _compose(name, **{field: f"{name}_{part}" for field, part in parts.items()})


def file_definitions(package: str, kind: str, path: Path) -> Iterator[Definition]:
    """All definitions that one interface file gives."""
    name, parts = f"{package}/{kind}/{path.stem}", SECTIONS[kind]
    texts = re.split(r"^---[ \t]*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE) if kind != "msg" else [None]
    if len(texts) != len(parts):
        raise InterfaceError(f"{name}: expected {len(parts)} sections divided by '---', found {len(texts)}")
    for part, text in zip(parts, texts, strict=True):
        yield parse_message(name + part, path.read_text(encoding="utf-8") if text is None else text)
    yield from {"msg": lambda _: (), "srv": _service, "action": _action}[kind](name)


@cache
def interface_files(package: str) -> dict[str, dict[str, Path]]:
    """Files of a package by kind and name."""
    found: dict[str, dict[str, Path]] = {kind: {} for kind in SECTIONS}
    for share in [*(prefix / "share" / package for prefix in install_prefixes()), SHIPPED / package]:
        for kind, files in found.items():
            for path in sorted((share / kind).glob(f"*.{kind}")):
                files.setdefault(path.stem, path)
    return found


@cache
def rosbags_definitions() -> dict[str, tuple[list[tuple[str, str, object]], list[tuple[str, tuple[Any, ...]]]]]:
    """The messages of rosbags for the distribution that ROS_DISTRO names (default: jazzy)."""
    try:
        return import_module(f"rosbags.typesys.stores.ros2_{os.environ.get('ROS_DISTRO', 'jazzy')}").FIELDDEFS
    except ModuleNotFoundError:
        return import_module("rosbags.typesys.stores.ros2_jazzy").FIELDDEFS


def _from_rosbags(name: str) -> Definition:
    def field_type(description: tuple[Any, Any]) -> FieldType:
        node, detail = description  # 1: base type and string bound, 2: name, 3: array, 4: sequence
        if node <= 2:
            return FieldType(*detail) if node == 1 else FieldType(detail)
        return replace(field_type(detail[0]), shape="array" if node == 3 else "sequence", size=detail[1])

    constants, fields = rosbags_definitions()[name]
    made = (Field(field, field_type(kind), KNOWN_DEFAULTS.get((name, field))) for field, kind in fields)
    named = tuple((constant, base, value) for constant, base, value in constants)
    return Definition(name, tuple(one for one in made if one.name != PLACEHOLDER), named)


def names_in(package: str, kind: str) -> list[str]:
    """Names of the interfaces of a kind in a package, without the parts of services and actions."""
    names = set(interface_files(package)[kind])
    if kind == "msg" and package in ROSBAGS_PACKAGES:
        names |= {full.rpartition("/")[2] for full in rosbags_definitions() if full.startswith(f"{package}/msg/")}
    return sorted(names)


@cache
def definition(name: str) -> Definition:
    """Definition of `package/kind/Name`, with the parts of services and actions as names of their own.

    Raises:
        InterfaceError: no source knows the name.
    """
    package, kind, short = name.split("/") if name.count("/") == 2 else ("", "", name)
    files = interface_files(package).get(kind, {})
    path = files.get(short) or files.get(short.split("_")[0])
    if path is not None:
        known = {one.name: one for one in file_definitions(package, kind, path)}
    else:
        known = {name: _from_rosbags(name)} if name in rosbags_definitions() else {}
    if name not in known:
        raise InterfaceError(f"no definition of '{name}' among the installed packages, pocketros and rosbags")
    return replace(known[name], fields=known[name].fields or (Field(PLACEHOLDER, FieldType("uint8")),))


# Numbers of the types in REP 2016; arrays count from 48, bounded sequences from 96, others from 144
TYPE_NUMBERS = {"int8": 2, "uint8": 3, "int16": 4, "uint16": 5, "int32": 6, "uint32": 7, "int64": 8, "uint64": 9}
TYPE_NUMBERS |= {"float32": 10, "float64": 11, "char": 3, "bool": 15, "byte": 16, "string": 17}
MESSAGE_NUMBER, BOUNDED_STRING_NUMBER = 1, 21


@cache
def type_hash(name: str) -> str:
    """The hash `RIHS01_…` which genuine endpoints announce."""
    described: dict[str, dict[str, Any]] = {}

    def describe(full: str) -> None:
        described[full] = {"type_name": full, "fields": []}
        for field in definition(full).fields:
            kind = field.type
            number = MESSAGE_NUMBER if kind.is_message else TYPE_NUMBERS[kind.base]
            detail = {
                "type_id": (BOUNDED_STRING_NUMBER if kind.string_bound else number)
                + {"scalar": 0, "array": 48, "sequence": 96 if kind.size else 144}[kind.shape],
                "capacity": kind.size,
                "string_capacity": kind.string_bound,
                "nested_type_name": kind.base if kind.is_message else "",
            }
            described[full]["fields"].append({"name": field.name, "type": detail})
            if kind.is_message and kind.base not in described:
                describe(kind.base)

    describe(name)
    own = described.pop(name)
    whole = {"type_description": own, "referenced_type_descriptions": [described[one] for one in sorted(described)]}
    return f"RIHS01_{sha256(json.dumps(whole).encode()).hexdigest()}"
