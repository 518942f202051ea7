"""Asking the policy, in a thread of its own, so that a decision keeps nobody else waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, runtime_checkable

import numpy as np

from mini_diffuser_ros.records import Assessment, Cloud, EndJudgement, KeyframeMode, SeenEnd
from mini_diffuser_ros.running.settings import LoopSettings
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import RecentValues

if TYPE_CHECKING:
    from mini_diffuser_ros.policy.knowledge.facts import SentenceFamiliarity
    from mini_diffuser_ros.policy.spelling import SpelledSentence

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 600.0  # seconds; a decision that takes longer hangs
WINDOW = 600.0  # seconds that latencies look back; decisions are rare


class DecisionError(UserError, RuntimeError):
    """The policy has no answer for a cloud and a sentence, or not in time."""


class DecidingPolicy(Protocol):
    """What the loop needs of a policy."""

    def decide(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> Sequence[KeyframeMode]:
        """See :meth:`mini_diffuser_ros.policy.Policy.decide`."""
        ...


@runtime_checkable
class AssessingPolicy(DecidingPolicy, Protocol):
    """One that knows something of itself."""

    def assess(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> Assessment:
        """See :meth:`mini_diffuser_ros.policy.Policy.assess`."""
        ...


@contextmanager
def _deciding(what: str = "decide") -> Iterator[None]:
    """Around asking a policy: a cloud or sentence that it refuses is no bug of anybody's."""
    try:
        yield
    except ValueError as error:
        raise DecisionError(f"the policy cannot {what}: {error}") from error


def decide(
    policy: DecidingPolicy, cloud: Cloud, sentence: str, settings: LoopSettings, seed: int
) -> Sequence[KeyframeMode]:
    """Modes of a policy, the most probable first.

    Raises:
        DecisionError: it cannot decide on this cloud or sentence.
    """
    with _deciding():
        return policy.decide(cloud, sentence, samples=settings.samples, steps=settings.steps, seed=seed)


def assess(policy: DecidingPolicy, cloud: Cloud, sentence: str, settings: LoopSettings, seed: int) -> Assessment:
    """The same modes, with what the policy knows of them; one that cannot assess itself knows nothing.

    Raises:
        DecisionError: it cannot decide on this cloud or sentence.
    """
    if not isinstance(policy, AssessingPolicy):
        return Assessment(decide(policy, cloud, sentence, settings, seed))
    with _deciding():
        return policy.assess(cloud, sentence, samples=settings.samples, steps=settings.steps, seed=seed)


def doubt_about(assessment: Assessment, unmoved: bool, settings: LoopSettings) -> str:
    """One line on why a decision is not worth a move; empty if it is.

    Args:
        assessment: of the decision.
        unmoved: nothing has moved yet. What was found then is there, and on its way the hand hides it and holds it.
        settings: of the loop.
    """
    if settings.accept_unfamiliar:
        return ""
    return (assessment.not_found if unmoved else "") or assessment.unsure


@runtime_checkable
class KnowingPolicy(Protocol):
    """A policy that may know which sentences it was taught."""

    def familiarity(self, sentence: str) -> SentenceFamiliarity | None:
        """See :meth:`mini_diffuser_ros.policy.Policy.familiarity`."""
        ...


def familiarity_of(policy: object, sentence: str) -> SentenceFamiliarity | None:
    """How familiar a sentence is to a policy; None where it does not know.

    Raises:
        DecisionError: it cannot read the sentence.
    """
    if not isinstance(policy, KnowingPolicy):
        return None
    with _deciding():
        return policy.familiarity(sentence)


def unfamiliar(policy: object, sentence: str, settings: LoopSettings) -> str:
    """One line on why a policy does not obey a sentence; empty if it does, or does not know better.

    Raises:
        DecisionError: it cannot read the sentence.
    """
    if settings.accept_unfamiliar:
        return ""
    found = familiarity_of(policy, sentence)
    return "" if found is None else found.refusal


@runtime_checkable
class ReadingPolicy(Protocol):
    """A policy that may read a sentence otherwise than it is written."""

    def reading(self, sentence: str) -> SpelledSentence:
        """See :meth:`mini_diffuser_ros.policy.Policy.reading`."""
        ...


