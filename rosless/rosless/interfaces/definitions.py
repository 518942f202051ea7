"""Interface definitions: what fields a type has, whatever the place its definition comes from.

Sources, in the order of their precedence: files `<prefix>/share/<package>/{msg,srv,action}/*` of installed
packages, the files shipped with rosless (services and actions that no pip package carries), and the
messages of rosbags.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

from rosless.errors import InterfaceError
from rosless.prefixes import install_prefixes

SHIPPED = Path(__file__).parent / "shipped"
KINDS = ("msg", "srv", "action")
PLACEHOLDER = "structure_needs_at_least_one_member"

ROSBAGS_PACKAGES = frozenset(
    {
        "action_msgs",
        "builtin_interfaces",
        "diagnostic_msgs",
        "geometry_msgs",
        "lifecycle_msgs",
        "nav_msgs",
        "rcl_interfaces",
        "rmw_dds_common",
        "rosgraph_msgs",
        "sensor_msgs",
        "service_msgs",
        "shape_msgs",
        "statistics_msgs",
        "std_msgs",
        "stereo_msgs",
        "tf2_msgs",
        "trajectory_msgs",
        "unique_identifier_msgs",
        "visualization_msgs",
    }
)

# The only default values among the messages of rosbags, which does not keep them.
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
    default: object = None


@dataclass(frozen=True)
class Constant:
    """One constant: its name, primitive type and value."""

    name: str
    base: str
    value: object


@dataclass(frozen=True)
class Definition:
    """A message: full name `package/kind/Name`, fields in wire order, constants."""

    name: str
    fields: tuple[Field, ...]
    constants: tuple[Constant, ...] = ()


def parse_message(name: str, text: str) -> Definition:
    """Definition from the text of a .msg file, or of one section of a .srv or .action file.

    Raises:
        InterfaceError: the text is not in the .msg language, or uses wide strings.
    """
    from rosbags.typesys.base import BaseType, TypesysError
    from rosbags.typesys.msg import MSGParser

    if re.search(r"^\s*wstring\b", text, re.MULTILINE):
        raise InterfaceError(f"{name}: rosless does not provide wstring fields; use string")
    package = name.partition("/")[0]
    text = "\n".join(_without_comment(line) for line in text.splitlines())
    try:
        # The parser resolves names relative to `package/msg`, which is right for all three kinds.
        (message,) = MSGParser(f"MSG: {package}/msg/{name.rpartition('/')[2]}\n{text}\n").specification()
    except (TypesysError, ValueError) as error:
        raise InterfaceError(f"{name}: not in the .msg language: {str(error).splitlines()[0]}") from error
    fields = []
    for field in message.fields:
        reference = field.typ.ref
        base = reference.name.value if isinstance(reference, BaseType) else reference.name
        kind = FieldType(base, field.typ.str_size, field.typ.cardinality.value, field.typ.size)
        if kind.is_message and field.value is not None:
            raise InterfaceError(f"{name}: field '{field.name}' of type {base} cannot have a default value")
        fields.append(Field(field.name, kind, field.value))
    constants = tuple(Constant(entry.name, entry.typ.value, entry.value) for entry in message.constants)
    return Definition(name, tuple(fields), constants)


def _without_comment(line: str) -> str:
    """A line up to its comment; a `#` in quotes begins none."""
    found = re.match(r"""(?:[^#'"]|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|['"](?=[^'"]*$))*""", line)
    return found[0] if found else line


def _placeholder_if_empty(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return fields or (Field(PLACEHOLDER, FieldType("uint8")),)


def _message(base: str, shape: str = "scalar", size: int = 0) -> FieldType:
    return FieldType(base, shape=shape, size=size)


def service_definitions(name: str, request: str, response: str) -> list[Definition]:
    """Request, response and event of a service, and the service as a type of its own (for its hash)."""
    event = Definition(
        f"{name}_Event",
        (
            Field("info", _message("service_msgs/msg/ServiceEventInfo")),
            Field("request", _message(f"{name}_Request", "sequence", 1)),
            Field("response", _message(f"{name}_Response", "sequence", 1)),
        ),
    )
    whole = Definition(
        name,
        (
            Field("request_message", _message(f"{name}_Request")),
            Field("response_message", _message(f"{name}_Response")),
            Field("event_message", _message(f"{name}_Event")),
        ),
    )
    sections = [parse_message(f"{name}_Request", request), parse_message(f"{name}_Response", response)]
    return [*sections, event, whole]


def action_definitions(name: str, goal: str, result: str, feedback: str) -> list[Definition]:
    """Goal, result and feedback of an action, with the services and the message which carry them."""
    goal_id = "unique_identifier_msgs/UUID goal_id\n"
    made = [
        parse_message(f"{name}_{part}", text)
        for part, text in zip(("Goal", "Result", "Feedback"), (goal, result, feedback), strict=True)
    ]
    short = name.replace("/action/", "/")
    send = service_definitions(
        f"{name}_SendGoal", f"{goal_id}{short}_Goal goal", "bool accepted\nbuiltin_interfaces/Time stamp"
    )
    get = service_definitions(f"{name}_GetResult", goal_id, f"int8 status\n{short}_Result result")
    message = parse_message(f"{name}_FeedbackMessage", f"{goal_id}{short}_Feedback feedback")
    whole = Definition(
        name,
        tuple(
            Field(field, _message(f"{name}_{part}"))
            for field, part in (
                ("goal", "Goal"),
                ("result", "Result"),
                ("feedback", "Feedback"),
                ("send_goal_service", "SendGoal"),
                ("get_result_service", "GetResult"),
                ("feedback_message", "FeedbackMessage"),
            )
        ),
    )

    def in_action(field: Field) -> Field:
        own = field.type.base.replace("/msg/", "/action/")
        return replace(field, type=replace(field.type, base=own)) if own.startswith(f"{name}_") else field

    wrappers = [replace(one, fields=tuple(in_action(field) for field in one.fields)) for one in (*send, *get, message)]
    return [*made, *wrappers, whole]


def split_sections(text: str, count: int, name: str) -> list[str]:
    """The sections of a .srv (2) or .action (3) file."""
    sections = re.split(r"^---[ \t]*$", text, flags=re.MULTILINE)
    if len(sections) != count:
        raise InterfaceError(f"{name}: expected {count} sections divided by '---', found {len(sections)}")
    return sections


def file_definitions(package: str, kind: str, path: Path) -> list[Definition]:
    """All definitions that one interface file gives."""
    name = f"{package}/{kind}/{path.stem}"
    text = path.read_text(encoding="utf-8")
    if kind == "msg":
        return [parse_message(name, text)]
    if kind == "srv":
        request, response = split_sections(text, 2, name)
        return service_definitions(name, request, response)
    goal, result, feedback = split_sections(text, 3, name)
    return action_definitions(name, goal, result, feedback)


@cache
def interface_files(package: str) -> dict[str, dict[str, Path]]:
    """Files of a package by kind and name."""
    found: dict[str, dict[str, Path]] = {kind: {} for kind in KINDS}
    for share in [*(prefix / "share" / package for prefix in install_prefixes()), SHIPPED / package]:
        for kind in KINDS:
            for path in sorted((share / kind).glob(f"*.{kind}")):
                found[kind].setdefault(path.stem, path)
    return found


@cache
def rosbags_definitions() -> dict[str, tuple[list[tuple[str, str, object]], list[tuple[str, tuple]]]]:
    """The messages of rosbags for the distribution that ROS_DISTRO names (default: jazzy)."""
    distribution = os.environ.get("ROS_DISTRO", "jazzy")
    try:
        store = import_module(f"rosbags.typesys.stores.ros2_{distribution}")
    except ModuleNotFoundError:
        store = import_module("rosbags.typesys.stores.ros2_jazzy")
    return store.FIELDDEFS


def _from_rosbags(name: str) -> Definition:
    from rosbags.interfaces import Nodetype

    def field_type(description: tuple) -> FieldType:
        node, detail = description
        if node == Nodetype.BASE:
            return FieldType(detail[0], string_bound=detail[1])
        if node == Nodetype.NAME:
            return FieldType(detail)
        inner, size = detail
        return replace(field_type(inner), shape="array" if node == Nodetype.ARRAY else "sequence", size=size)

    constants, fields = rosbags_definitions()[name]
    return Definition(
        name,
        tuple(
            Field(field, field_type(kind), KNOWN_DEFAULTS.get((name, field)))
            for field, kind in fields
            if field != PLACEHOLDER
        ),
        tuple(Constant(constant, base, value) for constant, base, value in constants),
    )


def names_in(package: str, kind: str) -> list[str]:
    """Names of the interfaces of a kind in a package, without the parts of services and actions."""
    names = set(interface_files(package)[kind])
    if kind == "msg" and package in ROSBAGS_PACKAGES:
        names |= {full.rpartition("/")[2] for full in rosbags_definitions() if full.startswith(f"{package}/msg/")}
    return sorted(names)


def is_interface_package(package: str) -> bool:
    """Whether any source defines interfaces of this package."""
    return package in ROSBAGS_PACKAGES or any(interface_files(package).values())


class Definitions:
    """Every definition asked for so far, read on demand."""

    def __init__(self) -> None:
        self._known: dict[str, Definition] = {}

    def get(self, name: str) -> Definition:
        """Definition of `package/kind/Name`, with the parts of services and actions as names of their own.

        Raises:
            InterfaceError: no source knows the name.
        """
        if name not in self._known:
            self._load(name)
        return self._known[name]

    def _load(self, name: str) -> None:
        try:
            package, kind, short = name.split("/")
        except ValueError:
            raise InterfaceError(f"'{name}' is not an interface name; expected package/msg/Name") from None
        stem = short if short in interface_files(package).get(kind, {}) else short.split("_")[0]
        path = interface_files(package).get(kind, {}).get(stem)
        if path is not None:
            for definition in file_definitions(package, kind, path):
                self._known[definition.name] = replace(definition, fields=_placeholder_if_empty(definition.fields))
        elif kind == "msg" and name in rosbags_definitions():
            definition = _from_rosbags(name)
            self._known[name] = replace(definition, fields=_placeholder_if_empty(definition.fields))
        if name not in self._known:
            raise InterfaceError(f"no definition of '{name}' among the installed packages, rosless and rosbags")

    def rihs01(self, name: str) -> str:
        """The type hash `RIHS01_…` which genuine endpoints announce."""
        from rosbags.interfaces import Nodetype
        from rosbags.typesys.store import Typestore

        store = Typestore()

        def describe(kind: FieldType) -> tuple:
            inner = (Nodetype.NAME, kind.base) if kind.is_message else (Nodetype.BASE, (kind.base, kind.string_bound))
            if kind.shape == "scalar":
                return inner
            return (Nodetype.ARRAY if kind.shape == "array" else Nodetype.SEQUENCE, (inner, kind.size))

        def add(full: str) -> None:
            if full in store.fielddefs:
                return
            definition = self.get(full)
            store.fielddefs[full] = ([], [(field.name, describe(field.type)) for field in definition.fields])
            for field in definition.fields:
                if field.type.is_message:
                    add(field.type.base)

        add(name)
        return store.hash_rihs01(name)


definitions = Definitions()
