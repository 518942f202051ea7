"""Services and actions."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from action_msgs.msg import GoalStatus, GoalStatusArray
from rclpy.action import (
    ActionClient,
    ActionServer,
    CancelResponse,
    GoalResponse,
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Empty, SetBool, Trigger

from .conftest import PATIENCE, Ros

try:
    from example_interfaces.action import Fibonacci
except ImportError:  # the rclpy of PyPI has no example_interfaces
    from test_msgs.action import Fibonacci


def answer(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
    response.success, response.message = request.data, "done"
    return response


def test_a_service_answers_another_participant(ros: Ros) -> None:
    ros.node("server").create_service(SetBool, "switch", answer)
    client = ros.far_node("caller").create_client(SetBool, "switch")
    response = ros.ask(client, SetBool.Request(data=True))
    assert response == SetBool.Response(success=True, message="done")


def test_a_service_that_is_not_there_is_not_waited_for(ros: Ros) -> None:
    assert not ros.node("caller").create_client(Trigger, "nobody").wait_for_service(timeout_sec=0.1)


def test_calls_get_their_own_answers(ros: Ros) -> None:
    def echo(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = request.data
        return response

    ros.node("server").create_service(SetBool, "echo", echo)
    clients = [ros.node("near").create_client(SetBool, "echo"), ros.far_node("far").create_client(SetBool, "echo")]
    for client in clients:
        ros.ask(client, SetBool.Request())
    asked = [index % 3 == 0 for index in range(8)]  # fewer than some distributions keep
    futures = [clients[index % 2].call_async(SetBool.Request(data=data)) for index, data in enumerate(asked)]
    assert [ros.result_of(future).success for future in futures] == asked


def test_a_thread_may_wait_for_an_answer(threaded_ros: Ros) -> None:
    threaded_ros.node("server").create_service(SetBool, "switch", answer)
    client = threaded_ros.node("caller").create_client(SetBool, "switch")
    threaded_ros.spin_in_background()
    assert client.wait_for_service(PATIENCE)
    assert client.call(SetBool.Request(data=True)).message == "done"


def test_a_thread_waits_for_an_answer_only_so_long(ros: Ros) -> None:
    client = ros.node("caller").create_client(Trigger, "nobody")
    with pytest.raises(TimeoutError):
        client.call(Trigger.Request(), timeout_sec=0.01)


def test_the_graph_counts_services_and_clients(ros: Ros) -> None:
    node = ros.node("node", namespace="/space")
    node.create_service(Trigger, "check", lambda request, response: response)
    for _ in range(2):
        node.create_client(Trigger, "check")
    ros.spin_until(lambda: (node.count_services("check"), node.count_clients("/space/check")) == (1, 2))


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
    ros.spin_until(lambda: inner.service_is_ready() and outer.service_is_ready())
    assert ros.result_of(outer.call_async(Trigger.Request())).message == "done"


def test_a_subscription_may_be_a_coroutine(ros: Ros) -> None:
    node = ros.node("node")
    client = node.create_client(SetBool, "switch", callback_group=ReentrantCallbackGroup())
    answers: list[str] = []

    async def heard(message: String) -> None:
        answers.append((await client.call_async(SetBool.Request(data=True))).message + message.data)

    node.create_subscription(String, "chatter", heard, 10)
    ros.node("server").create_service(SetBool, "switch", answer)
    ros.spin_until(client.service_is_ready)
    assert ros.deliver(node.create_publisher(String, "chatter", 10), String(data="!"), answers) == "done!"


def test_services_are_named_and_remapped_like_topics(ros: Ros) -> None:
    node = ros.node("node", namespace="/lab", cli_args=["--ros-args", "-r", "stop:=halt"])
    assert node.create_service(Empty, "stop", lambda request, response: response).srv_name in ("stop", "/lab/halt")
    assert node.resolve_service_name("stop") == "/lab/halt"
    client = ros.node("other").create_client(Empty, "/lab/halt")
    assert ros.ask(client, Empty.Request()) == Empty.Response()
    ros.spin_until(lambda: ("/lab/halt", ["std_srvs/srv/Empty"]) in node.get_service_names_and_types())


def test_requests_of_another_type_are_refused(ros: Ros) -> None:
    client = ros.node("node").create_client(Trigger, "trigger")
    with pytest.raises(TypeError):
        client.call_async(SetBool.Request())


def test_a_destroyed_service_is_not_ready(ros: Ros) -> None:
    server = ros.far_node("server")
    service = server.create_service(Trigger, "check", lambda request, response: response)
    client = ros.node("client").create_client(Trigger, "check")
    ros.spin_until(client.service_is_ready)
    server.destroy_service(service)
    ros.spin_until(lambda: not client.service_is_ready())


def count(handle: Any) -> Fibonacci.Result:
    """Not Fibonacci's numbers: which goal it was."""
    handle.succeed()
    return Fibonacci.Result(sequence=[handle.request.order])


