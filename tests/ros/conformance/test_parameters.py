"""Parameters, their limits and their services."""

from __future__ import annotations

from pathlib import Path

import pytest
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterNotDeclaredException,
)
from rclpy.parameter import Parameter

from .conftest import PATIENCE, Ros

SPEED = ParameterDescriptor(description="m/s", floating_point_range=[FloatingPointRange(from_value=0.0, to_value=1.0)])


def test_declared_parameters_have_their_default(ros: Ros) -> None:
    node = ros.node("node")
    assert node.declare_parameter("speed", 0.5, SPEED).value == 0.5
    assert node.get_parameter("speed").type_ is Parameter.Type.DOUBLE
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("speed", 0.5)
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("height")


def test_the_command_line_overrides_defaults(ros: Ros, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(
        """
        /**:
          ros__parameters:
            speed: 0.25
            arm:
              joints: [a, b]
        other:
          ros__parameters:
            speed: 1.0
        """
    )
    words = ["--ros-args", "--params-file", str(file), "-p", "count:=3"]
    node = ros.node("node", cli_args=words)
    assert node.declare_parameter("speed", 0.5).value == 0.25
    assert node.declare_parameter("arm.joints", [""]).value == ["a", "b"]
    assert node.declare_parameter("count", 1).value == 3


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
    asked = [("speed", 0.75), ("speed", 2.0), ("speed", "fast"), ("even", 6), ("even", 7), ("fixed", 2)]
    results = node.set_parameters([Parameter(name, value=value) for name, value in asked])
    assert [one.successful for one in results] == [True, False, False, True, False, False]
    assert node.get_parameter("speed").value == 0.75


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


def test_parameters_are_served(ros: Ros) -> None:
    ros.node("node").declare_parameter("speed", 0.5, SPEED)
    other = ros.node("other")
    clients = {
        kind: other.create_client(kind, f"/node/{name}")
        for kind, name in (
            (SetParameters, "set_parameters"),
            (GetParameters, "get_parameters"),
            (DescribeParameters, "describe_parameters"),
        )
    }
    assert all(client.wait_for_service(PATIENCE) for client in clients.values())
    change = [Parameter("speed", value=0.75).to_parameter_msg()]
    results = ros.result_of(clients[SetParameters].call_async(SetParameters.Request(parameters=change))).results
    assert results[0].successful
    values = ros.result_of(clients[GetParameters].call_async(GetParameters.Request(names=["speed", "none"]))).values
    assert (values[0].double_value, values[1].type) == (0.75, 0)
    request = DescribeParameters.Request(names=["speed"])
    assert ros.result_of(clients[DescribeParameters].call_async(request)).descriptors[0].description == "m/s"
