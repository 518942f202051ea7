"""Workers give results in order, pass on what is raised, and end with the process that started them."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.support.workers import (
    GroupQueue,
    TurnQueue,
    WorkerDiedError,
    WorkerLimits,
    map_in_workers,
    outcomes_by_group,
    outcomes_in_workers,
)

DEADLINE = 60.0  # seconds, on a busy machine


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(map_in_workers(math.factorial, range(40), workers)) == [math.factorial(number) for number in range(40)]


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_function_raises_is_raised_where_its_result_is_due(workers: int) -> None:
    results = map_in_workers(math.factorial, (0, 1, 2, -3, 4, 5), workers)
    assert [next(results) for _ in range(3)] == [1, 1, 2]
    with pytest.raises(ValueError, match="negative"):
        next(results)


@pytest.mark.process
def test_items_are_read_only_a_little_ahead() -> None:
    read: list[int] = []
    results = map_in_workers(math.factorial, (read.append(number) or number for number in range(1000)), 2)
    assert next(results) == 1
    assert len(read) < 50
    results.close()


@pytest.mark.process
def test_a_worker_that_dies_is_named_with_its_item() -> None:
    with pytest.raises(WorkerDiedError, match=r"died .* at 9$"):
        list(map_in_workers(os._exit, [9], 2))


@pytest.mark.process
def test_a_worker_that_dies_costs_its_item_alone_and_another_takes_its_place() -> None:
    harmless, deadly = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG), (signal.SIGKILL, signal.SIGTERM)
    signals = [harmless[0], deadly[0], harmless[1], deadly[1], harmless[2]]
    outcomes = {outcome.item: outcome for outcome in outcomes_in_workers(signal.raise_signal, signals, 2)}
    assert {number for number, outcome in outcomes.items() if outcome.error is None} == set(harmless)
    for number in deadly:
        assert isinstance(outcomes[number].error, WorkerDiedError)
        assert repr(number) in str(outcomes[number].error)


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_function_raises_ends_nothing(workers: int) -> None:
    outcomes = {outcome.item: outcome for outcome in outcomes_in_workers(math.factorial, (3, -1, 4), workers)}
    assert (outcomes[3].result, outcomes[-1].result, outcomes[4].result) == (6, None, 24)
    assert isinstance(outcomes[-1].error, ValueError)
    assert outcomes[3].error is None


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_that_exits_costs_its_item_alone(workers: int) -> None:
    outcomes = {outcome.item: outcome for outcome in outcomes_in_workers(sys.exit, (0, "no display", 3), workers)}
    assert len(outcomes) == 3
    for item, outcome in outcomes.items():
        assert isinstance(outcome.error, WorkerDiedError)
        assert str(outcome.error) == f"exit({item!r}) was called at {item!r}"


@given(sizes=st.lists(st.integers(1, 6), max_size=6), order=st.lists(st.integers(0, 2), min_size=60, max_size=60))
def test_a_worker_stays_with_its_group_until_nothing_is_left_of_it(sizes: list[int], order: list[int]) -> None:
    items = [(group, number) for group, size in enumerate(sizes) for number in range(size)]
    queue, at = GroupQueue(items, itemgetter(0)), dict[int, int]()
    given_out = list[tuple[int, int]]()
    for worker in order:
        item = queue.take(worker)
        if item is None:
            break
        left = [one for one in items if one not in given_out]
        if any(group == at.get(worker) for group, _ in left):
            assert item[0] == at[worker]
        elif untouched := {group for group, _ in left} - {group for group, _ in given_out}:
            assert item[0] in untouched
        at[worker] = item[0]
        given_out.append(item)
    assert len(given_out) == len(set(given_out)) == len(items)


@given(
    items=st.lists(st.tuples(st.integers(0, 3), st.integers()), unique=True, max_size=12),
    taken=st.integers(0, 6),
    group=st.integers(0, 3),
    kind=st.sampled_from([GroupQueue, TurnQueue]),
)
def test_a_group_may_be_put_off_or_dropped(items: list, taken: int, group: int, kind: type) -> None:
    def given_out(queue: GroupQueue | TurnQueue) -> list:
        return list(iter(lambda: queue.take(0), None))

    queue = kind(items, itemgetter(0))
    before = [item for _ in range(taken) if (item := queue.take(0)) is not None]
    queue.put_off(group)
    after = given_out(queue)
    assert sorted(before + after) == sorted(items), "nothing is lost"
    late = [item[0] == group for item in after]
    assert late == sorted(late)

    queue = kind(items, itemgetter(0))
    before = [item for _ in range(taken) if (item := queue.take(0)) is not None]
    dropped, after = queue.drop(group), given_out(queue)
    assert sorted(before + dropped + after) == sorted(items)
    assert all(item[0] == group for item in dropped)
    assert all(item[0] != group for item in after)


@pytest.mark.process
@pytest.mark.parametrize(("per_process", "processes"), [(1, 4), (2, 2), (9, 1)])
def test_a_process_is_replaced_after_so_many_groups(per_process: int, processes: int) -> None:
    items = [f"__import__('os').getpid()  # {group} {number}" for group in range(4) for number in range(3)]
    queue = GroupQueue(items, group_of)
    outcomes = list(outcomes_by_group(eval, queue.take, 1, group_of, per_process))
    assert [outcome.item for outcome in outcomes] == items
    done_by = [outcome.result for outcome in outcomes]
    assert len(set(done_by)) == processes
    assert os.getpid() not in done_by
    assert len(set(done_by[:3])) == 1


STOPPED = "__import__('os').kill(__import__('os').getpid(), 19)"  # SIGSTOP
HOLDING = "__import__('re').match('(a+)+$', 'a' * 60 + 'b')"  # never lets another thread of its process run
WELL = "6 * 7"
BLOCKS_ITS_END = "__import__('atexit').register(__import__('time').sleep, 1e6) and __import__('os').getpid()"


@pytest.mark.process
def test_a_process_that_takes_too_long_is_killed_even_if_nothing_in_it_runs_any_more() -> None:
    limits = WorkerLimits(item=DEADLINE / 4)
    items = [STOPPED, HOLDING, WELL, WELL]
    outcomes = list(outcomes_in_workers(eval, items, 2, limits))
    assert sorted(outcome.item for outcome in outcomes) == sorted(items)
    for outcome in outcomes:
        if outcome.item == WELL:
            assert (outcome.result, outcome.error) == (42, None)
        else:
            assert isinstance(outcome.error, WorkerDiedError)
            assert "was killed that had not come to an end in 15 s" in str(outcome.error)


@pytest.mark.process
def test_a_process_that_does_not_end_is_killed_and_keeps_nobody_waiting() -> None:
    limits = WorkerLimits(close=1.0)
    queue = GroupQueue([f"{BLOCKS_ITS_END}  # one 1", f"{BLOCKS_ITS_END}  # two 1", "1 / 0  # two 2"], group_of)
    outcomes = list(outcomes_by_group(eval, queue.take, 1, group_of, 1, limits))
    first, second, failed = outcomes
    assert isinstance(failed.error, ZeroDivisionError)
    assert first.result != second.result
    assert not any(map(_runs, (first.result, second.result)))


@pytest.mark.process
def test_what_cannot_be_sent_costs_its_item_alone() -> None:
    items = ["lambda: 3", "(_ for _ in ()).throw(type('Odd', (Exception,), {})('odd'))", WELL]
    outcomes = {outcome.item: outcome for outcome in outcomes_in_workers(eval, items, 2)}
    assert outcomes[WELL].result == 42
    assert "pickle" in str(outcomes[items[0]].error)
    assert "Odd: odd, which cannot be sent between processes" in str(outcomes[items[1]].error)


@pytest.mark.process
def test_an_error_says_where_it_was_raised_in_its_process() -> None:
    (outcome,) = outcomes_in_workers(math.factorial, [-1], 2)
    assert outcome.error is not None
    assert "Traceback" in str(outcome.error.__cause__)


@pytest.mark.process
def test_an_item_is_taken_when_what_came_of_the_last_one_has_been_looked_at() -> None:
    taken: list[int] = []
    outcomes = outcomes_in_workers(math.factorial, (taken.append(number) or number for number in range(9)), 2)
    for looked_at, _ in enumerate(outcomes):
        assert len(taken) <= looked_at + 2


def group_of(text: str) -> str:
    return text.split()[-2]


@pytest.mark.process
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, str(Path(__file__).with_name("lingering.py")), str(tmp_path)])
    workers = _await(lambda: [int(path.name) for path in tmp_path.iterdir()], count=2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _await(lambda: [worker for worker in workers if not _runs(worker)], count=2)


def _await(look: Callable[[], list[int]], count: int) -> list[int]:
    until = time.monotonic() + DEADLINE
    while len(found := look()) < count:
        assert time.monotonic() < until, f"only {found} of {count}"
        time.sleep(0.02)
    return list(found)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z" and os.getpid() != process