def goal(order: int) -> Fibonacci.Goal:
    return Fibonacci.Goal(order=order)


def hold(handle: Any) -> Fibonacci.Result:
    """Execute until the goal is to be canceled."""
    deadline = time.monotonic() + PATIENCE
    while not handle.is_cancel_requested and time.monotonic() < deadline:
        time.sleep(0.005)
    handle.canceled()
    return Fibonacci.Result(sequence=[-1])


def serve(node: Node, execute: Callable[..., Any], **options: Any) -> ActionServer:
    """A server whose results can be asked for later; some distributions keep them for ten seconds only."""
    return ActionServer(node, Fibonacci, "count", execute, result_timeout=900, **options)


def client_of(ros: Ros, node: Node) -> ActionClient:
    """A client that has found the server, and has been found by all others."""

    def known() -> list[int]:
        return [each.count_subscribers("/count/_action/status") for each in ros.nodes]

    before = max(known())
    client = ActionClient(node, Fibonacci, "count")
    ros.spin_until(lambda: client.server_is_ready() and min(known()) > before)
    return client


def test_an_action_gives_feedback_and_a_result(threaded_ros: Ros) -> None:
    ros = threaded_ros
    heard: list[int] = []

    def count_slowly(handle: Any) -> Fibonacci.Result:
        # A client drops the feedback of a goal that it knows to have ended.
        deadline = time.monotonic() + PATIENCE
        for step in (0, 1, 2):
            while step not in heard and time.monotonic() < deadline:
                handle.publish_feedback(Fibonacci.Feedback(sequence=[step]))
                time.sleep(0.01)
        return count(handle)

    serve(ros.node("server"), count_slowly)
    client = client_of(ros, ros.far_node("client"))
    sent = client.send_goal_async(goal(2), lambda message: heard.append(message.feedback.sequence[0]))
    handle = ros.result_of(sent)
    assert handle.accepted
    result = ros.result_of(handle.get_result_async())
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert result.result == Fibonacci.Result(sequence=[2])
    assert sorted(set(heard)) == [0, 1, 2]
    assert heard == sorted(heard)


def test_actions_are_remapped(ros: Ros) -> None:
    node = ros.node("node", namespace="/space", cli_args=["--ros-args", "-r", "count:=/other"])
    serve(node, count)
    client = ActionClient(node, Fibonacci, "count")
    ros.spin_until(client.server_is_ready)
    assert [name for name, _ in get_action_names_and_types(node)] == ["/other"]
    assert ros.result_of(client.send_goal_async(goal(2))).accepted


def test_who_keeps_no_goal_hears_its_feedback_all_the_same(threaded_ros: Ros) -> None:
    ros = threaded_ros
    heard: list[int] = []

    def tell(handle: Any) -> Fibonacci.Result:
        deadline = time.monotonic() + PATIENCE
        while len(heard) < 5 and time.monotonic() < deadline:
            handle.publish_feedback(Fibonacci.Feedback(sequence=[1]))
            time.sleep(0.01)
        return count(handle)

    serve(ros.node("server"), tell)
    client = client_of(ros, ros.far_node("client"))
    client.send_goal_async(goal(1), heard.append)
    ros.spin_until(lambda: gc.collect() >= 0 and len(heard) >= 5)