def misspelt(policy: object, sentence: str) -> str:
    """What a policy reads as what in a sentence, in words; empty if it reads it as it is."""
    return str(policy.reading(sentence)) if isinstance(policy, ReadingPolicy) else ""


@runtime_checkable
class EndKnowingPolicy(Protocol):
    """A policy that may know how its tasks end."""

    def completion(self, sentence: str, end: SeenEnd) -> EndJudgement | None:
        """See :meth:`mini_diffuser_ros.policy.Policy.completion`."""
        ...


def judge_end(policy: object, sentence: str, end: SeenEnd) -> EndJudgement | None:
    """Whether what a sentence asks for is done; None where the policy does not know.

    Raises:
        DecisionError: it cannot judge what is seen.
    """
    if not isinstance(policy, EndKnowingPolicy):
        return None
    with _deciding("judge the end of its task"):
        return policy.completion(sentence, end)


class Decider:
    """Makes one decision at a time. One that is interrupted is left to end by itself, and its modes are dropped.

    Args:
        policy: decides.
        settings: samples and steps of a decision.
    """

    def __init__(self, policy: DecidingPolicy, settings: LoopSettings) -> None:
        self._policy = policy
        self._settings = settings
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy")
        self._latencies = RecentValues(WINDOW)

    def warm_up(self) -> float:
        """Seconds of one decision on made-up points: the first use of a network costs more than the later ones."""
        points = np.random.default_rng(0).uniform((0.4, -0.2, 0.0), (0.6, 0.2, 0.1), (400, 3)).astype(np.float32)
        cloud = Cloud(points, np.full(points.shape, 128, np.uint8), "warm_up")
        start = time.monotonic()
        decide(self._policy, cloud, "warm up", self._settings, seed=0)
        return time.monotonic() - start

    def decide(self, cloud: Cloud, sentence: str, seed: int, token: CancellationToken) -> Assessment:
        """Modes, the most probable first, and what the policy knows of them.

        Args:
            cloud: what is seen.
            sentence: what is wanted.
            seed: of the noise.
            token: what may interrupt.

        Raises:
            DecisionError: the policy cannot decide on this cloud or sentence.
            InterruptionError: when the token is interrupted.
        """
        return self._in_turn(token, self._decide, cloud, sentence, seed)

    def refusal(self, sentence: str, token: CancellationToken) -> str:
        """One line on why the policy does not obey a sentence; empty if it does, or does not know better.

        Raises:
            DecisionError: the policy cannot read the sentence.
            InterruptionError: when the token is interrupted.
        """
        return self._in_turn(token, unfamiliar, self._policy, sentence, self._settings)

    def misspelt(self, sentence: str) -> str:
        """What the policy reads as what in a sentence, in words; empty if it reads it as it is."""
        return misspelt(self._policy, sentence)

    def judge_end(self, sentence: str, end: SeenEnd, token: CancellationToken) -> EndJudgement | None:
        """Whether what a sentence asks for is done; None where the policy does not know.

        Raises:
            DecisionError: it cannot judge what is seen.
            InterruptionError: when the token is interrupted.
        """
        return self._in_turn(token, judge_end, self._policy, sentence, end)

    def latencies(self) -> dict[str, float | str]:
        """Figures for diagnostics."""
        return self._latencies.summary("decision", "ms")

    def close(self) -> None:
        """Begin no more decisions."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _in_turn(self, token: CancellationToken, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the policy answers; what interrupts takes it out of the queue if it has not begun."""
        asked = self._worker.submit(ask, *args, **kwargs)
        try:
            answer: T = token.result_of(asked, LONGEST)
        except InterruptionError:
            asked.cancel()
            raise
        except TimeoutError:
            raise DecisionError(f"the policy did not decide within {LONGEST:.0f} s") from None
        return answer

    def _decide(self, cloud: Cloud, sentence: str, seed: int) -> Assessment:
        start = time.monotonic()
        assessment = assess(self._policy, cloud, sentence, self._settings, seed)
        self._latencies.add(1e3 * (time.monotonic() - start))
        return assessment
