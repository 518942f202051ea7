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
    WorkerDiedError,
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