def test_a_client_hears_that_its_goal_is_executed(threaded_ros: Ros) -> None:
    ros = threaded_ros
    go = threading.Event()

    def wait(handle: Any) -> Fibonacci.Result:
        go.wait(PATIENCE)
        return count(handle)

    serve(ros.node("server"), wait)
    client = client_of(ros, ros.far_node("client"))
    for _ in range(3):
        handle = ros.result_of(client.send_goal_async(goal(1)))
        ros.spin_until(lambda handle=handle: handle.status == GoalStatus.STATUS_EXECUTING)
    go.set()
    ros.spin_until(lambda: handle.status == GoalStatus.STATUS_SUCCEEDED)


def test_the_callbacks_of_a_server_may_be_exchanged(ros: Ros) -> None:
    server = serve(ros.node("server"), hold)
    client = client_of(ros, ros.node("client"))
    server.register_execute_callback(count)
    server.register_cancel_callback(lambda handle: CancelResponse.ACCEPT)
    server.register_goal_callback(lambda request: GoalResponse.REJECT)
    assert not ros.result_of(client.send_goal_async(goal(1))).accepted
    deferred: list[Any] = []
    server.register_goal_callback(None)
    server.register_handle_accepted_callback(deferred.append)
    handle = ros.result_of(client.send_goal_async(goal(3)))
    ros.spin_until(lambda: deferred)
    deferred[0].execute()
    assert ros.result_of(handle.get_result_async()).result == Fibonacci.Result(sequence=[3])
    with pytest.raises(TypeError):
        server.register_execute_callback(None)


