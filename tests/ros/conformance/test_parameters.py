"""Parameters, their limits and their services."""

from __future__ import annotations

import math
from array import array
from pathlib import Path
from typing import Any

import pytest
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterEvent,
    SetParametersResult,
)
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from .conftest import Ros

SPEED = ParameterDescriptor(description="m/s", floating_point_range=[FloatingPointRange(from_value=0.0, to_value=1.0)])
ANY_TYPE = ParameterDescriptor(dynamic_typing=True)


def test_declared_parameters_have_their_default(ros: Ros) -> None:
    node = ros.node("node")
    assert node.declare_parameter("speed", 0.5, SPEED).value == 0.5
    assert node.get_parameter("speed").type_ is Parameter.Type.DOUBLE
    assert node.describe_parameter("speed").description == "m/s"
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("speed", 0.5)
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("height")


def read_from_command_line(ros: Ros, *words: str) -> Node:
    """A node that takes all parameters of its command line."""
    arguments = ["--ros-args", *words]
    return ros.node("node", cli_args=arguments, automatically_declare_parameters_from_overrides=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, text) for text in ("2026-11-29", "2026-11-29 10:00:00", "12:30", "1_000", "0b11", "~", "null")),
        *((text, text) for text in ("=", "<<", "0x", "1e", "0.5.1", "--5", "yEs", "None", "1e3s", ".nAn", ".")),
        *((text, True) for text in ("y", "Y", "yes", "YES", "on", "On", "true", "True")),
        *((text, False) for text in ("n", "no", "No", "OFF", "false", "FALSE")),
        ("010", 8), ("0x1F", 31), ("-0xA", -10), ("+5", 5), ("0", 0), ("9223372036854775807", 2**63 - 1),
        ("99999999999999999999", 1e20), ("089", 89.0), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-1.5E-3", -0.0015),
        ("nan", math.nan), (".NaN", math.nan), ("INF", math.inf), ("-.inf", -math.inf), ("Infinity", math.inf),
        ("0x1p3", 8.0), ("'5'", "5"), ("!!str 5", "5"), ("[a, 'b']", ["a", "b"]), ("[1, 2]", [1, 2]), ("[y]", [True]),
    ],
)  # fmt: skip
def test_a_value_on_the_command_line_is_what_c_reads(ros: Ros, text: str, value: Any) -> None:
    found = plain(read_from_command_line(ros, "-p", f"it:={text}").get_parameter("it").value)
    assert found == value or (found != found and value != value)
    assert type(found) is type(value)


def test_names_and_values_in_files_of_parameters_stay_texts(ros: Ros, tmp_path: Path) -> None:
    file, empty = tmp_path / "parameters.yaml", tmp_path / "empty.yaml"
    file.write_text("/**:\n  ros__parameters:\n    on: 12:30\n    5: {no: null}\n    y: &x [nan]\n")
    empty.touch()
    node = read_from_command_line(ros, "--params-file", str(empty), "--params-file", str(file))
    assert node.get_parameter("on").value == "12:30"
    assert node.get_parameter("5.no").value == "null"
    assert node.get_parameter("y").type_ is Parameter.Type.DOUBLE_ARRAY


def test_aliases_in_files_of_parameters_are_refused(ros: Ros, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n    a: &x 5\n    b: *x\n")
    with pytest.raises(RuntimeError, match="alias"):
        read_from_command_line(ros, "--params-file", str(file))


@pytest.mark.parametrize("name", ["a b", "a-b", "1a", "a.1", "a..b", "a.", ".a", "~a", "/b:a", "__a", ""])
def test_malformed_names_on_the_command_line_are_refused(ros: Ros, name: str) -> None:
    with pytest.raises(RuntimeError, match="parameter"):
        read_from_command_line(ros, "-p", f"{name}:=1")


def test_what_is_set_to_nothing_is_undeclared(ros: Ros) -> None:
    node = ros.node("node", allow_undeclared_parameters=True)
    events: list[ParameterEvent] = []
    node.create_subscription(ParameterEvent, "/parameter_events", events.append, 10)
    node.declare_parameter("fixed", 1)
    node.declare_parameter("any", 1, ANY_TYPE)
    node.set_parameters([Parameter("undeclared", value=1)])
    nothing = [Parameter(name, Parameter.Type.NOT_SET, None) for name in ("fixed", "any", "undeclared")]
    assert [one.successful for one in node.set_parameters(nothing)] == [False, True, True]
    assert [node.has_parameter(one.name) for one in nothing] == [True, False, False]
    ros.spin_until(lambda: {one.name for event in events for one in event.deleted_parameters} == {"any", "undeclared"})


def test_the_type_of_a_parameter_of_any_type_is_that_of_its_value(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameter("it", 1, ANY_TYPE)
    assert node.describe_parameter("it").type == Parameter.Type.INTEGER.value
    node.set_parameters([Parameter("it", value="text")])
    assert node.describe_parameter("it").type == Parameter.Type.STRING.value


def plain(value: Any) -> Any:
    """Arrays of numbers, which may or may not be an `array`, as lists."""
    return list(value) if isinstance(value, array) else value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, Parameter.Type.BOOL),
        (3, Parameter.Type.INTEGER),
        (0.5, Parameter.Type.DOUBLE),
        ("arm", Parameter.Type.STRING),
        ([True, False], Parameter.Type.BOOL_ARRAY),
        ([1, 2], Parameter.Type.INTEGER_ARRAY),
        ([0.5, 1.0], Parameter.Type.DOUBLE_ARRAY),
        (["a", "b"], Parameter.Type.STRING_ARRAY),
    ],
)
def test_types_follow_from_values(ros: Ros, value: Any, kind: Parameter.Type) -> None:
    node = ros.node("node")
    declared = node.declare_parameter("one", value)
    assert declared.type_ is kind
    assert plain(declared.value) == value
    message = node.get_parameter("one").to_parameter_msg()
    assert message.value.type == kind.value
    again = Parameter.from_parameter_msg(message)
    assert (again.name, again.type_, plain(again.value)) == ("one", kind, value)


