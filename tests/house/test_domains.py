"""Nodes of one test run never meet those of another."""

from __future__ import annotations

import random
from typing import Any

import pytest


@pytest.fixture
def runs(domains: Any) -> tuple[Any, Any]:
    """Two test runs that choose from the same few domains, which no DDS has."""
    first = random.SystemRandom().randrange(1000, 2**31)
    numbers = range(first, first + 8)
    return type(domains)(numbers), type(domains)(numbers)


def test_what_one_run_holds_no_other_gets(runs: tuple[Any, Any]) -> None:
    ours, theirs = runs
    held = [one.claim() for one in (ours, theirs) * 4]
    assert len(set(held)) == 8
    with pytest.raises(pytest.fail.Exception, match="are held by test runs"):
        ours.claim()
    theirs.close()
    assert {ours.claim() for _ in range(4)} == set(held[1::2])


def test_a_domain_rests_before_anybody_gets_it(runs: tuple[Any, Any]) -> None:
    ours, theirs = runs
    held = [ours.claim() for _ in range(8)]
    for number in held[: ours.RESTING]:
        ours.release(number)
    with pytest.raises(pytest.fail.Exception):
        theirs.claim()
    ours.release(held[-1])
    assert theirs.claim() == held[0]