def test_a_goal_may_be_rejected(ros: Ros) -> None:
    def judge(request: Fibonacci.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if request.order < 5 else GoalResponse.REJECT

    serve(ros.node("server"), count, goal_callback=judge)
    client = client_of(ros, ros.node("client"))
    assert not ros.result_of(client.send_goal_async(goal(10))).accepted
    assert ros.result_of(client.send_goal_async(goal(2))).accepted


def test_a_goal_is_canceled_while_it_is_executed(threaded_ros: Ros) -> None:
    ros = threaded_ros
    serve(
        ros.node("server"),
        hold,
        cancel_callback=lambda handle: CancelResponse.ACCEPT,
        callback_group=ReentrantCallbackGroup(),
    )
    client = client_of(ros, ros.node("client"))
    handle = ros.result_of(client.send_goal_async(goal(2)))
    canceled = ros.result_of(handle.cancel_goal_async())
    assert [one.goal_id for one in canceled.goals_canceling] == [handle.goal_id]
    result = ros.result_of(handle.get_result_async())
    assert (result.status, list(result.result.sequence)) == (GoalStatus.STATUS_CANCELED, [-1])


def test_cancelling_may_be_rejected(threaded_ros: Ros) -> None:
    ros = threaded_ros
    go_on = threading.Event()

    def work(handle: Any) -> Fibonacci.Result:
        go_on.wait(PATIENCE)
        return count(handle)

    serve(
        ros.node("server"),
        work,
        cancel_callback=lambda handle: CancelResponse.REJECT,
        callback_group=ReentrantCallbackGroup(),
    )
    client = client_of(ros, ros.node("client"))
    handle = ros.result_of(client.send_goal_async(goal(2)))
    assert len(ros.result_of(handle.cancel_goal_async()).goals_canceling) == 0
    go_on.set()
    assert ros.result_of(handle.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED


def test_a_new_goal_may_preempt_the_last(threaded_ros: Ros) -> None:
    ros = threaded_ros
    current: list[Any] = []

    def accept(handle: Any) -> None:
        current.append(handle)
        handle.execute()

    def until_preempted(handle: Any) -> Fibonacci.Result:
        deadline = time.monotonic() + PATIENCE
        while handle.request.order < 100 and time.monotonic() < deadline:
            if current[-1] is not handle:
                handle.abort()
                return Fibonacci.Result()
            time.sleep(0.005)
        return count(handle)

    serve(
        ros.node("server"),
        until_preempted,
        handle_accepted_callback=accept,
        callback_group=ReentrantCallbackGroup(),
    )
    client = client_of(ros, ros.node("client"))
    first = ros.result_of(client.send_goal_async(goal(2)))
    second = ros.result_of(client.send_goal_async(goal(100)))
    assert ros.result_of(first.get_result_async()).status == GoalStatus.STATUS_ABORTED
    assert ros.result_of(second.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED


def test_a_goal_whose_callback_raises_is_aborted(ros: Ros) -> None:
    def fail(handle: Any) -> Fibonacci.Result:
        raise ValueError("no such number")

    serve(ros.node("server"), fail)
    client = client_of(ros, ros.node("client"))
    handle = ros.result_of(client.send_goal_async(goal(2)))
    assert ros.result_of(handle.get_result_async()).status == GoalStatus.STATUS_ABORTED


def test_accepted_goals_may_be_deferred(ros: Ros) -> None:
    waiting: list[Any] = []
    serve(ros.node("server"), count, handle_accepted_callback=waiting.append)
    client = client_of(ros, ros.node("client"))
    handle = ros.result_of(client.send_goal_async(goal(2)))
    future = handle.get_result_async()
    ros.spin_until(lambda: waiting)
    assert not future.done()
    assert waiting[0].is_active
    waiting[0].execute()
    assert ros.result_of(future).status == GoalStatus.STATUS_SUCCEEDED


def test_a_goal_may_be_executed_by_a_coroutine(ros: Ros) -> None:
    node = ros.node("server")
    client = node.create_client(SetBool, "switch", callback_group=ReentrantCallbackGroup())
    node.create_service(SetBool, "switch", answer, callback_group=ReentrantCallbackGroup())

    async def ask_first(handle: Any) -> Fibonacci.Result:
        said = await client.call_async(SetBool.Request(data=True))
        handle.succeed()
        return Fibonacci.Result(sequence=[int(said.success)])

    serve(node, ask_first)
    ros.spin_until(client.service_is_ready)
    handle = ros.result_of(client_of(ros, ros.node("client")).send_goal_async(goal(2)))
    assert list(ros.result_of(handle.get_result_async()).result.sequence) == [1]


def test_goals_of_several_clients_are_kept_apart(ros: Ros) -> None:
    serve(ros.node("server"), count)
    clients = [client_of(ros, ros.node("near")), client_of(ros, ros.far_node("far"))]
    handles = [ros.result_of(client.send_goal_async(goal(at))) for at, client in enumerate(clients)]
    results = [ros.result_of(handle.get_result_async()).result.sequence[0] for handle in handles]
    assert results == [0, 1]


def test_the_status_of_goals_is_latched(ros: Ros) -> None:
    serve(ros.node("server"), count)
    client = client_of(ros, ros.node("client"))
    handle = ros.result_of(client.send_goal_async(goal(2)))
    ros.result_of(handle.get_result_async())
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    received: list[GoalStatusArray] = []
    ros.far_node("late").create_subscription(GoalStatusArray, "count/_action/status", received.append, latched)
    ros.spin_until(lambda: received and received[-1].status_list[-1].status == GoalStatus.STATUS_SUCCEEDED)
    assert received[-1].status_list[-1].goal_info.goal_id == handle.goal_id


def test_a_destroyed_server_is_not_ready(ros: Ros) -> None:
    server = serve(ros.node("server"), count)
    client = client_of(ros, ros.node("client"))
    server.destroy()
    ros.spin_until(lambda: not client.server_is_ready())


def test_the_graph_tells_who_serves_and_who_calls_an_action(ros: Ros) -> None:
    server, node = ros.far_node("server", namespace="/lab"), ros.node("client")
    serve(server, count)
    ActionClient(node, Fibonacci, "/lab/count")
    kind = f"{Fibonacci.__module__.partition('.')[0]}/action/Fibonacci"
    served = ("/lab/count", [kind])
    ros.spin_until(lambda: served in get_action_names_and_types(node))
    ros.spin_until(lambda: ("server", "/lab") in node.get_node_names_and_namespaces())
    ros.spin_until(lambda: get_action_server_names_and_types_by_node(node, "server", "/lab") == [served])
    ros.spin_until(lambda: get_action_client_names_and_types_by_node(node, "client", "/") == [served])
    assert get_action_client_names_and_types_by_node(node, "server", "/lab") == []
