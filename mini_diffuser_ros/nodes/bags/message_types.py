"""Message types by name: their definitions for foreign tools, told from their classes, and messages of their bytes."""

from __future__ import annotations

import math
import re
from functools import cache
from importlib import import_module
from typing import Any

from rclpy.serialization import deserialize_message

from mini_diffuser_ros.data.bags.definitions import SEPARATOR, added_fields, fields_of
from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.reader import BagMessage
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.support.errors import one_line

_BY_IDL = {"double": "float64", "float": "float32", "boolean": "bool", "octet": "byte"}
_SEQUENCE = re.compile(r"sequence<(?P<of>[^,]+?)(, (?P<most>\d+))?>")
_ARRAY = re.compile(r"(?P<of>.+)\[(?P<size>\d+)\]")
_NAME = re.compile(r"(\w+)/msg/(\w+)")
_MOST_BYTES = 16  # of a number or a length, with those before it up to where it may begin
_STRING = re.compile(r"(?P<of>w?string)<(?P<most>\d+)>")


def type_name(kind: Any) -> str:
    """Of a message class, as ``sensor_msgs/msg/Image``."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def definition_of(kind: Any) -> str:
    """Definition of a message type and of all that it is made of, in the format ``ros2msg`` of MCAP.

    Its fields alone: constants and comments, which no decoder needs, are not known to the class on every distribution.
    """
    parts, pending = [_fields(kind)], _made_of(kind)
    told = {type_name(kind)}
    while pending:
        part = pending.pop(0)
        if part not in told:
            told.add(part)
            cls = _class(part)
            parts.append(f"{SEPARATOR}\nMSG: {part.replace('/msg/', '/')}\n{_fields(cls)}")
            pending += _made_of(cls)
    return "".join(parts)


def message_of(message: BagMessage) -> Any:
    """The ROS message in a message of a bag.

    Fields that its type has got at its end since it was recorded are NaN if they are real numbers, else 0 or empty.

    Raises:
        DataError: its type is not installed, has other fields in the bag than here, or the bytes are none of it.
    """
    kind, added = _class_of(message.channel)
    try:
        # Zeros are read as zeros, and as lengths of what is empty.
        made = deserialize_message(message.data + bytes(_MOST_BYTES * len(added)), kind)
    except Exception as error:  # each implementation of rclpy has its own
        name = message.channel.type_name
        raise DataError(f"{message.channel.topic}: holds bytes that are no {name}: {one_line(error)}") from error
    for name in added:
        if isinstance(getattr(made, name), float):
            setattr(made, name, math.nan)
    return made


@cache
def _class_of(channel: Channel) -> tuple[Any, tuple[str, ...]]:
    """The class of a channel's messages, and those of its fields that came after they were recorded.

    Raises:
        DataError: there is none, or it is another than the one that was recorded.
    """
    name = channel.type_name
    try:
        kind = _class(name)
    except (ImportError, AttributeError) as error:
        raise DataError(f"{channel.topic}: messages of type {name!r} are not installed") from error
    try:
        recorded = fields_of(channel.definition, name)
    except ValueError as error:
        raise DataError(f"{channel.topic}: its definition of {name} is not understood: {one_line(error)}") from error
    if (added := added_fields(recorded, fields_of(definition_of(kind), name), name)) is None:
        raise DataError(f"{channel.topic}: {name} had other fields when it was recorded than it has here")
    return kind, added


def _fields(kind: Any) -> str:
    return "".join(f"{_written(idl)} {name}\n" for name, idl in kind.get_fields_and_field_types().items())


def _written(idl: str) -> str:
    """A field's type as a definition has it, ``float64[<=3]`` for ``sequence<double, 3>``."""
    if found := _SEQUENCE.fullmatch(idl):
        most = f"<={found['most']}" if found["most"] else ""
        return f"{_written(found['of'])}[{most}]"
    if found := _ARRAY.fullmatch(idl):
        return f"{_written(found['of'])}[{found['size']}]"
    if found := _STRING.fullmatch(idl):
        return f"{found['of']}<={found['most']}"
    return _BY_IDL.get(idl, idl)


def _made_of(kind: Any) -> list[str]:
    """Names of the message types of its fields, as of :func:`type_name`."""
    bases = [_written(idl).split("[")[0] for idl in kind.get_fields_and_field_types().values()]
    return [base.replace("/", "/msg/") for base in bases if "/" in base]


def _class(name: str) -> Any:
    if (found := _NAME.fullmatch(name)) is None:
        raise ImportError(f"{name} is no name of a message type")
    package, kind = found.groups()
    return getattr(import_module(f"{package}.msg"), kind)
