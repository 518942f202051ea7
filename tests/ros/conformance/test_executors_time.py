"""Executors, callback groups, timers and clocks."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import pytest
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.task import Future
from rclpy.time import Time
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import String
from std_srvs.srv import Trigger

from .conftest import PATIENCE, Ros, spin_to_the_end


def test_a_timer_fires_again_and_again_until_it_is_canceled(ros: Ros) -> None:
    calls: list[int] = []
    timer = ros.node("node").create_timer(0.01, lambda: calls.append(1))
    ros.spin_until(lambda: len(calls) >= 3)
    timer.cancel()
    count = len(calls)
    ros.executor.spin_once(timeout_sec=0.05)
    assert len(calls) == count
    assert timer.is_canceled()
    timer.reset()
    assert not timer.is_canceled()
    ros.spin_until(lambda: len(calls) > count)
    assert timer.timer_period_ns == 10_000_000


def test_a_timer_may_be_a_coroutine_and_may_be_destroyed(ros: Ros) -> None:
    node = ros.node("node")
    calls: list[int] = []

    async def count() -> None:
        calls.append(1)
        node.destroy_timer(timer)

    timer = node.create_timer(0.01, count)
    ros.spin_until(lambda: calls)
    ros.executor.spin_once(timeout_sec=0.05)
    assert calls == [1]


def test_a_reentrant_group_lets_callbacks_overlap(threaded_ros: Ros) -> None:
    both = threading.Barrier(2)
    met: list[bool] = []

    def meet() -> None:
        try:
            both.wait(PATIENCE)
            met.append(True)
        except threading.BrokenBarrierError:
            pass

    node = threaded_ros.node("node")
    group = ReentrantCallbackGroup()
    timers = [node.create_timer(0.01, meet, callback_group=group) for _ in range(2)]
    threaded_ros.spin_until(lambda: len(met) >= 2)
    for timer in timers:
        timer.cancel()
    both.abort()


@pytest.mark.parametrize("own_group", [True, False])
def test_a_mutually_exclusive_group_keeps_callbacks_apart(threaded_ros: Ros, own_group: bool) -> None:
    inside = threading.Lock()
    overlaps: list[bool] = []
    calls: list[int] = []

    def work() -> None:
        free = inside.acquire(blocking=False)
        overlaps.append(not free)
        time.sleep(0.002)
        if free:
            inside.release()
        calls.append(1)

    node = threaded_ros.node("node")
    group = MutuallyExclusiveCallbackGroup() if own_group else None
    for _ in range(3):
        node.create_timer(0.001, work, callback_group=group)
    threaded_ros.spin_until(lambda: len(calls) >= 12)
    assert not any(overlaps)


def test_a_long_callback_does_not_hold_up_another_group(threaded_ros: Ros) -> None:
    ros = threaded_ros
    node = ros.node("node")
    stop = threading.Event()
    ended: list[bool] = []
    begun = threading.Event()

    def decide() -> None:
        if not begun.is_set():
            begun.set()
            ended.append(stop.wait(PATIENCE))

    node.create_timer(0.01, decide, callback_group=MutuallyExclusiveCallbackGroup())
    node.create_subscription(
        String, "stop", lambda message: stop.set(), 10, callback_group=MutuallyExclusiveCallbackGroup()
    )
    publisher = ros.node("other").create_publisher(String, "stop", 10)
    ros.spin_until(begun.is_set)
    ros.deliver(publisher, String(), ended)
    assert ended == [True]


def test_an_exception_in_a_callback_ends_the_spin(ros: Ros) -> None:
    def fail() -> None:
        raise ValueError("from the callback")

    ros.node("node").create_timer(0.001, fail)
    with pytest.raises(ValueError, match="from the callback"):
        ros.spin_until(lambda: False)


def test_a_guard_condition_calls_once_for_each_trigger(ros: Ros) -> None:
    calls: list[int] = []
    guard = ros.node("node").create_guard_condition(lambda: calls.append(1))
    guard.trigger()
    ros.spin_until(lambda: calls)
    ros.executor.spin_once(timeout_sec=0.01)
    assert calls == [1]


def test_nodes_come_and_go(ros: Ros) -> None:
    calls: list[int] = []
    node = ros.node("node")
    node.create_timer(0.01, lambda: calls.append(1))
    assert not ros.executor.add_node(node)
    assert node in ros.executor.get_nodes()
    ros.executor.remove_node(node)
    assert node not in ros.executor.get_nodes()
    ros.executor.spin_once(timeout_sec=0.05)
    assert calls == []
    assert ros.executor.add_node(node)
    ros.spin_until(lambda: calls)


def test_futures_tell_when_they_are_done() -> None:
    told: list[Any] = []
    future: Future = Future()
    future.add_done_callback(lambda done: told.append(done.result()))
    assert not future.done()
    future.set_result(3)
    assert (future.done(), future.result(), told) == (True, 3, [3])
    failed: Future = Future()
    failed.set_exception(ValueError("no"))
    assert isinstance(failed.exception(), ValueError)
    with pytest.raises(ValueError, match="no"):
        failed.result()
    dropped: Future = Future()
    dropped.cancel()
    assert dropped.cancelled()


def test_tasks_return_results_and_raise(ros: Ros) -> None:
    ros.node("node")
    awaited: Future = Future()

    async def add(number: int) -> int:
        return number + await awaited

    task = ros.executor.create_task(add, 2)
    ros.executor.create_task(lambda: awaited.set_result(40))
    assert ros.result_of(task) == 42


def test_spinning_for_a_future_ends_with_it_or_with_the_time(ros: Ros) -> None:
    future: Future = Future()
    ros.executor.spin_until_future_complete(future, timeout_sec=0.05)
    assert not future.done()
    ros.node("node").create_timer(0.01, lambda: future.set_result(None))
    ros.executor.spin_until_future_complete(future, PATIENCE)
    assert future.done()


def test_spinning_for_a_future_serves_something_even_without_time(ros: Ros) -> None:
    future: Future = Future()
    ros.node("node").create_guard_condition(lambda: future.set_result(None)).trigger()

    def done() -> bool:
        ros.executor.spin_until_future_complete(future, timeout_sec=0.0)
        return future.done()

    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline


def test_spinning_once_for_a_future_ends_with_it(ros: Ros) -> None:
    future: Future = Future()
    future.set_result(5)
    ros.node("node")
    ros.executor.spin_once_until_future_complete(future, timeout_sec=PATIENCE)
    assert future.result() == 5


def test_what_is_destroyed_is_freed(ros: Ros) -> None:
    node = ros.node("node")
    group = ReentrantCallbackGroup()
    made = [
        node.create_timer(1.0, lambda: None, callback_group=group),
        node.create_subscription(String, "chatter", lambda message: None, 1, callback_group=group),
        node.create_client(Trigger, "check", callback_group=group),
    ]
    for entity, destroy in zip(made, (node.destroy_timer, node.destroy_subscription, node.destroy_client), strict=True):
        destroy(entity)
    del entity
    executor = SingleThreadedExecutor(context=ros.context)
    left = [weakref.ref(one) for one in (*made, executor)]
    del made, executor
    gc.collect()
    assert [one() for one in left] == [None] * len(left)


def test_a_negative_period_is_refused(ros: Ros) -> None:
    with pytest.raises(RuntimeError, match="non-negative"):
        ros.node("node").create_timer(-1.0, lambda: None)


def test_a_destroyed_node_makes_nothing_more(ros: Ros) -> None:
    node = ros.node("node")
    node.destroy_node()
    for make in (
        lambda: node.create_publisher(String, "chatter", 1),
        lambda: node.create_subscription(String, "chatter", lambda message: None, 1),
        lambda: node.create_client(Trigger, "check"),
        lambda: node.create_service(Trigger, "check", lambda request, response: response),
    ):
        with pytest.raises(Exception, match="destruction was requested"):
            make()


def test_shutdown_ends_a_spin_in_another_thread(ros: Ros) -> None:
    ros.node("node")
    ended: list[str] = []
    told: list[bool] = []
    ros.context.on_shutdown(lambda: told.append(True))

    thread = threading.Thread(target=lambda: ended.append(spin_to_the_end(ros.executor)))
    thread.start()
    ros.context.try_shutdown()
    thread.join(PATIENCE)
    assert ended in (["returned"], ["raised"])
    assert told == [True]
    assert not ros.context.ok()


def test_simulated_time_follows_the_clock_topic(ros: Ros) -> None:
    node = ros.node("node", parameter_overrides=[Parameter("use_sim_time", value=True)])
    ticks: list[int] = []
    node.create_timer(1.0, lambda: ticks.append(node.get_clock().now().nanoseconds))
    assert node.get_clock().now().nanoseconds == 0
    assert node.get_clock().ros_time_is_active
    publisher = ros.node("world").create_publisher(ClockMessage, "/clock", 10)
    message = ClockMessage()
    for second in (1, 2, 3):
        message.clock.sec = second

        def ticked(second: int = second) -> bool:
            publisher.publish(message)
            return len(ticks) >= second

        ros.spin_until(ticked)
    assert ticks == [1_000_000_000, 2_000_000_000, 3_000_000_000]


def test_simulated_time_is_switched_by_the_parameter(ros: Ros) -> None:
    node = ros.node("node")
    assert node.get_clock().now().nanoseconds > 0
    assert node.set_parameters([Parameter("use_sim_time", value=True)])[0].successful
    assert node.get_clock().now().nanoseconds == 0
    publisher = ros.node("world").create_publisher(ClockMessage, "/clock", 10)
    message = ClockMessage()
    message.clock.sec = 7

    def is_seven() -> bool:
        publisher.publish(message)
        return node.get_clock().now() == Time(seconds=7, clock_type=ClockType.ROS_TIME)

    ros.spin_until(is_seven)
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert node.get_clock().now().nanoseconds > 7_000_000_000


def test_a_timer_may_keep_steady_time(ros: Ros) -> None:
    node = ros.node("node", parameter_overrides=[Parameter("use_sim_time", value=True)])
    calls: list[int] = []
    node.create_timer(0.01, lambda: calls.append(1), clock=Clock(clock_type=ClockType.STEADY_TIME))
    ros.spin_until(lambda: calls)


def test_times_and_durations_compute() -> None:
    start = Time(seconds=2, nanoseconds=500, clock_type=ClockType.ROS_TIME)
    later = start + Duration(seconds=1.5)
    assert (later - start).nanoseconds == 1_500_000_000
    assert later - Duration(seconds=1.5) == start
    assert start < later
    assert Duration(seconds=1) + Duration(seconds=2) - Duration(seconds=4) == Duration(seconds=-1)
    assert start.seconds_nanoseconds() == (2, 500)
    assert Time.from_msg(later.to_msg()) == later
    assert Duration(seconds=1, nanoseconds=5).to_msg().nanosec == 5
    assert Duration.from_msg(Duration(seconds=-0.5).to_msg()) == Duration(nanoseconds=-500_000_000)
    with pytest.raises(TypeError):
        start < Clock(clock_type=ClockType.STEADY_TIME).now()  # noqa: B015