def test_a_parameter_may_be_declared_without_a_value(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameter("speed", Parameter.Type.DOUBLE)
    assert node.has_parameter("speed")
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("speed")
    assert node.get_parameter_or("speed", Parameter("speed", value=2.0)).value == 2.0
    assert not node.set_parameters([Parameter("speed", value="fast")])[0].successful
    assert node.set_parameters([Parameter("speed", value=1.0)])[0].successful
    assert node.get_parameter("speed").value == 1.0
    node.undeclare_parameter("speed")
    assert not node.has_parameter("speed")


def test_groups_of_parameters(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameters("arm", [("gain", 1.0), ("name", "left", ParameterDescriptor(description="which"))])
    assert {name: one.value for name, one in node.get_parameters_by_prefix("arm").items()} == {
        "gain": 1.0,
        "name": "left",
    }
    assert [one.value for one in node.get_parameters(["arm.gain", "arm.name"])] == [1.0, "left"]


def test_the_command_line_overrides_defaults(ros: Ros, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(
        """
        /**:
          ros__parameters:
            speed: 0.25
            arm:
              joints: [a, b]
        /lab/node:
          ros__parameters:
            depth: 4
        other:
          ros__parameters:
            speed: 1.0
        """
    )
    words = [
        "--ros-args",
        "--params-file",
        str(file),
        "-p",
        "count:=3",
        "-p",
        "text:='7'",
        "-p",
        "arm.home:=[0.0, 1.0]",
    ]
    node = ros.node("node", namespace="/lab", cli_args=words)
    assert node.declare_parameter("speed", 0.5).value == 0.25
    assert node.declare_parameter("arm.joints", [""]).value == ["a", "b"]
    assert node.declare_parameter("depth", 1).value == 4
    assert node.declare_parameter("count", 1).value == 3
    assert node.declare_parameter("text", "").value == "7"
    assert list(node.declare_parameter("arm.home", [0.5]).value) == [0.0, 1.0]


def test_later_words_win_and_may_be_for_one_node(ros: Ros) -> None:
    words = ["--ros-args", "-p", "speed:=1.0", "-p", "speed:=2.0", "-p", "other:speed:=3.0"]
    assert ros.node("node", cli_args=words).declare_parameter("speed", 0.5).value == 2.0
    assert ros.node("other", cli_args=words).declare_parameter("speed", 0.5).value == 3.0


def test_overrides_may_be_declared_by_themselves(ros: Ros) -> None:
    words = ["--ros-args", "-p", "arm.gain:=2.0"]
    node = ros.node("node", cli_args=words, automatically_declare_parameters_from_overrides=True)
    assert node.get_parameter("arm.gain").value == 2.0


def test_undeclared_parameters_may_be_allowed(ros: Ros) -> None:
    node = ros.node("node", allow_undeclared_parameters=True)
    assert node.get_parameter("speed").type_ is Parameter.Type.NOT_SET
    assert node.set_parameters([Parameter("speed", value=1.0)])[0].successful
    assert node.get_parameter("speed").value == 1.0


def test_overrides_out_of_range_or_of_another_type_are_refused(ros: Ros) -> None:
    node = ros.node("node", cli_args=["--ros-args", "-p", "speed:=7.0", "-p", "count:=many"])
    with pytest.raises(InvalidParameterValueException):
        node.declare_parameter("speed", 0.5, SPEED)
    with pytest.raises(InvalidParameterTypeException):
        node.declare_parameter("count", 1)


def test_ranges_and_types_hold_when_parameters_are_set(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameter("speed", 0.5, SPEED)
    even = ParameterDescriptor(integer_range=[IntegerRange(from_value=0, to_value=10, step=2)])
    node.declare_parameter("even", 4, even)
    node.declare_parameter("fixed", 1, ParameterDescriptor(read_only=True))
    node.declare_parameter("any", 1, ANY_TYPE)
    asked = [
        ("speed", 0.75, True),
        ("speed", 2.0, False),
        ("speed", "fast", False),
        ("even", 6, True),
        ("even", 7, False),
        ("fixed", 2, False),
        ("any", "text", True),
    ]
    results = node.set_parameters([Parameter(name, value=value) for name, value, _ in asked])
    assert [one.successful for one in results] == [expected for _, _, expected in asked]
    assert all(one.successful or one.reason for one in results)
    assert node.get_parameter("speed").value == 0.75
    with pytest.raises(ParameterNotDeclaredException):
        node.set_parameters([Parameter("height", value=1.0)])


def test_parameters_set_atomically_change_together_or_not_at_all(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameters("", [("low", 0.0, SPEED), ("high", 1.0, SPEED)])
    refused = node.set_parameters_atomically([Parameter("low", value=0.5), Parameter("high", value=2.0)])
    assert not refused.successful
    assert node.get_parameter("low").value == 0.0
    assert node.set_parameters_atomically([Parameter("low", value=0.5), Parameter("high", value=0.75)]).successful
    assert [one.value for one in node.get_parameters(["low", "high"])] == [0.5, 0.75]


def test_a_callback_may_refuse(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameter("mode", "idle")

    def check(parameters: list[Parameter]) -> SetParametersResult:
        known = all(one.value in ("idle", "busy") for one in parameters)
        return SetParametersResult(successful=known, reason="" if known else "unknown mode")

    node.add_on_set_parameters_callback(check)
    assert node.set_parameters([Parameter("mode", value="busy")])[0].successful
    assert node.set_parameters([Parameter("mode", value="odd")])[0].reason == "unknown mode"
    assert node.get_parameter("mode").value == "busy"
    node.remove_on_set_parameters_callback(check)
    assert node.set_parameters([Parameter("mode", value="odd")])[0].successful


def ask(ros: Ros, other: Node, kind: Any, name: str, **fields: Any) -> Any:
    """What a parameter service of /node answers to another node."""
    return ros.ask(other.create_client(kind, f"/node/{name}"), kind.Request(**fields))


def test_parameters_are_served(ros: Ros) -> None:
    node = ros.node("node")
    node.declare_parameter("speed", 0.5, SPEED)
    node.declare_parameter("arm.name", "left")
    other = ros.far_node("other")
    change = [Parameter("speed", value=0.75).to_parameter_msg(), Parameter("speed", value=2.0).to_parameter_msg()]
    results = ask(ros, other, SetParameters, "set_parameters", parameters=change).results
    assert [one.successful for one in results] == [True, False]
    assert not ask(
        ros, other, SetParametersAtomically, "set_parameters_atomically", parameters=change
    ).result.successful
    values = ask(ros, other, GetParameters, "get_parameters", names=["speed", "arm.name"]).values
    assert (values[0].double_value, values[1].string_value) == (0.75, "left")
    assert list(ask(ros, other, GetParameters, "get_parameters", names=["speed", "none"]).values) == []
    kinds = ask(ros, other, GetParameterTypes, "get_parameter_types", names=["speed", "arm.name"]).types
    assert list(kinds) == [Parameter.Type.DOUBLE.value, Parameter.Type.STRING.value]
    described = ask(ros, other, DescribeParameters, "describe_parameters", names=["speed"]).descriptors
    assert described[0].description == "m/s"
    assert described[0].floating_point_range[0].to_value == 1.0
    listed = ask(ros, other, ListParameters, "list_parameters").result
    assert {"speed", "arm.name", "use_sim_time"} <= set(listed.names)
    assert "arm" in listed.prefixes
    assert list(ask(ros, other, ListParameters, "list_parameters", prefixes=["arm"]).result.names) == ["arm.name"]


def test_changes_are_published(ros: Ros) -> None:
    node = ros.node("node", namespace="/lab")
    node.declare_parameter("count", 0)
    heard: list[ParameterEvent] = []
    ros.far_node("other").create_subscription(ParameterEvent, "/parameter_events", heard.append, 10)
    count = 0

    def changed() -> list[Any]:
        nonlocal count
        count += 1
        node.set_parameters([Parameter("count", value=count)])
        return [one for event in heard if event.node == "/lab/node" for one in event.changed_parameters]

    (first, *_) = ros.spin_until(changed)
    assert first.name == "count"
    assert 0 < first.value.integer_value <= count
