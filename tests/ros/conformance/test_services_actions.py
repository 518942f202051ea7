"""Services and actions."""

from __future__ import annotations

import time
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from .conftest import PATIENCE, Ros


def answer(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
    response.success, response.message = request.data, "done"
    return response


def test_a_service_answers_another_participant(ros: Ros) -> None:
    ros.node("server").create_service(SetBool, "switch", answer)
    other = Node("caller", context=ros.join())
    client = other.create_client(SetBool, "switch")
    assert client.wait_for_service(PATIENCE)
    ros.executor.add_node(other)
    response = ros.result_of(client.call_async(SetBool.Request(data=True)))
    assert response == SetBool.Response(success=True, message="done")
    other.destroy_node()


def test_a_service_that_is_not_there_is_not_waited_for(ros: Ros) -> None:
    assert not ros.node("caller").create_client(Trigger, "nobody").wait_for_service(timeout_sec=0.1)


def test_a_coroutine_awaits_a_service_in_one_thread(ros: Ros) -> None:
    node = ros.node("node")
    inner = node.create_client(SetBool, "inner", callback_group=ReentrantCallbackGroup())

    async def forward(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        inside = await inner.call_async(SetBool.Request(data=True))
        response.success, response.message = inside.success, inside.message
        return response

    node.create_service(SetBool, "inner", answer, callback_group=ReentrantCallbackGroup())
    node.create_service(Trigger, "outer", forward)
    outer = node.create_client(Trigger, "outer", callback_group=ReentrantCallbackGroup())
    assert inner.wait_for_service(PATIENCE)
    assert outer.wait_for_service(PATIENCE)
    assert ros.result_of(outer.call_async(Trigger.Request())).message == "done"


def test_requests_of_another_type_are_refused(ros: Ros) -> None:
    client = ros.node("node").create_client(Trigger, "trigger")
    with pytest.raises(TypeError):
        client.call_async(SetBool.Request())


def close_gripper(handle: Any) -> GripperCommand.Result:
    for step in range(3):
        handle.publish_feedback(GripperCommand.Feedback(position=float(step)))
    handle.succeed()
    return GripperCommand.Result(position=handle.request.command.position, reached_goal=True)


def goal(position: float) -> GripperCommand.Goal:
    made = GripperCommand.Goal()
    made.command.position = position
    return made


def test_an_action_gives_feedback_and_a_result(ros: Ros) -> None:
    ActionServer(ros.node("server"), GripperCommand, "grip", close_gripper)
    client = ActionClient(ros.node("client"), GripperCommand, "grip")
    assert client.wait_for_server(PATIENCE)
    heard: list[float] = []
    sent = client.send_goal_async(goal(0.02), lambda message: heard.append(message.feedback.position))
    handle = ros.result_of(sent)
    assert handle.accepted
    result = ros.result_of(handle.get_result_async())
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert result.result == GripperCommand.Result(position=0.02, reached_goal=True)
    ros.spin_until(lambda: len(heard) == 3)
    assert heard == [0.0, 1.0, 2.0]


def test_a_goal_may_be_rejected(ros: Ros) -> None:
    ActionServer(
        ros.node("server"), GripperCommand, "grip", close_gripper, goal_callback=lambda request: GoalResponse.REJECT
    )
    client = ActionClient(ros.node("client"), GripperCommand, "grip")
    assert client.wait_for_server(PATIENCE)
    assert not ros.result_of(client.send_goal_async(goal(0.02))).accepted


def test_a_goal_is_canceled_while_it_is_executed(threaded_ros: Ros) -> None:
    ros = threaded_ros

    def hold(handle: Any) -> GripperCommand.Result:
        deadline = time.monotonic() + PATIENCE
        while not handle.is_cancel_requested and time.monotonic() < deadline:
            time.sleep(0.005)
        handle.canceled()
        return GripperCommand.Result(stalled=True)

    ActionServer(
        ros.node("server"),
        GripperCommand,
        "grip",
        hold,
        cancel_callback=lambda handle: CancelResponse.ACCEPT,
        callback_group=ReentrantCallbackGroup(),
    )
    client = ActionClient(ros.node("client"), GripperCommand, "grip")
    assert client.wait_for_server(PATIENCE)
    handle = ros.result_of(client.send_goal_async(goal(0.02)))
    canceled = ros.result_of(handle.cancel_goal_async())
    assert len(canceled.goals_canceling) == 1
    result = ros.result_of(handle.get_result_async())
    assert (result.status, result.result.stalled) == (GoalStatus.STATUS_CANCELED, True)


def test_a_goal_whose_callback_raises_is_aborted(ros: Ros) -> None:
    def fail(handle: Any) -> GripperCommand.Result:
        raise ValueError("no such gripper")

    ActionServer(ros.node("server"), GripperCommand, "grip", fail)
    client = ActionClient(ros.node("client"), GripperCommand, "grip")
    assert client.wait_for_server(PATIENCE)
    handle = ros.result_of(client.send_goal_async(goal(0.02)))
    assert ros.result_of(handle.get_result_async()).status == GoalStatus.STATUS_ABORTED


def test_accepted_goals_may_be_deferred(ros: Ros) -> None:
    waiting: list[Any] = []
    ActionServer(ros.node("server"), GripperCommand, "grip", close_gripper, handle_accepted_callback=waiting.append)
    client = ActionClient(ros.node("client"), GripperCommand, "grip")
    assert client.wait_for_server(PATIENCE)
    handle = ros.result_of(client.send_goal_async(goal(0.02)))
    future = handle.get_result_async()
    ros.spin_until(lambda: waiting)
    assert not future.done()
    waiting[0].execute()
    assert ros.result_of(future).status == GoalStatus.STATUS_SUCCEEDED
