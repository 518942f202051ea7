"""YAML as rcl reads it, other than YAML 1.1: `y` is true, `nan` a number; `12:30`, `1_000`, dates and `~` are texts."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pocketros.errors import ArgumentError

Scalar = bool | int | float | str
TAG = "tag:yaml.org,2002:"
TRUTHS = {
    form: truth
    for word, truth in {"y": True, "yes": True, "true": True, "on": True}.items()
    | {"n": False, "no": False, "false": False, "off": False}.items()
    for form in (word, word.capitalize(), word.upper())
}
# What strtoll(text, 0) and strtod read to the end
INTEGER = re.compile(r"[-+]?(?:0[xX](?P<hex>[0-9a-fA-F]+)|(?P<octal>0[0-7]*)|[1-9][0-9]*)")
DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|(?i:[-+]?(?:inf(?:inity)?|nan))")
HEXADECIMAL = re.compile(r"[-+]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][-+]?[0-9]+)?")
# As they stand, PyYAML reads blanks
UNUSUAL_BREAKS = frozenset("\N{NEXT LINE}\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}")
DOTTED = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)")


def scalar(text: str) -> Scalar:
    """The value of a text without quotes."""
    if text in TRUTHS:
        return TRUTHS[text]
    if found := INTEGER.fullmatch(text):
        number = int(text, 16 if found["hex"] else 8 if found["octal"] else 10)
        if -(2**63) <= number < 2**63:
            return number
    if DOTTED.fullmatch(text):
        return float(text.replace(".", ""))
    if DECIMAL.fullmatch(text):
        return float(text)
    return float.fromhex(text) if HEXADECIMAL.fullmatch(text) else text


def _tag(text: str) -> str:
    return TAG + type(scalar(text)).__name__


class _Loader(yaml.SafeLoader):
    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        return _tag(value) if kind is yaml.ScalarNode and implicit[0] else super().resolve(kind, value, implicit)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not supported", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        return {self.construct_scalar(key): self.construct_object(value, deep) for key, value in node.value}


class _TextLoader(_Loader):
    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        return TAG + "str" if kind is yaml.ScalarNode and implicit[0] else super().resolve(kind, value, implicit)


for _name in ("bool", "int", "float"):
    _Loader.add_constructor(TAG + _name, lambda loader, node: scalar(str(node.value)))


class _Dumper(yaml.SafeDumper):
    """Quotes what is not the same to rcl and to others."""

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:
        breaks = isinstance(value, str) and not UNUSUAL_BREAKS.isdisjoint(value)
        return super().represent_scalar(tag, value, '"' if breaks else style)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        is_text = kind is not yaml.ScalarNode or not implicit[0] or isinstance(scalar(value), str)
        return super().resolve(kind, value, implicit) if is_text else _tag(value)


def read_yaml(text: str, what: str = "", *, texts: bool = False) -> Any:
    """The plain values in a YAML text, keys as texts; the empty text is itself.

    Args:
        what: names the text in errors.
        texts: whether numbers and truths stay texts, too, for fields which know what they are.

    Raises:
        ArgumentError: naming what is not YAML.
    """
    loader = _TextLoader(text) if texts else _Loader(text)
    try:
        value = loader.get_single_data()
    except (yaml.YAMLError, AttributeError, ValueError) as error:  # a tag that does not fit what it stands at
        raise ArgumentError(f"{what or repr(text)} is not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
    return "" if value is None else value


def write_yaml(value: Any) -> str:
    """A YAML text that `read_yaml` and rcl read as the value."""
    return str(yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True))
