"""Executors, callback groups, timers and clocks."""

from __future__ import annotations

import threading
import time

import pytest
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import Parameter
from rclpy.task import Future
from rclpy.time import Time
from rosgraph_msgs.msg import Clock as ClockMessage

from .conftest import PATIENCE, Ros


def test_a_timer_fires_again_and_again_until_it_is_canceled(ros: Ros) -> None:
    calls: list[int] = []
    timer = ros.node("node").create_timer(0.01, lambda: calls.append(1))
    ros.spin_until(lambda: len(calls) >= 3)
    timer.cancel()
    count = len(calls)
    ros.executor.spin_once(timeout_sec=0.05)
    assert len(calls) == count
    assert timer.is_canceled()


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


def test_a_mutually_exclusive_group_keeps_callbacks_apart(threaded_ros: Ros) -> None:
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
    group = MutuallyExclusiveCallbackGroup()
    for _ in range(3):
        node.create_timer(0.001, work, callback_group=group)
    threaded_ros.spin_until(lambda: len(calls) >= 12)
    assert not any(overlaps)


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


def test_tasks_return_results_and_raise(ros: Ros) -> None:
    ros.node("node")
    awaited: Future = Future()

    async def add(number: int) -> int:
        return number + await awaited

    task = ros.executor.create_task(add, 2)
    ros.executor.create_task(lambda: awaited.set_result(40))
    assert ros.result_of(task) == 42


def test_shutdown_ends_a_spin_in_another_thread(ros: Ros) -> None:
    ros.node("node")
    ended: list[str] = []

    def spin() -> None:
        try:
            ros.executor.spin()
            ended.append("returned")
        except ExternalShutdownException:
            ended.append("raised")

    thread = threading.Thread(target=spin)
    thread.start()
    ros.context.try_shutdown()
    thread.join(PATIENCE)
    assert ended in (["returned"], ["raised"])


def test_simulated_time_follows_the_clock_topic(ros: Ros) -> None:
    node = ros.node("node", parameter_overrides=[Parameter("use_sim_time", value=True)])
    ticks: list[int] = []
    node.create_timer(1.0, lambda: ticks.append(node.get_clock().now().nanoseconds))
    assert node.get_clock().now().nanoseconds == 0
    publisher = ros.node("world").create_publisher(ClockMessage, "/clock", 10)
    ros.spin_until(publisher.get_subscription_count)
    message = ClockMessage()
    for second in (1, 2, 3):
        message.clock.sec = second
        publisher.publish(message)
        ros.spin_until(lambda second=second: len(ticks) >= second)
    assert ticks == [1_000_000_000, 2_000_000_000, 3_000_000_000]


def test_times_and_durations_compute() -> None:
    start = Time(seconds=2, nanoseconds=500, clock_type=ClockType.ROS_TIME)
    later = start + Duration(seconds=1.5)
    assert (later - start).nanoseconds == 1_500_000_000
    assert Time.from_msg(later.to_msg()) == later
    with pytest.raises(TypeError):
        start < Clock(clock_type=ClockType.STEADY_TIME).now()  # noqa: B015
