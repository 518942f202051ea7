"""Measurements in processes of their own: what comes back, and what is said when nothing does."""

from __future__ import annotations

import math
import operator
import os

import pytest

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.isolation import in_fresh_process, measure_each

pytestmark = pytest.mark.process


def test_rows_come_back_in_order() -> None:
    assert list(measure_each(operator.neg, [1, 2])) == [-1, -2]


def test_the_process_is_another_one() -> None:
    assert in_fresh_process(os.getpgid, 0) == os.getpgid(0)
    assert in_fresh_process(operator.methodcaller("__call__"), os.getpid) != os.getpid()


def test_a_refusal_comes_back() -> None:
    with pytest.raises(BenchError, match=r"\S"):
        in_fresh_process(math.sqrt, -1.0)


def test_a_process_that_ends_early_is_reported() -> None:
    with pytest.raises(BenchError, match="ended with exit code 3: 3"):
        in_fresh_process(os._exit, 3)
