"""Command lines of nodes and the names they remap."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from rclpy.parameter import get_parameter_value, parameter_value_to_python

from pocketros.arguments import matches_node, parse_ros_arguments, read_parameter_file
from pocketros.errors import ArgumentError
from pocketros.names import NAMESPACE, NODE, TOPIC, expand, fault, remap
from pocketros.rcl_yaml import read_yaml, write_yaml


def test_ros_arguments_are_told_apart_from_the_others() -> None:
    words = "prog --plain --ros-args -r a:=b -r other:c:=d -p x:=1.5 --log-level debug -- more --ros-args -p y:=[1, 2]"
    parsed = parse_ros_arguments(words.replace("[1, 2]", "[1,2]").split())
    assert parsed.rest == ["prog", "--plain", "more"]
    assert [(rule.node, rule.match, rule.replacement) for rule in parsed.remaps] == [
        ("", "a", "b"),
        ("other", "c", "d"),
    ]
    assert parsed.parameters_for("/any") == {"x": 1.5, "y": [1, 2]}
    assert parsed.log_levels == {"": "debug"}


@pytest.mark.parametrize(
    ("words", "named"), [("-r ab", "ab"), ("-p x", "x"), ("--what", "--what"), ("-r", "-r"), ("--params-file no", "no")]
)
def test_malformed_ros_arguments_are_named(words: str, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        parse_ros_arguments(["--ros-args", *words.split()])


@pytest.mark.parametrize("text", ["[", "- a", "node: 5", "node: {speed: 1}", "a: &x {ros__parameters: {}}\nb: *x"])
def test_malformed_parameter_files_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(ArgumentError, match=r"wrong\.yaml"):
        read_parameter_file(file)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("/**", "/a/b", True), ("node", "/node", True), ("node", "/a/node", False), ("/a/*", "/a/node", True),
        ("/a/*", "/a/b/node", False), ("/**/node", "/a/b/node", True), ("/**/node", "/node", True),
    ],
)  # fmt: skip
def test_patterns_of_parameter_files(pattern: str, name: str, matches: bool) -> None:
    assert matches_node(pattern, name) is matches


def test_names_expand_and_remap() -> None:
    assert expand("a", "node", "/ns") == "/ns/a"
    assert expand("~/a", "node", "/ns") == "/ns/node/a"
    assert expand("/a", "node", "/ns") == "/a"
    assert expand("{node}/a", "node", "/") == "/node/a"
    rules = parse_ros_arguments(["--ros-args", "-r", "a:=/b", "-r", "~/c:=c"]).remaps
    assert remap("/ns/a", rules, "node", "/ns") == "/b"
    assert remap("/ns/node/c", rules, "node", "/ns") == "/ns/c"
    assert remap("/a", rules, "node", "/ns") == "/a"


def test_names_have_rules() -> None:
    assert fault(TOPIC, "/good/name_1") is None
    assert fault(TOPIC, "~/good") is None
    assert all(fault(TOPIC, name) for name in ("", "a b", "a//b", "a/", "/1a", "a~"))
    assert fault(NODE, "good_1") is None
    assert all(fault(NODE, name) for name in ("", "1a", "a/b", "a-b"))
    assert fault(NAMESPACE, "/a/b") is None
    assert all(fault(NAMESPACE, name) for name in ("a", "/a//b", "/1"))


@pytest.mark.parametrize(("text", "value"), [("12:30", "12:30"), ("[1", "[1"), ("{b: 1}", "{b: 1}"), ("010", 8)])
def test_a_value_for_param_set_is_what_rcl_reads_or_a_text(text: str, value: object) -> None:
    assert parameter_value_to_python(get_parameter_value(text)) == value


@given(st.one_of(st.text(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)))
@example("y")
@example("12:30")
@example("nan")
@example("2026-11-29")
@example("\N{NEXT LINE}")
def test_what_is_written_is_read_again_and_by_others(value: object) -> None:
    for read in (read_yaml, yaml.safe_load):
        found = read(write_yaml({"a": value}))["a"]
        assert found == value
        assert type(found) is type(value)
